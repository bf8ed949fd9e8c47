/**
 * Says who sends a request: bearer token → issuer → keys → claims → principal.
 *
 * A token in a cookie is looked at where there is no Authorization header, and only after it is clear that no page of another
 * site made the browser send it; a header is no cookie, so nobody but its sender puts a token there.
 *
 * The issuer is found by exact map before any key work, its configuration and its keys decide the algorithm, and cheap
 * refusals come before a signature. This room reads a few headers and no body, fetches key sets of configured issuers and
 * nothing that a token names, and never decides what a principal may do.
 *
 * @module
 */
import type { Config } from '../config/config.ts'
import { ACCESS_COOKIE, ANONYMOUS, cookieValues } from '../exchange/exchange.ts'
import type { Arrived, Authenticated, Identified, Routed } from '../exchange/exchange.ts'
import type { Problem } from '../problem/problem.ts'
import { areWellTyped, identify, judgeClaims, type KnownScopes, type Verified } from './claims.ts'
import { createCsrf } from './csrf.ts'
import type { CsrfConfig } from './csrf.ts'
import { NO_AUTHORIZATION, REPEATED_AUTHORIZATION, bearerToken, findAuthorization } from './extractor.ts'
import { inherit, type Heritage } from './heritage.ts'
import type { JsonObject } from './json.ts'
import type { VerificationKey } from './keys.ts'
import type { AuthenticatorNeeds } from './needs.ts'
import { problemOf } from './refusals.ts'
import type { Refusal } from './refusals.ts'
import { MAX_TOKEN_LENGTH, readClaims, readCompact } from './token.ts'
import type { KnownHeaders } from './token.ts'
import { findSigner } from './verifier.ts'

export { bearerToken, findAuthorization, NO_AUTHORIZATION, REPEATED_AUTHORIZATION } from './extractor.ts'
export { createJwtVerifier } from './jwt-verifier.ts'
export type { AuthenticatorEvents, AuthenticatorNeeds, PublicJwk } from './needs.ts'

export interface Authenticator {
  /**
   * Adds the principal. Answers at once for a cached token, an anonymous request, an RSA or HMAC signature and most
   * refusals; throws or rejects with a {@link Problem}.
   */
  authenticate(exchange: Routed): Authenticated | Promise<Authenticated>
  /**
   * The same for a token that stands elsewhere than in a header. Throws or rejects with a {@link Problem}.
   *
   * @param by The request that it came with; absent: the gateway asks for itself.
   */
  verify(token: string, by?: Routed): Identified | Promise<Identified>
  /** The text of the token that {@link authenticate} took: of the one header, else of the one cookie. It is a secret. */
  tokenOf(exchange: Arrived): string | undefined
  /**
   * For endpoints that set cookies, or take one as the proof of who asks: whether a page of ours sends the request.
   *
   * @throws Problem `cross_site_request`
   */
  checkOrigin(exchange: Routed): void
  /**
   * Loads every key. Waits for the first attempt at each issuer, at most its timeout, and goes on without those that
   * fail; rejects when the key file of an issuer cannot be used.
   */
  start(): Promise<void>
  /** The authenticator is the one in force now: what `start` read for it counts from here on. */
  enter(): void
  /** Fetches no more, but for what `others` go on with. */
  stop(others?: readonly Authenticator[]): void
  /** What the authenticator of the next configuration takes over, where that says the same. */
  readonly heritage: Heritage
  /** The keys of a tenant of the gateway are others now: tokens of a key that left are refused from here on. */
  keysChanged(tenant: string): void
  /** Age of the key set of each issuer that publishes one; infinite while none was fetched. */
  jwksAgeSeconds(): readonly { readonly issuer: string; readonly seconds: number }[]
}

/** A token that is not in the cache, on its way. */
interface Attempt extends Verified {
  readonly by: Routed | undefined
  /** Whom it names, before it is known whether it is right. */
  readonly who: string
  readonly startedMs: number
}

const NO_KEYS: readonly VerificationKey[] = Object.freeze([])

export type AuthenticatorConfig = Pick<Config, 'tenants' | 'issuers' | 'tokenCache'> & CsrfConfig

/**
 * Throws when the issuers contradict each other or a secret is too short.
 *
 * @param before The one of the configuration before: the keys and the verified tokens of issuers that are configured alike go over.
 */
export function createAuthenticator(
  needs: AuthenticatorNeeds,
  config: AuthenticatorConfig,
  before?: Authenticator,
): Authenticator {
  const { events, effort } = needs
  const monotonicMs = needs.monotonicMs?.bind(needs) ?? needs.nowMs.bind(needs)
  // What is made here outlives the one before, and must not hold it.
  const isFirst = before === undefined
  const heritage = inherit(needs, config, before?.heritage)
  const { trust, cache } = heritage
  const csrf = createCsrf(config)
  const headers: KnownHeaders = new Map()
  const scopes: KnownScopes = new Map()
  return { authenticate, verify, tokenOf, checkOrigin, start, enter, stop, keysChanged, jwksAgeSeconds, heritage }

  function authenticate(exchange: Routed): Authenticated | Promise<Authenticated> {
    if (exchange.route.auth === 'public') return anonymous(exchange, 'public')
    const found = findAuthorization(exchange.rawHeaders)
    if (found === REPEATED_AUTHORIZATION) throw refused(undefined, 'repeated_authorization')
    if (found === NO_AUTHORIZATION) return fromCookie(exchange)
    const token = bearerToken(exchange.rawHeaders[found] ?? '')
    if (token === undefined) return withoutToken(exchange)
    const principal = verify(token, exchange)
    if (principal instanceof Promise) return principal.then((verified) => ({ ...exchange, principal: verified }))
    return { ...exchange, principal }
  }

  function fromCookie(exchange: Routed): Authenticated | Promise<Authenticated> {
    const cookies = cookieValues(exchange.rawHeaders, ACCESS_COOKIE)
    const [token] = cookies
    if (token === undefined) return withoutToken(exchange)
    if (cookies.length > 1) throw refused(undefined, 'repeated_cookie')
    if (!csrf.admits(exchange)) throw refused(undefined, 'cross_site')
    const principal = verify(token, exchange)
    if (principal instanceof Promise) {
      return principal.then((verified) => ({ ...exchange, principal: verified, byCookie: true }))
    }
    return { ...exchange, principal, byCookie: true }
  }

  function withoutToken(exchange: Routed): Authenticated {
    if (exchange.route.auth === 'optional') return anonymous(exchange, 'no_token')
    throw refused(undefined, 'no_token')
  }

  function tokenOf({ rawHeaders }: Arrived): string | undefined {
    const found = findAuthorization(rawHeaders)
    if (found !== NO_AUTHORIZATION) return bearerToken(rawHeaders[found] ?? '')
    const cookies = cookieValues(rawHeaders, ACCESS_COOKIE)
    return cookies.length === 1 ? cookies[0] : undefined
  }

  function checkOrigin(exchange: Routed): void {
    // Not counted: what was decided about the request was told when it came.
    if (!csrf.isOwnPage(exchange)) throw problemOf('cross_site')
  }

  function verify(token: string, by?: Routed): Identified | Promise<Identified> {
    if (token.length > MAX_TOKEN_LENGTH) throw refused(undefined, 'too_large')
    return fromCache(token) ?? judge(token, by)
  }

  function anonymous(exchange: Routed, reason: string): Authenticated {
    events.decided(undefined, 'anonymous', reason)
    return { ...exchange, principal: ANONYMOUS }
  }

  function fromCache(token: string): Identified | undefined {
    const known = cache.get(token)
    if (known !== undefined && trust.trusted.has(known.issuer) && known.issuer.keys.holds(known.key)) {
      const { principal } = known
      events.cache('hit')
      if (principal.expiresAt + principal.skewSeconds > needs.nowMs() / 1000) return accepted(principal)
      cache.delete(token)
      throw refused(principal.tenant, 'expired')
    }
    if (known !== undefined) cache.delete(token)
    events.cache('miss')
    return undefined
  }

  function judge(text: string, by: Routed | undefined): Identified | Promise<Identified> {
    const startedMs = monotonicMs()
    const token = readCompact(text, headers)
    if (typeof token === 'string') throw refused(undefined, token)
    const claims = readClaims(token)
    if (claims === undefined) throw refused(undefined, 'payload')
    if (!areWellTyped(claims)) throw refused(undefined, 'claim_type')
    const iss = claims['iss']
    const issuer = typeof iss === 'string' ? trust.issuers.get(iss) : undefined
    if (issuer === undefined) throw refused(undefined, 'issuer')
    if (!issuer.algorithms.has(token.algorithm)) throw refused(issuer.tenant, 'algorithm')
    const refusal = judgeClaims(token, claims, issuer, needs.nowMs() / 1000)
    if (refusal !== undefined) throw refused(issuer.tenant, refusal)
    return verifySignature({ text, token, claims, issuer, by, who: whoIn(claims), startedMs })
  }

  function verifySignature(attempt: Attempt): Identified | Promise<Identified> {
    const { token, issuer } = attempt
    const candidates = issuer.keys.candidates(token.kid, token.algorithm)
    if (candidates === undefined) return withNewerKeys(attempt, NO_KEYS)
    checkEffort(attempt)
    const signer = tryKeys(attempt, candidates)
    if (signer instanceof Promise) return signer.then((key) => concludeOrRenew(attempt, candidates, key))
    return concludeOrRenew(attempt, candidates, signer)
  }

  /** An issuer may put another key behind the same name, or name none: what no known key signed is no forgery yet. */
  function concludeOrRenew(
    attempt: Attempt,
    tried: readonly VerificationKey[],
    key: VerificationKey | undefined,
  ): Identified | Promise<Identified> {
    // The names of our own keys are made of the keys.
    if (key !== undefined || attempt.issuer.kind === 'own') return conclude(attempt, key)
    return withNewerKeys(attempt, tried)
  }

  function withNewerKeys(attempt: Attempt, tried: readonly VerificationKey[]): Identified | Promise<Identified> {
    const { token, issuer } = attempt
    const refreshed = issuer.keys.refresh()
    if (refreshed === undefined) return withoutKey(attempt, tried)
    return refreshed.then(() => {
      const newer = issuer.keys.candidates(token.kid, token.algorithm)
      if (newer === undefined || newer === tried) return withoutKey(attempt, tried)
      const signer = tryKeys(attempt, newer)
      return signer instanceof Promise ? signer.then((key) => conclude(attempt, key)) : conclude(attempt, signer)
    })
  }

  function withoutKey(attempt: Attempt, tried: readonly VerificationKey[]): Identified {
    if (tried.length > 0) return conclude(attempt, undefined)
    throw refused(attempt.issuer.tenant, 'unknown_key')
  }

  function checkEffort({ by, who, issuer }: Attempt): void {
    if (by === undefined || effort === undefined) return
    const problem = effort.refuse(by, who)
    if (problem === undefined) return
    events.decided(issuer.tenant, 'refused', problem.error)
    throw problem
  }

  function tryKeys(
    attempt: Attempt,
    keys: readonly VerificationKey[],
  ): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    if (keys.length === 0) throw refused(attempt.issuer.tenant, 'key_mismatch')
    return findSigner(attempt.token, keys)
  }

  function conclude(attempt: Attempt, key: VerificationKey | undefined): Identified {
    const { text, issuer, by, who } = attempt
    events.validationSeconds(Math.max(0, monotonicMs() - attempt.startedMs) / 1000)
    if (by !== undefined) effort?.[key === undefined ? 'failed' : 'held'](by, who)
    if (key === undefined) throw refused(issuer.tenant, 'signature')
    const isKept = cache.admits(text)
    const principal = identify(attempt, scopes, !isKept)
    if (typeof principal === 'string') throw refused(issuer.tenant, principal)
    if (isKept) cache.set(text, { principal, issuer, key })
    events.validated(principal.tokenType, principal.algorithm)
    return accepted(principal)
  }

  function accepted(principal: Identified): Identified {
    events.decided(principal.tenant, 'accepted', 'ok')
    return principal
  }

  function refused(tenant: string | undefined, reason: Refusal): Problem {
    events.decided(tenant, 'refused', reason)
    return problemOf(reason)
  }

  async function start(): Promise<void> {
    if (isFirst) takeOwnKeys()
    await trust.start()
  }

  function enter(): void {
    takeOwnKeys()
    trust.enter()
  }

  function takeOwnKeys(): void {
    for (const tenant of trust.own.keys()) keysChanged(tenant)
  }

  function stop(others: readonly Authenticator[] = []): void {
    trust.stop(others.map((other) => other.heritage.trust))
  }

  function keysChanged(tenant: string): void {
    trust.own.get(tenant)?.replace(needs.ownKeys(tenant))
  }

  function jwksAgeSeconds(): readonly { readonly issuer: string; readonly seconds: number }[] {
    return [...trust.foreign].flatMap(([issuer, { remote }]) =>
      remote === undefined ? [] : [{ issuer, seconds: remote.ageSeconds() }],
    )
  }
}

/** Whom a token names, before it is known whether it is right. */
function whoIn(claims: JsonObject): string {
  return `${String(claims['iss'])} ${String(claims['sub'])}`
}
