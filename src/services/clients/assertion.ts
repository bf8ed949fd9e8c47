/** Verifies the signature of a JWT and reads it; undefined for anything that is not one of the client's. */
export type VerifyJwt = (
  jwt: string,
) => Promise<{ readonly type: string | undefined; readonly claims: Readonly<Record<string, unknown>> } | undefined>

export type AssertionCheck = (assertion: string) => Promise<boolean>

interface AssertionNeeds {
  readonly verify: VerifyJwt
  readonly replay: { isNew(client: string, jti: string, expiresAt: number): boolean }
  nowSeconds(): number
}

/** The clocks of clients are not ours. */
const SKEW_SECONDS = 30
const LONGEST_LIFE_SECONDS = 300
const LONGEST_JTI = 256

/** A JWT of another kind, an access token say, is signed with the same key by some. */
const TYPES: ReadonlySet<string | undefined> = new Set([undefined, 'jwt', 'client-authentication+jwt'])

/**
 * Whether a JWT is this client's word about itself, for us, now, and for the first time (RFC 7523 §3).
 *
 * @param audiences - of which the assertion must name one and nothing else: one that names a second server could be used by it
 */
export function createAssertionCheck(needs: AssertionNeeds, client: string, audiences: ReadonlySet<string>): AssertionCheck {
  return async function check(assertion) {
    const jwt = await needs.verify(assertion)
    if (jwt === undefined || !TYPES.has(jwt.type)) return false
    const { claims } = jwt
    if (claims['iss'] !== client || claims['sub'] !== client || !audiences.has(audienceOf(claims['aud']))) return false
    const expiresAt = claims['exp']
    if (typeof expiresAt !== 'number' || !isTimely(expiresAt, claims, needs.nowSeconds())) return false
    const jti = claims['jti']
    if (typeof jti !== 'string' || jti === '' || jti.length > LONGEST_JTI) return false
    // Last, so that only what would have been accepted is remembered.
    return needs.replay.isNew(client, jti, expiresAt + SKEW_SECONDS)
  }
}

function isTimely(expiresAt: number, claims: Readonly<Record<string, unknown>>, now: number): boolean {
  const { nbf, iat } = { nbf: claims['nbf'], iat: claims['iat'] }
  if (expiresAt + SKEW_SECONDS <= now || expiresAt > now + LONGEST_LIFE_SECONDS + SKEW_SECONDS) return false
  return [nbf, iat].every((time) => time === undefined || (typeof time === 'number' && time <= now + SKEW_SECONDS))
}

function audienceOf(aud: unknown): string {
  const [only, ...others]: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  return typeof only === 'string' && others.length === 0 ? only : ''
}
