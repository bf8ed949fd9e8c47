import { UnreachableError } from '../errors/errors.ts'
import { membersOf } from './http.ts'

/** What a login, a refresh or a client gets. Both tokens are secrets. */
export interface TokenPair {
  readonly accessToken: string
  readonly refreshToken: string
  readonly tokenType: 'Bearer'
  /** Seconds. */
  readonly expiresIn: number
  /** Seconds. */
  readonly refreshExpiresIn: number
  readonly sessionId: string
  /** With single spaces between. */
  readonly scope: string
}

/** An access token of a service of its own. */
export interface ClientToken {
  readonly accessToken: string
  readonly tokenType: 'Bearer'
  /** Seconds. */
  readonly expiresIn: number
  readonly scope: string
}

export interface User {
  readonly id: string
  readonly tenantId: string
  readonly email: string
  readonly username: string | undefined
  readonly displayName: string | undefined
  readonly createdAt: string
}

export interface Session {
  readonly id: string
  /** The one that asks. */
  readonly current: boolean
  readonly device: string
  readonly ip: string
  readonly createdAt: string
  readonly lastUsedAt: string
  readonly expiresAt: string
}

export type Validation =
  | { readonly valid: true; readonly claims: Readonly<Record<string, unknown>> }
  | { readonly valid: false; readonly error: string; readonly errorDescription: string }

/** RFC 7662 §2.2. */
export type Introspection =
  | { readonly active: false }
  | {
      readonly active: true
      readonly userId: string
      readonly tenantId: string | undefined
      readonly scope: string
      readonly sessionId: string | undefined
      readonly clientId: string | undefined
      /** `Bearer`, or `refresh_token`, which no service must take for a bearer token. */
      readonly tokenType: string | undefined
      /** Seconds since 1970. */
      readonly expiresAt: number | undefined
      /** Everything that was told. */
      readonly claims: Readonly<Record<string, unknown>>
    }

export function tokenPairOf(body: unknown): TokenPair {
  const of = membersOf(body)
  return {
    accessToken: text(of, 'access_token'),
    refreshToken: text(of, 'refresh_token'),
    tokenType: 'Bearer',
    expiresIn: number(of, 'expires_in'),
    refreshExpiresIn: number(of, 'refresh_expires_in'),
    sessionId: text(of, 'session_id'),
    scope: text(of, 'scope'),
  }
}

export function clientTokenOf(body: unknown): ClientToken {
  const of = membersOf(body)
  return {
    accessToken: text(of, 'access_token'),
    tokenType: 'Bearer',
    expiresIn: number(of, 'expires_in'),
    scope: textOrNone(of, 'scope') ?? '',
  }
}

export function userOf(body: unknown): User {
  const of = membersOf(body)
  return {
    id: text(of, 'id'),
    tenantId: text(of, 'tenant_id'),
    email: text(of, 'email'),
    username: textOrNone(of, 'username'),
    displayName: textOrNone(of, 'display_name'),
    createdAt: text(of, 'created_at'),
  }
}

export function sessionsOf(body: unknown): readonly Session[] {
  const { sessions } = membersOf(body)
  if (!Array.isArray(sessions)) throw malformed('sessions')
  return sessions.map((session) => {
    const of = membersOf(session)
    return {
      id: text(of, 'id'),
      current: of['current'] === true,
      device: text(of, 'device'),
      ip: text(of, 'ip'),
      createdAt: text(of, 'created_at'),
      lastUsedAt: text(of, 'last_used_at'),
      expiresAt: text(of, 'expires_at'),
    }
  })
}

export function validationOf(body: unknown): Validation {
  const of = membersOf(body)
  if (of['valid'] === true) return { valid: true, claims: membersOf(of['claims']) }
  if (of['valid'] === false) return { valid: false, error: text(of, 'error'), errorDescription: text(of, 'error_description') }
  throw malformed('valid')
}

export function introspectionOf(body: unknown): Introspection {
  const of = membersOf(body)
  if (of['active'] === false) return { active: false }
  if (of['active'] !== true) throw malformed('active')
  const expiresAt = of['exp']
  return {
    active: true,
    userId: text(of, 'sub'),
    tenantId: textOrNone(of, 'tenant_id'),
    scope: textOrNone(of, 'scope') ?? '',
    sessionId: textOrNone(of, 'sid'),
    clientId: textOrNone(of, 'client_id'),
    tokenType: textOrNone(of, 'token_type'),
    expiresAt: typeof expiresAt === 'number' ? expiresAt : undefined,
    claims: of,
  }
}

export function revokedCountOf(body: unknown): number {
  return number(membersOf(body), 'revoked_count')
}

type Members = Readonly<Record<string, unknown>>

function text(of: Members, name: string): string {
  const value = of[name]
  if (typeof value === 'string') return value
  throw malformed(name)
}

function textOrNone(of: Members, name: string): string | undefined {
  const value = of[name]
  return typeof value === 'string' ? value : undefined
}

function number(of: Members, name: string): number {
  const value = of[name]
  if (typeof value === 'number') return value
  throw malformed(name)
}

/** An answer of another shape than that of a gateway is none. */
function malformed(name: string): UnreachableError {
  return new UnreachableError(`the answer lacks ${name}, so it is not from a gateway`, { reason: 'not_a_gateway' })
}
