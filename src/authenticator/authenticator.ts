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
import { areWellTyped, identify, judgeClaims } from './claims.ts'
import { createCsrf } from './csrf.ts'
import type { CsrfConfig } from './csrf.ts'
import { NO_AUTHORIZATION, REPEATED_AUTHORIZATION, bearerToken, findAuthorization } from './extractor.ts'
import type { JsonObject } from './json.ts'
import type { VerificationKey } from './keys.ts'
import { problemOf } from './refusals.ts'
import type { Refusal } from './refusals.ts'
import { cacheKey, createTokenCache, digestId } from './token-cache.ts'
import { MAX_TOKEN_LENGTH, readClaims, readCompact } from './token.ts'
import type { CompactToken } from './token.ts'
import { createTrust } from './trust.ts'
import type { TrustedIssuer } from './trust.ts'
import { findSigner } from './verifier.ts'

export { createJwtVerifier } from './jwt-verifier.ts'

/** A public key of a tenant of the gateway, as it is published (RFC 7517 §4), with the members of its type besides. */
export interface PublicJwk {
  readonly kty: string
  readonly kid: string
  readonly alg: string
  readonly use?: string
}

/** What is told as it happens, for metrics. Every string is from a short fixed list or from the configuration. */
export interface AuthenticatorEvents {
  /** Once for each request. `reason` is `ok`, `public`, `no_token` or why a token was refused. */
  decided(tenant: string | undefined, result: 'accepted' | 'refused' | 'anonymous', reason: string): void
  cache(result: 'hit' | 'miss'): void
  /** A signature was verified; not told for a cached token. */
  validated(tokenType: string, algorithm: string): void
  /** Time that a token which was not in the cache took, waiting for keys included. */
  validationSeconds(seconds: number): void
  /** `cause`: why it failed. */
  jwksFetched(issuer: string, result: 'ok' | 'error', cause?: unknown): void
  keyDropped(issuer: string, reason: string): void
}

export interface AuthenticatorNeeds {
  readonly fetch: typeof globalThis.fetch
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** A clock that is never set back, milliseconds, for delays and ages; default: `nowMs`. */
  monotonicMs?(): number
  /** 0 to 1. */
  random(): number
  /** Runs `run` once after `delayMs` without keeping the process alive; returns the way to cancel it. */
  schedule(delayMs: number, run: () => void): () => void
  readFile(path: string): Promise<string>
  /** Keys of a tenant that verify now. Read by `start` and after `keysChanged`. */
  ownKeys(tenant: string): readonly PublicJwk[]
  /**
   * Reads the keys of a tenant again, and calls `keysChanged` before it resolves where they are others now. Asked once a
   * second at most for each tenant, when a token names a key that is unknown. Never rejects; absent: there is nothing to read.
   */
  reloadOwnKeys?(tenant: string): Promise<void>
  readonly events: AuthenticatorEvents
}

export interface Authenticator {
  /**
   * Adds the principal. Answers at once for a cached token, an anonymous request, an RSA or HMAC signature and most
   * refusals; throws or rejects with a {@link Problem}.
   */
  authenticate(exchange: Routed): Authenticated | Promise<Authenticated>
  /** The same for a token that stands elsewhere than in a header. Throws or rejects with a {@link Problem}. */
  verify(token: string): Identified | Promise<Identified>
  /** The text of the token that {@link authenticate} took: of the one header, else of the one cookie. It is a secret. */
  tokenOf(exchange: Arrived): string | undefined
  /**
   * For endpoints that set cookies, or take one as the proof of who asks: whether a page of ours sends the request.
   *
   * @throws Problem `cross_site_request`
   */
  checkOrigin(exchange: Arrived): void
  /**
   * Loads every key. Waits for the first attempt at each issuer, at most its timeout, and goes on without those that
   * fail; rejects when the key file of an issuer cannot be used.
   */
  start(): Promise<void>
  /** Fetches no more. */
  stop(): void
  /** The keys of a tenant of the gateway are others now: tokens of a key that left are refused from here on. */
  keysChanged(tenant: string): void
  /** Age of the key set of each issuer that publishes one; infinite while none was fetched. */
  jwksAgeSeconds(): readonly { readonly issuer: string; readonly seconds: number }[]
}

/** A token that is not in the cache, on its way. */
interface Attempt {
  readonly cacheKey: string
  readonly token: CompactToken
  readonly claims: JsonObject
  readonly issuer: TrustedIssuer
  readonly startedMs: number
}

const NO_KEYS: readonly VerificationKey[] = Object.freeze([])

export type AuthenticatorConfig = Pick<Config, 'tenants' | 'issuers' | 'tokenCache'> & CsrfConfig

/** Throws when the issuers contradict each other or a secret is too short. */
export function createAuthenticator(needs: AuthenticatorNeeds, config: AuthenticatorConfig): Authenticator {
  const { events } = needs
  const monotonicMs = needs.monotonicMs?.bind(needs) ?? needs.nowMs.bind(needs)
  const reloadOwnKeys = needs.reloadOwnKeys?.bind(needs) ?? (() => Promise.resolve())
  const trust = createTrust({ ...needs, monotonicMs, reloadOwnKeys }, config)
  const cache = createTokenCache(config.tokenCache, monotonicMs)
  const csrf = createCsrf(config)
  return { authenticate, verify, tokenOf, checkOrigin, start, stop, keysChanged, jwksAgeSeconds }

  function authenticate(exchange: Routed): Authenticated | Promise<Authenticated> {
    if (exchange.route.auth === 'public') return anonymous(exchange, 'public')
    const found = findAuthorization(exchange.rawHeaders)
    if (found === REPEATED_AUTHORIZATION) throw refused(undefined, 'repeated_authorization')
    if (found === NO_AUTHORIZATION) return fromCookie(exchange)
    const token = bearerToken(exchange.rawHeaders[found] ?? '')
    if (token === undefined) return withoutToken(exchange)
    const principal = verify(token)
    if (principal instanceof Promise) return principal.then((verified) => ({ ...exchange, principal: verified }))
    return { ...exchange, principal }
  }

  function fromCookie(exchange: Routed): Authenticated | Promise<Authenticated> {
    const cookies = cookieValues(exchange.rawHeaders, ACCESS_COOKIE)
    const [token] = cookies
    if (token === undefined) return withoutToken(exchange)
    if (cookies.length > 1) throw refused(undefined, 'repeated_cookie')
    if (!csrf.admits(exchange)) throw refused(undefined, 'cross_site')
    const principal = verify(token)
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

  function checkOrigin(exchange: Arrived): void {
    // Not counted: what was decided about the request was told when it came.
    if (!csrf.isOwnPage(exchange)) throw problemOf('cross_site')
  }

  function verify(token: string): Identified | Promise<Identified> {
    if (token.length > MAX_TOKEN_LENGTH) throw refused(undefined, 'too_large')
    const key = cacheKey(token)
    return fromCache(key) ?? judge(token, key)
  }

  function anonymous(exchange: Routed, reason: string): Authenticated {
    events.decided(undefined, 'anonymous', reason)
    return { ...exchange, principal: ANONYMOUS }
  }

  function fromCache(key: string): Identified | undefined {
    const known = cache.get(key)
    if (known !== undefined && known.issuer.keys.holds(known.key)) {
      const { principal } = known
      events.cache('hit')
      if (principal.expiresAt + principal.skewSeconds > needs.nowMs() / 1000) return accepted(principal)
      cache.delete(key)
      throw refused(principal.tenant, 'expired')
    }
    if (known !== undefined) cache.delete(key)
    events.cache('miss')
    return undefined
  }

  function judge(text: string, key: string): Identified | Promise<Identified> {
    const startedMs = monotonicMs()
    const token = readCompact(text)
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
    return verifySignature({ cacheKey: key, token, claims, issuer, startedMs })
  }

  function verifySignature(attempt: Attempt): Identified | Promise<Identified> {
    const { token, issuer } = attempt
    const candidates = issuer.keys.candidates(token.kid, token.algorithm)
    if (candidates === undefined) return withNewerKeys(attempt, NO_KEYS)
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

  function tryKeys(
    attempt: Attempt,
    keys: readonly VerificationKey[],
  ): VerificationKey | undefined | Promise<VerificationKey | undefined> {
    if (keys.length === 0) throw refused(attempt.issuer.tenant, 'key_mismatch')
    return findSigner(attempt.token, keys)
  }

  function conclude(attempt: Attempt, key: VerificationKey | undefined): Identified {
    const { token, claims, issuer } = attempt
    events.validationSeconds(Math.max(0, monotonicMs() - attempt.startedMs) / 1000)
    if (key === undefined) throw refused(issuer.tenant, 'signature')
    const principal = identify(token, claims, issuer, () => digestId(attempt.cacheKey))
    if (typeof principal === 'string') throw refused(issuer.tenant, principal)
    cache.set(attempt.cacheKey, { principal, issuer, key })
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
    for (const tenant of trust.own.keys()) keysChanged(tenant)
    await Promise.all([...trust.issuers.values()].map((issuer) => issuer.keys.start()))
  }

  function stop(): void {
    for (const issuer of trust.issuers.values()) issuer.keys.stop()
  }

  function keysChanged(tenant: string): void {
    trust.own.get(tenant)?.replace(needs.ownKeys(tenant))
  }

  function jwksAgeSeconds(): readonly { readonly issuer: string; readonly seconds: number }[] {
    return [...trust.remote].map(([issuer, ring]) => ({ issuer, seconds: ring.ageSeconds() }))
  }
}
