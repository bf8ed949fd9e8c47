import type { Identified } from '../exchange/exchange.ts'

/** Who sends a request, once that is proved. Frozen; requests of one token share it. */
export interface Identity {
  /** What proved it: the passport that the gateway adds, or the access token itself. */
  readonly proof: 'passport' | 'token'
  /** Unique within its tenant only: key your data by both. */
  readonly userId: string
  readonly tenantId: string
  readonly scopes: readonly string[]
  /** Absent where the token names no session, as that of a service that acts for itself. */
  readonly sessionId?: string
  /** `jti` of what was verified: of an access token its own, of a passport that of the passport. */
  readonly tokenId?: string
  /** Seconds since 1970. */
  readonly issuedAt?: number
  /** Seconds since 1970. */
  readonly expiresAt: number
  /** Everything that was signed. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** A request as frameworks hand it over: that of node:http and Express, or one that wraps it, as Fastify's. */
export type RequestLike = object | { readonly raw: object }

const identities = new WeakMap<Identified, Identity>()
const ofRequests = new WeakMap<object, Identity>()

/** @returns the same object for the same principal */
export function identityFrom(principal: Identified, proof: Identity['proof'], tenantId: string): Identity {
  const known = identities.get(principal)
  if (known !== undefined) return known
  const { user, scopes, session, tokenId, expiresAt, claims } = principal
  const issuedAt = claims['iat']
  const identity: Identity = Object.freeze({
    proof,
    userId: user,
    tenantId,
    scopes,
    ...(session === undefined ? {} : { sessionId: session }),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(typeof issuedAt === 'number' ? { issuedAt } : {}),
    expiresAt,
    claims,
  })
  identities.set(principal, identity)
  return identity
}

export function noteIdentity(request: object, identity: Identity): void {
  ofRequests.set(request, identity)
}

/**
 * Who sends this request, as a middleware of this library has proved it.
 *
 * @throws Error where none has, or where authentication is optional and nobody said who they are: a handler that needs somebody never
 *   goes on without
 */
export function identityOf(request: RequestLike): Identity {
  const identity = optionalIdentityOf(request)
  if (identity === undefined) throw new Error('no middleware of gatehouse/validator has identified the sender of this request')
  return identity
}

/** The same where authentication is optional: undefined for somebody anonymous. */
export function optionalIdentityOf(request: RequestLike): Identity | undefined {
  return ofRequests.get(request) ?? ('raw' in request && isObject(request.raw) ? ofRequests.get(request.raw) : undefined)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
