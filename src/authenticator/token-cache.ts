import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Config } from '../config/config.ts'
import type { Identified } from '../exchange/exchange.ts'
import type { VerificationKey } from './keys.ts'
import type { TrustedIssuer } from './trust.ts'

/** A token that was accepted. Nothing in it depends on a route. */
export interface VerifiedToken {
  readonly principal: Identified
  readonly issuer: TrustedIssuer
  /** The key that verified it: when it leaves its ring, the entry is void. */
  readonly key: VerificationKey
}

export interface TokenCache {
  get(key: string): VerifiedToken | undefined
  set(key: string, token: VerifiedToken): void
  delete(key: string): void
}

interface Kept extends VerifiedToken {
  readonly sinceMs: number
}

/**
 * The verified tokens of one configuration, at most `entries` of them, the least recently used leaving first, and none for
 * longer than its `lifetimeMs`.
 *
 * Only whoever holds the very same token finds its entry; expiry and key are the caller's to check on every hit.
 */
export function createTokenCache({ entries, lifetimeMs }: Config['tokenCache'], monotonicMs: () => number): TokenCache {
  const cache = new LRUCache<string, Kept>({ max: entries })
  return {
    get(key) {
      const kept = cache.get(key)
      return kept !== undefined && monotonicMs() - kept.sinceMs < lifetimeMs ? kept : undefined
    },
    set: (key, token) => void cache.set(key, { ...token, sinceMs: monotonicMs() }),
    delete: (key) => void cache.delete(key),
  }
}

/** SHA-256 of the whole token: a part of it, or its id, would be shared by forgeries. One character a byte: 1.2 µs. */
export function cacheKey(token: string): string {
  return hash('sha256', token, 'latin1')
}

/**
 * An id for a token without one, from its {@link cacheKey}: `sha256.` and the hash in base64url. It is no secret: nothing of
 * the token can be found from it. One token has one text only where its signature has (HMAC, in strict base64url).
 */
export function digestId(key: string): string {
  return `sha256.${Buffer.from(key, 'latin1').toString('base64url')}`
}
