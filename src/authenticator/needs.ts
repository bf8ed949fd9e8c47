import type { Routed } from '../exchange/exchange.ts'
import type { Problem } from '../problem/problem.ts'

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
  /** Absent: every signature is verified. */
  readonly effort?: VerificationEffort
}

/** Says when a signature is not worth verifying. Tokens that are in the cache are never asked about. */
export interface VerificationEffort {
  /**
   * Why the signature of a token that came with this request is not verified; undefined: it is.
   *
   * @param who Issuer and user, as the token says itself.
   */
  refuse(by: Routed, who: string): Problem | undefined
  /** It was verified and does not hold. */
  failed(by: Routed, who: string): void
  /** It holds. */
  held(by: Routed, who: string): void
}
