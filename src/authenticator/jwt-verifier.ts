import type { JwsAlgorithm } from '../config/config.ts'
import { areWellTyped } from './claims.ts'
import { EMPTY_KEY_SET, MAX_UNNAMED, createKeySet } from './key-set.ts'
import { readClaims, readCompact } from './token.ts'
import { findSigner } from './verifier.ts'

/** A JWT whose signature holds. Its claims have the types of RFC 7519 §4.1, and nothing else of them was looked at. */
export interface VerifiedJwt {
  /** `typ` in lower case, without `application/`. */
  readonly type: string | undefined
  readonly claims: Readonly<Record<string, unknown>>
}

/** The JWT, or undefined for whatever else is presented. Never rejects. */
export type JwtVerifier = (jwt: string) => Promise<VerifiedJwt | undefined>

/**
 * Verifies JWTs that are no access tokens, such as the assertions of a client, with keys that are at hand.
 *
 * Times, audience and purpose are the caller's to judge: they differ with the kind of JWT.
 *
 * @throws Error when none of the keys can be used
 */
export function createJwtVerifier(jwks: readonly unknown[], algorithms: ReadonlySet<JwsAlgorithm>): JwtVerifier {
  const keys = createKeySet(jwks, EMPTY_KEY_SET, {
    symmetric: 'published',
    maxUnnamed: MAX_UNNAMED,
    onDropped: () => undefined,
  })
  if (keys.size === 0) throw new Error('none of the keys can be used')
  return async function verify(jwt) {
    const token = readCompact(jwt)
    if (typeof token === 'string' || !algorithms.has(token.algorithm)) return undefined
    const signer = await findSigner(token, keys.candidates(token.kid, token.algorithm) ?? [])
    if (signer === undefined) return undefined
    const claims = readClaims(token)
    return claims !== undefined && areWellTyped(claims) ? { type: token.type, claims } : undefined
  }
}
