import { createHash } from 'node:crypto'
import type { Admitted, Identified } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import type { Client } from '../clients/clients.ts'
import type { SessionRecord } from '../sessions/sessions.ts'
import type { OAuthNeeds } from './oauth.ts'

/** What the revocations are asked about a token. */
export interface RevocationFacts {
  readonly tenant: string
  readonly user: string
  readonly session?: string
  readonly tokenId?: string
  readonly epoch?: number
  readonly issuedAt?: number
  readonly keyId?: string
}

/** RFC 7662 §2.2. */
export type Introspected = Readonly<Record<string, unknown>> & { readonly active: boolean }

export type Introspect = (admitted: Admitted, client: Client, token: string) => Promise<Introspected>

/** Of a token that is not good, or not the client's business, nothing more is told (RFC 7662 §2.2). */
export const INACTIVE: Introspected = Object.freeze({ active: false })

/** Claims of an access token that are told: those of RFC 7662 §2.2 and those that the gateway adds. */
const TOLD = ['scope', 'client_id', 'exp', 'iat', 'nbf', 'sub', 'aud', 'iss', 'jti', 'sid', 'tenant_id', 'auth_time'] as const

const KEPT_MS = 1_000
const ENTRIES = 10_000

interface Kept {
  readonly answer: Introspected
  readonly facts: RevocationFacts
  /** Whole seconds since 1970. */
  readonly expiresAt: number
  readonly untilMs: number
}

type Needs = Pick<OAuthNeeds, 'sessions' | 'tokens' | 'verify' | 'check' | 'isRevoked' | 'nowSeconds' | 'nowMs'>

/**
 * Says whether a token is good, and of what. A good answer is kept for a second; the revocations are asked every time, so
 * that none is answered past its revocation.
 */
export function createIntrospection(needs: Needs): Introspect {
  const kept = new Map<string, Kept>()
  return introspect

  async function introspect(admitted: Admitted, client: Client, token: string): Promise<Introspected> {
    const key = `${client.tenant} ${createHash('sha256').update(token).digest('base64url')}`
    const known = kept.get(key)
    if (known !== undefined && needs.nowMs() < known.untilMs) return isGood(known) ? known.answer : INACTIVE
    kept.delete(key)
    const found = token.startsWith('gwr_')
      ? await lookUpRefreshToken(client, token)
      : await verifyAccessToken(admitted, client, token)
    if (found === undefined || !isGood(found)) return INACTIVE
    keep(key, found)
    return found.answer
  }

  function isGood({ facts, expiresAt }: Kept): boolean {
    return needs.nowSeconds() < expiresAt && !needs.isRevoked(facts)
  }

  function keep(key: string, found: Kept): void {
    if (kept.size >= ENTRIES) kept.clear()
    kept.set(key, found)
  }

  async function verifyAccessToken(admitted: Admitted, client: Client, token: string): Promise<Kept | undefined> {
    const principal = await goodOrNot(async () => {
      const verified = await needs.verify(token)
      await needs.check(admitted, verified)
      return verified
    })
    if (principal === undefined || principal.tenant !== client.tenant) return undefined
    return { answer: ofAccessToken(principal), facts: principal, expiresAt: principal.expiresAt, untilMs: untilMs() }
  }

  async function lookUpRefreshToken(client: Client, token: string): Promise<Kept | undefined> {
    const read = needs.tokens.readRefreshToken(client.tenant, token)
    if (read === undefined) return undefined
    const found = await goodOrNot(() => needs.sessions.findByToken(token, client.tenant))
    const session = found?.session
    // An older generation still gets its successor for some seconds, and is not what anybody should hold on to.
    if (session === undefined || session.generation !== read.generation) return undefined
    const { tenant, user, id, epoch, idleExpiresAt, expiresAt } = session
    const ends = Math.min(idleExpiresAt, expiresAt)
    return {
      answer: ofRefreshToken(session, ends),
      facts: { tenant, user, session: id, epoch },
      expiresAt: ends,
      untilMs: untilMs(),
    }
  }

  function untilMs(): number {
    return needs.nowMs() + KEPT_MS
  }
}

/** Undefined for what was refused. What cannot be told now is no answer: a 503 stays one. */
async function goodOrNot<T>(ask: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof Problem && error.status < 500) return undefined
    throw error
  }
}

function ofAccessToken({ claims, user, tenant, scopes }: Identified): Introspected {
  const told = TOLD.flatMap((name) => (Object.hasOwn(claims, name) ? [[name, claims[name]] as const] : []))
  return {
    active: true,
    ...Object.fromEntries(told),
    // Foreign issuers name these by other claims.
    sub: user,
    tenant_id: tenant,
    scope: scopes.join(' '),
    token_type: 'Bearer',
  }
}

/** `token_type` keeps a server that asks about a bearer token from taking a refresh token for one. */
function ofRefreshToken(session: SessionRecord, expiresAt: number): Introspected {
  return {
    active: true,
    scope: session.scope,
    client_id: session.clientId,
    sub: session.user,
    tenant_id: session.tenant,
    sid: session.id,
    iat: session.createdAt,
    exp: expiresAt,
    token_type: 'refresh_token',
  }
}
