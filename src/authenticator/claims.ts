import type { Identified } from '../exchange/exchange.ts'
import type { JsonObject } from './json.ts'
import type { Refusal } from './refusals.ts'
import { digestId } from './token-cache.ts'
import { hasControl } from './token.ts'
import type { CompactToken } from './token.ts'
import type { TrustedIssuer } from './trust.ts'

const MAX_NAME_LENGTH = 256
const NO_SCOPES: readonly string[] = Object.freeze([])
const FOREIGN_TYPES: ReadonlySet<string | undefined> = new Set([undefined, 'jwt', 'at+jwt'])

/** Whether every registered claim that is there has the type that RFC 7519 §4.1 gives it. */
export function areWellTyped(claims: JsonObject): boolean {
  const { iss, sub, jti, aud, exp, nbf, iat } = registered(claims)
  if (!isAbsentOr(isString, iss) || !isAbsentOr(isString, sub) || !isAbsentOr(isString, jti)) return false
  if (!isAbsentOr(isNumericDate, exp) || !isAbsentOr(isNumericDate, nbf) || !isAbsentOr(isNumericDate, iat)) return false
  return aud === undefined || typeof aud === 'string' || audiencesOf(aud) !== undefined
}

function isAbsentOr(isIt: (value: unknown) => boolean, value: unknown): boolean {
  return value === undefined || isIt(value)
}

function registered(claims: JsonObject): Record<'iss' | 'sub' | 'jti' | 'aud' | 'exp' | 'nbf' | 'iat', unknown> {
  return {
    iss: claims['iss'],
    sub: claims['sub'],
    jti: claims['jti'],
    aud: claims['aud'],
    exp: claims['exp'],
    nbf: claims['nbf'],
    iat: claims['iat'],
  }
}

/**
 * What is refused before a signature is looked at: the type of the token, its times, its audience.
 *
 * Takes claims that {@link areWellTyped}; `nowSeconds` since 1970.
 */
export function judgeClaims(
  token: CompactToken,
  claims: JsonObject,
  issuer: TrustedIssuer,
  nowSeconds: number,
): Refusal | undefined {
  // A logout token, a DPoP proof or a security event is signed with the same keys and is no access token.
  if (issuer.kind === 'own' ? token.type !== 'at+jwt' : !FOREIGN_TYPES.has(token.type)) return 'type'
  const { exp, aud } = registered(claims)
  if (typeof exp !== 'number') return 'expiry_missing'
  if (exp + issuer.skewSeconds <= nowSeconds) return 'expired'
  if (issuer.audiences !== undefined && !isFor(issuer.audiences, aud)) return 'audience'
  return judgeTimes(claims, exp, issuer, nowSeconds)
}

function isFor(audiences: ReadonlySet<string>, aud: unknown): boolean {
  if (typeof aud === 'string') return audiences.has(aud)
  return audiencesOf(aud)?.some((name) => audiences.has(name)) === true
}

function judgeTimes(claims: JsonObject, exp: number, issuer: TrustedIssuer, nowSeconds: number): Refusal | undefined {
  const { nbf, iat } = registered(claims)
  const skew = issuer.skewSeconds
  if (typeof nbf === 'number' && nbf > nowSeconds + skew) return 'not_before'
  if (typeof iat !== 'number') return exp - nowSeconds > issuer.maxLifetimeSeconds + skew ? 'lifetime' : undefined
  if (iat > nowSeconds + skew) return 'issued_at'
  return exp - iat > issuer.maxLifetimeSeconds ? 'lifetime' : undefined
}

/** A verified token, whose claims {@link judgeClaims} had nothing against. */
export interface Verified {
  readonly text: string
  readonly token: CompactToken
  readonly claims: JsonObject
  readonly issuer: TrustedIssuer
}

/** Lists of scopes by what a claim says: most tokens have one that another had. */
export type KnownScopes = Map<string, readonly string[]>

/** Issuers have a few each; whoever has others has all of them read again. */
const MOST_SCOPES = 256

/**
 * Reduces a verified token to a frozen principal. Where it has no id and its issuer is one whose tokens are known by that, its
 * digest is its id.
 *
 * @param known scopes that were read before; it is added to
 * @param isFleeting the principal is made for one request
 */
export function identify(verified: Verified, known: KnownScopes, isFleeting: boolean): Identified | Refusal {
  const { text, token, claims, issuer } = verified
  const names = issuer.claims
  const user = userOf(claims, names)
  const session = claimOf(claims, names.session)
  const named = claimOf(claims, names.token)
  const tokenId = named === undefined && issuer.ids === 'claim or digest' ? digestId(text) : named
  const scopes = scopesOf(claimOf(claims, names.scope), known)
  if (!isName(user)) return 'user'
  // One that is there and cannot be read could never be revoked.
  if (session !== undefined && !isName(session)) return 'session'
  if (tokenId !== undefined && !isName(tokenId)) return 'token_id'
  if (scopes === undefined) return 'scope'
  const refusal = issuer.kind === 'own' ? judgeOwn(claims, issuer.tenant) : undefined
  if (refusal !== undefined) return refusal
  return Object.freeze(principalOf(token, issuer, { claims, user, session, tokenId, scopes, isFleeting }))
}

/** What was read of a token, and has its type. */
interface Read {
  readonly claims: JsonObject
  readonly user: string
  readonly session: string | undefined
  readonly tokenId: string | undefined
  readonly scopes: readonly string[]
  readonly isFleeting: boolean
}

/** Field by field: to put objects together takes as long as all else that is made of the claims. */
function principalOf(token: CompactToken, issuer: TrustedIssuer, read: Read): Identified {
  const { claims, session, tokenId } = read
  const isOwn = issuer.kind === 'own'
  const { exp, iat } = registered(claims)
  const epoch = claims['uv']
  const authTime = claims['auth_time']
  const principal: { -readonly [F in keyof Identified]: Identified[F] } = {
    kind: 'identified',
    issuer: issuer.name,
    tenant: issuer.tenant,
    user: read.user,
    scopes: read.scopes,
    expiresAt: typeof exp === 'number' ? exp : 0,
    skewSeconds: issuer.skewSeconds,
    tokenType: isOwn ? 'access' : (token.type ?? 'jwt'),
    algorithm: token.algorithm,
    claims: Object.freeze(claims),
  }
  if (session !== undefined) principal.session = session
  if (tokenId !== undefined) principal.tokenId = tokenId
  if (isOwn && typeof epoch === 'number') principal.epoch = epoch
  // By the clock of its issuer, which may be ahead of ours by as much: what ends all tokens up to now ends this one too.
  if (typeof iat === 'number') principal.issuedAt = isOwn ? iat : iat - issuer.skewSeconds
  if (isOwn && token.kid !== undefined) principal.keyId = token.kid
  if (isNumericDate(authTime)) principal.authTime = authTime
  if (read.isFleeting) principal.fleeting = true
  return principal
}

/** Claims that every access token of the gateway has. A token without them was not made as one. */
function judgeOwn(claims: JsonObject, tenant: string): Refusal | undefined {
  if (claims['tenant_id'] !== tenant) return 'tenant'
  if (claims['token_type'] !== 'access') return 'token_type'
  if (claims['jti'] === undefined) return 'token_id'
  if (claims['iat'] === undefined) return 'issued_at'
  const epoch = claims['uv']
  if (claims['sid'] === undefined) {
    // RFC 9068 §2.2: where a service acts for itself, the subject is the client; it has no session, and no epoch either.
    if (claims['sub'] !== claims['client_id']) return 'session'
    if (epoch === undefined) return undefined
  }
  return typeof epoch === 'number' && Number.isSafeInteger(epoch) && epoch >= 0 ? undefined : 'epoch'
}

/** Claims of their own making, as `user_id`, may be numbers; a registered one is text, as was seen to before. */
function userOf(claims: JsonObject, { user, userElse }: TrustedIssuer['claims']): unknown {
  const first = claimOf(claims, user)
  const named = first === undefined && userElse !== undefined ? claimOf(claims, userElse) : first
  return typeof named === 'number' && Number.isSafeInteger(named) && named >= 0 ? String(named) : named
}

function claimOf(claims: JsonObject, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

/** Goes into a header later: bounded, without control characters, and well formed so that it can be encoded. */
function isName(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME_LENGTH && !hasControl(value) && value.isWellFormed()
  )
}

/** Scopes of a string (RFC 8693 §4.2) or a list; undefined when one of them could not stand in a list with spaces. */
function scopesOf(value: unknown, known: KnownScopes): readonly string[] | undefined {
  if (value === undefined) return NO_SCOPES
  if (typeof value !== 'string') return areScopes(value) ? Object.freeze(value) : undefined
  const before = known.get(value)
  if (before !== undefined) return before
  const scopes = value.split(' ').filter((scope) => scope !== '')
  if (!areScopes(scopes)) return undefined
  if (known.size >= MOST_SCOPES) known.clear()
  if (value.length <= MAX_NAME_LENGTH) known.set(value, Object.freeze(scopes))
  return Object.freeze(scopes)
}

function areScopes(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isScope)
}

function isScope(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes(' ') && !hasControl(value) && value.isWellFormed()
}

function audiencesOf(aud: unknown): readonly string[] | undefined {
  return Array.isArray(aud) && aud.every(isString) ? aud : undefined
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

/** Seconds since 1970 (RFC 7519 §2), fractions allowed. */
function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}
