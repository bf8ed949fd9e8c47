import { createHash } from 'node:crypto'

/** Verifies the signature of a JWT and reads it; undefined for anything that is not one of the client's. */
export type VerifyJwt = (
  jwt: string,
) => Promise<{ readonly type: string | undefined; readonly claims: Readonly<Record<string, unknown>> } | undefined>

export type AssertionCheck = (assertion: string) => Promise<boolean>

/** Which assertions were used, known to every gateway of the fleet. Storage implements it. */
export interface UsedAssertions {
  /**
   * Notes a use, in one step with the look whether there was one before.
   *
   * @param assertion - `issuer` is the client, in a form that no issuer of tokens has; `id` stands for the `jti`;
   * `forSeconds` is at least as long as any gateway takes the assertion
   * @returns true for the first use, false for every later one
   * @throws Problem `storage_unavailable` when the store cannot tell; the use may be noted then
   */
  use(assertion: {
    readonly issuer: string
    readonly tenant: string
    readonly user: string
    readonly id: string
    readonly forSeconds: number
  }): Promise<boolean>
}

interface AssertionNeeds {
  readonly verify: VerifyJwt
  readonly used: UsedAssertions
  nowSeconds(): number
}

/** Whose word an assertion is. */
export interface AssertionClient {
  readonly id: string
  readonly tenant: string
}

/** The clocks of clients are not ours. */
const SKEW_SECONDS = 30
const LONGEST_LIFE_SECONDS = 300
const LONGEST_JTI = 256
/** How far the clocks of two gateways may be apart: for one that is behind, the assertion lives longer. */
const CLOCK_SECONDS = 60

/** A JWT of another kind, an access token say, is signed with the same key by some. */
const TYPES: ReadonlySet<string | undefined> = new Set([undefined, 'jwt', 'client-authentication+jwt'])

/**
 * Whether a JWT is this client's word about itself, for us, now, and for the first time in the fleet (RFC 7523 §3, RFC 7521
 * §5.2). Rejects with `storage_unavailable` when that cannot be told.
 *
 * @param audiences - of which the assertion must name one and nothing else: one that names a second server could be used by it
 */
export function createAssertionCheck(
  needs: AssertionNeeds,
  { id: client, tenant }: AssertionClient,
  audiences: ReadonlySet<string>,
): AssertionCheck {
  // Names of issuers have no dot, so that no token of theirs is taken for an assertion.
  const issuer = `client.${client}`
  return async function check(assertion) {
    const jwt = await needs.verify(assertion)
    if (jwt === undefined || !TYPES.has(jwt.type)) return false
    const { claims } = jwt
    const now = needs.nowSeconds()
    if (claims['iss'] !== client || claims['sub'] !== client || !audiences.has(audienceOf(claims['aud']))) return false
    const expiresAt = claims['exp']
    if (typeof expiresAt !== 'number' || !isTimely(expiresAt, claims, now)) return false
    const jti = claims['jti']
    if (typeof jti !== 'string' || jti === '' || jti.length > LONGEST_JTI) return false
    // Last, so that only what would have been accepted is remembered. A digest: the client chooses the text.
    const id = createHash('sha256').update(jti).digest('base64url')
    const forSeconds = Math.ceil(expiresAt + SKEW_SECONDS - now) + CLOCK_SECONDS
    return needs.used.use({ issuer, tenant, user: client, id, forSeconds })
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
