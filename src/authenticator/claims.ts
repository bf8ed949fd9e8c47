import type { Identified } from '../exchange/exchange.ts'
import type { JsonObject } from './json.ts'
import type { Refusal } from './refusals.ts'
import { hasControl } from './token.ts'
import type { CompactToken } from './token.ts'
import type { TrustedIssuer } from './trust.ts'

const MAX_NAME_LENGTH = 256
const NO_SCOPES: readonly string[] = Object.freeze([])
const FOREIGN_TYPES: ReadonlySet<string | undefined> = new Set([undefined, 'jwt', 'at+jwt'])

/** Whether every registered claim that is there has the type that RFC 7519 §4.1 gives it. */
export function areWellTyped(claims: JsonObject): boolean {
  const { iss, sub, jti, aud, exp, nbf, iat } = registered(claims)
  return (
    [iss, sub, jti].every((value) => value === undefined || typeof value === 'string') &&
    [exp, nbf, iat].every((value) => value === undefined || isNumericDate(value)) &&
    (aud === undefined || audiencesOf(aud) !== undefined)
  )
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
  if (issuer.audiences !== undefined && !audiencesOf(aud)?.some((name) => issuer.audiences?.has(name))) return 'audience'
  return judgeTimes(claims, exp, issuer, nowSeconds)
}

function judgeTimes(claims: JsonObject, exp: number, issuer: TrustedIssuer, nowSeconds: number): Refusal | undefined {
  const { nbf, iat } = registered(claims)
  const skew = issuer.skewSeconds
  if (typeof nbf === 'number' && nbf > nowSeconds + skew) return 'not_before'
  if (typeof iat !== 'number') return exp - nowSeconds > issuer.maxLifetimeSeconds + skew ? 'lifetime' : undefined
  if (iat > nowSeconds + skew) return 'issued_at'
  return exp - iat > issuer.maxLifetimeSeconds ? 'lifetime' : undefined
}

/**
 * Reduces a verified token to a frozen principal. Takes claims that {@link judgeClaims} had nothing against; `digest` makes
 * an id where the token has none and its issuer is one whose tokens are known by that.
 */
export function identify(
  token: CompactToken,
  claims: JsonObject,
  issuer: TrustedIssuer,
  digest: () => string,
): Identified | Refusal {
  const names = issuer.claims
  const user = userOf(claims, names)
  const session = claimOf(claims, names.session)
  const named = claimOf(claims, names.token)
  const tokenId = named === undefined && issuer.ids === 'claim or digest' ? digest() : named
  const scopes = scopesOf(claimOf(claims, names.scope))
  if (!isName(user)) return 'user'
  // One that is there and cannot be read could never be revoked.
  if (session !== undefined && !isName(session)) return 'session'
  if (tokenId !== undefined && !isName(tokenId)) return 'token_id'
  if (scopes === undefined) return 'scope'
  const refusal = issuer.kind === 'own' ? judgeOwn(claims, issuer.tenant) : undefined
  if (refusal !== undefined) return refusal
  const { exp, iat } = registered(claims)
  const epoch = claims['uv']
  const authTime = claims['auth_time']
  return Object.freeze({
    kind: 'identified',
    issuer: issuer.name,
    tenant: issuer.tenant,
    user,
    scopes,
    ...(session === undefined ? {} : { session }),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(issuer.kind === 'own' && typeof epoch === 'number' ? { epoch } : {}),
    // By the clock of its issuer, which may be ahead of ours by as much: what ends all tokens up to now ends this one too.
    ...(typeof iat === 'number' ? { issuedAt: issuer.kind === 'own' ? iat : iat - issuer.skewSeconds } : {}),
    ...(issuer.kind === 'own' && token.kid !== undefined ? { keyId: token.kid } : {}),
    expiresAt: typeof exp === 'number' ? exp : 0,
    ...(isNumericDate(authTime) ? { authTime } : {}),
    skewSeconds: issuer.skewSeconds,
    tokenType: issuer.kind === 'own' ? 'access' : (token.type ?? 'jwt'),
    algorithm: token.algorithm,
    claims: Object.freeze(claims),
  })
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
function scopesOf(value: unknown): readonly string[] | undefined {
  if (value === undefined) return NO_SCOPES
  const scopes: unknown = typeof value === 'string' ? value.split(' ').filter((scope) => scope !== '') : value
  if (!Array.isArray(scopes) || !scopes.every(isScope)) return undefined
  return Object.freeze(scopes)
}

function isScope(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes(' ') && !hasControl(value) && value.isWellFormed()
}

function audiencesOf(aud: unknown): readonly string[] | undefined {
  if (typeof aud === 'string') return [aud]
  return Array.isArray(aud) && aud.every(isString) ? aud : undefined
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

/** Seconds since 1970 (RFC 7519 §2), fractions allowed. */
function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}
