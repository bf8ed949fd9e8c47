/**
 * A client of a gateway's own endpoints: accounts, sessions and tokens, with the types of what goes in and comes out.
 *
 * It needs `fetch` and nothing else. A refusal is an error with the gateway's code. Only what can be done twice without harm is tried
 * again. It keeps no token, follows no redirect, and writes no secret into an error.
 *
 * @example
 * ```ts
 * import { createClient } from 'gatehouse/client'
 *
 * const client = createClient({ origin: 'http://localhost:8080' })
 * await client.register({ email: 'ada@example.com', password: 'correct horse battery staple' })
 * const tokens = await client.login({ email: 'ada@example.com', password: 'correct horse battery staple' })
 * console.log(await client.as(tokens.accessToken).me())
 * ```
 *
 * @module
 */
import { GatehouseError, UnauthorizedError, UnknownRefreshTokenError } from '../errors/errors.ts'
import {
  clientTokenOf,
  introspectionOf,
  revokedCountOf,
  tokenPairOf,
  userOf,
  validationOf,
  type ClientToken,
  type Introspection,
  type TokenPair,
  type User,
  type Validation,
} from './answers.ts'
import { createAsUser, type AsUser } from './as-user.ts'
import { createSend, membersOf, type HttpSettings } from './http.ts'
import { createFreshSession, type FreshSession, type KeepFreshOptions } from './keep-fresh.ts'

export * from '../errors/errors.ts'
export type { ClientToken, Introspection, Session, TokenPair, User, Validation } from './answers.ts'
export type { AsUser, ProfileChanges } from './as-user.ts'
export type { FreshSession, KeepFreshOptions } from './keep-fresh.ts'

/** Where each service is mounted. */
export interface ClientPaths {
  /** Default: `/auth`. */
  readonly accounts: string
  /** Default: `/sessions`. */
  readonly sessions: string
  /** Default: `/oauth`. */
  readonly oauth: string
}

export interface ClientOptions {
  /** `https://api.example.com`. */
  readonly origin: string
  /** Said with each call that may name one. Default: that of the host, else `default`. */
  readonly tenant?: string
  /** A service of `clients`; only the calls that need one do. */
  readonly credentials?: { readonly id: string; readonly secret: string }
  readonly paths?: Partial<ClientPaths>
  /** Of one attempt, milliseconds. Default: 10,000. */
  readonly timeoutMs?: number
  /** Further attempts of what can be done twice without harm, when no answer comes or 502, 503 or 504. Default: 2. */
  readonly retries?: number
  readonly fetch?: typeof globalThis.fetch
}

export interface Client {
  register(user: NewUser): Promise<User>
  /** Rejects with {@link UnauthorizedError} for a wrong password and for a user that does not exist, alike. */
  login(user: Login): Promise<TokenPair>
  /** Makes a session for a user of the client's tenant; the credentials need `sessions:write`. */
  createSession(session: NewSession): Promise<TokenPair>
  /** Asks the gateway about an access token. A bad one is an answer, and no error. */
  validate(accessToken: string): Promise<Validation>
  /** Rejects with {@link UnknownRefreshTokenError} when the session is over. Tried again with the same token, which is harmless for 10 s. */
  refresh(refreshToken: string): Promise<TokenPair>
  /** An access token dies alone, a refresh token ends its session. */
  revoke(token: string, reason?: string): Promise<void>
  /** Ends all sessions of a user of the client's tenant; the credentials need `sessions:write`. @returns how many there were */
  revokeAll(user: { readonly userId: string; readonly tenantId?: string; readonly reason?: string }): Promise<number>
  /** An access token for the service itself (RFC 6749 §4.4). */
  clientToken(scope?: string): Promise<ClientToken>
  /** RFC 7662; the credentials need `tokens:introspect`. */
  introspect(token: string): Promise<Introspection>
  /** The calls of a user; a function is asked for the token each time. */
  as(accessToken: string | (() => string | Promise<string>)): AsUser
  /** Renews the access token of a session as it is asked for, once at a time. */
  keepFresh(tokens: TokenPair, options?: KeepFreshOptions): FreshSession
}

export interface NewUser {
  readonly email: string
  readonly password: string
  readonly username?: string
  readonly holdTicket?: string
}

export type Login = { readonly password: string } & ({ readonly email: string } | { readonly username: string })

export interface NewSession {
  readonly userId: string
  /** Default: `tenant` of the options, else `default`. */
  readonly tenantId?: string
  /** With single spaces between. Default: none. */
  readonly scope?: string
  readonly metadata?: Readonly<Record<string, string>>
}

const PATHS: ClientPaths = { accounts: '/auth', sessions: '/sessions', oauth: '/oauth' }

/** @throws TypeError when the origin is none */
export function createClient(options: ClientOptions): Client {
  const { tenant, credentials } = options
  const paths = { ...PATHS, ...options.paths }
  const send = createSend(settingsOf(options))
  const basic = credentials && `Basic ${btoa(`${formEncoded(credentials.id)}:${formEncoded(credentials.secret)}`)}`
  return {
    register: async ({ email, password, username, holdTicket }) => {
      const json = { email, password, username, hold_ticket: holdTicket, tenant_id: tenant }
      const { body } = await send({ method: 'POST', path: `${paths.accounts}/register`, json, repeatable: false })
      return userOf(membersOf(body)['user'])
    },
    login: async (user) => {
      const json = { ...user, tenant_id: tenant }
      return tokenPairOf((await send({ method: 'POST', path: `${paths.accounts}/login`, json, repeatable: false })).body)
    },
    createSession: async ({ userId, tenantId, scope = '', metadata }) => {
      const json = { user_id: userId, tenant_id: tenantId ?? tenant ?? 'default', scope, metadata }
      return tokenPairOf((await asClient({ path: paths.sessions, json, repeatable: false })).body)
    },
    validate: async (accessToken) => {
      const json = { access_token: accessToken }
      return validationOf((await send({ method: 'POST', path: `${paths.sessions}/validate`, json, repeatable: true })).body)
    },
    refresh,
    async revoke(token, reason) {
      const json = { token, reason }
      await send({ method: 'POST', path: `${paths.sessions}/revoke`, authorization: basic, json, repeatable: true })
    },
    revokeAll: async ({ userId, tenantId, reason }) => {
      const json = { user_id: userId, tenant_id: tenantId ?? tenant ?? 'default', reason }
      return revokedCountOf((await asClient({ path: `${paths.sessions}/revoke-all`, json, repeatable: false })).body)
    },
    clientToken: async (scope) => {
      const form = { grant_type: 'client_credentials', scope }
      return clientTokenOf((await asClient({ path: `${paths.oauth}/token`, form, repeatable: true })).body)
    },
    introspect: async (token) =>
      introspectionOf((await asClient({ path: `${paths.oauth}/introspect`, form: { token }, repeatable: true })).body),
    as: (token) => createAsUser({ send, paths, token: typeof token === 'string' ? () => token : token }),
    keepFresh: (tokens, fresh = {}) => createFreshSession({ refresh, monotonicMs: () => performance.now() }, tokens, fresh),
  }

  async function refresh(refreshToken: string): Promise<TokenPair> {
    const json = { refresh_token: refreshToken, tenant_id: tenant }
    try {
      return tokenPairOf((await send({ method: 'POST', path: `${paths.sessions}/refresh`, json, repeatable: true })).body)
    } catch (error) {
      if (!(error instanceof GatehouseError) || error.code !== 'invalid_token') throw error
      const { status, requestId } = error
      throw new UnknownRefreshTokenError(undefined, { status, ...(requestId === undefined ? {} : { requestId }) })
    }
  }

  function asClient(call: Omit<Parameters<typeof send>[0], 'method' | 'authorization'>): ReturnType<typeof send> {
    if (basic !== undefined) return send({ ...call, method: 'POST', authorization: basic })
    return Promise.reject(new UnauthorizedError('This call needs the credentials of a client', { reason: 'no_credentials' }))
  }
}

function settingsOf({ origin, timeoutMs = 10_000, retries = 2, fetch = globalThis.fetch }: ClientOptions): HttpSettings {
  const url = URL.canParse(origin) ? new URL(origin) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || !(origin === url.origin || origin === `${url.origin}/`)) {
    throw new TypeError('gatehouse/client: origin must be an origin, such as https://api.example.com')
  }
  return { origin: url.origin, timeoutMs, retries, fetch, schedule, random: Math.random }
}

/** Keeps the process alive: somebody waits for what is scheduled here. */
function schedule(delayMs: number, run: () => void): () => void {
  const timer = setTimeout(run, delayMs)
  return () => clearTimeout(timer)
}

/** RFC 6749 §2.3.1. */
function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}
