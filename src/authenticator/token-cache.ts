import { hash } from 'node:crypto'
import type { Config } from '../config/config.ts'
import { ownText, type Identified } from '../exchange/exchange.ts'
import type { VerificationKey } from './keys.ts'
import type { TrustedIssuer } from './trust.ts'

/** A token that was accepted. Nothing in it depends on a route. */
export interface VerifiedToken {
  readonly principal: Identified
  readonly issuer: TrustedIssuer
  /** The key that verified it: when it leaves its ring, the entry is void. */
  readonly key: VerificationKey
}

/** By the whole text of a token. */
export interface TokenCache {
  get(token: string): VerifiedToken | undefined
  /** Whether there is a place for a token that is not here. Asked once for each time that it was verified. */
  admits(token: string): boolean
  /** Keeps one that was admitted. */
  set(token: string, verified: VerifiedToken): void
  delete(token: string): void
}

interface CacheClock {
  /** Milliseconds of a clock that is never set back. */
  monotonicMs(): number
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
}

/** Its neighbours are those that were used before and after it. */
interface Kept extends VerifiedToken {
  readonly token: string
  readonly number: number
  readonly sinceMs: number
  older: Kept | undefined
  newer: Kept | undefined
}

/**
 * The verified tokens of one configuration, at most `entries` of them, the least recently used leaving first, and none for
 * longer than its `lifetimeMs`.
 *
 * Where it is full of tokens that may still be used, one takes a place the second time that it is verified: those that are shown
 * once, however many, drive out none that others come back with, and what is kept of them does not have to be cleared away.
 *
 * Only whoever holds the very same token finds its entry: all of it is compared, since a part of it, or its id, would be shared
 * by forgeries. Expiry and key are the caller's to check on every hit.
 *
 * A hash of the token (SHA-256) would take ten times as long to make as the look-up takes, and a map by the token would first
 * enter each that it does not know into the engine's table of strings. So it is found by a number that is made of its end: of
 * two that have the same one the later takes the place, and the other is verified again.
 */
export function createTokenCache({ entries, lifetimeMs }: Config['tokenCache'], clock: CacheClock): TokenCache {
  const cache = new Map<number, Kept>()
  const isKnown = createDoor(entries)
  let newest: Kept | undefined
  let oldest: Kept | undefined
  return { get, admits, set, delete: forget }

  function get(token: string): VerifiedToken | undefined {
    const kept = cache.get(numberOf(token))
    if (kept === undefined || kept.token !== token || isOld(kept)) return undefined
    if (kept !== newest) {
      unlink(kept)
      link(kept)
    }
    return kept
  }

  function admits(token: string): boolean {
    if (cache.size < entries || oldest === undefined || isOver(oldest)) return true
    const number = numberOf(token)
    return cache.has(number) || isKnown(number)
  }

  function set(token: string, { principal, issuer, key }: VerifiedToken): void {
    const number = numberOf(token)
    remove(cache.get(number))
    if (cache.size >= entries) remove(oldest)
    const sinceMs = clock.monotonicMs()
    const kept: Kept = { principal, issuer, key, token: ownText(token), number, sinceMs, older: undefined, newer: undefined }
    cache.set(number, kept)
    link(kept)
  }

  function isOld(kept: Kept): boolean {
    return clock.monotonicMs() - kept.sinceMs >= lifetimeMs
  }

  function isOver(kept: Kept): boolean {
    const { expiresAt, skewSeconds } = kept.principal
    return isOld(kept) || expiresAt + skewSeconds <= clock.nowMs() / 1000
  }

  function forget(token: string): void {
    const kept = cache.get(numberOf(token))
    if (kept?.token === token) remove(kept)
  }

  function remove(kept: Kept | undefined): void {
    if (kept === undefined) return
    cache.delete(kept.number)
    unlink(kept)
  }

  function link(kept: Kept): void {
    kept.older = newest
    if (newest !== undefined) newest.newer = kept
    newest = kept
    oldest ??= kept
  }

  function unlink(kept: Kept): void {
    const { older, newer } = kept
    if (older === undefined) oldest = newer
    else older.newer = newer
    if (newer === undefined) newest = older
    else newer.older = older
    kept.older = undefined
    kept.newer = undefined
  }
}

/** Says whether it was asked the same lately, and remembers: about as many numbers as there are places. */
function createDoor(places: number): (number: number) => boolean {
  const mask = 2 ** Math.ceil(Math.log2(Math.max(places, LEAST_DOOR))) - 1
  let seen: Int32Array | undefined
  return (number) => {
    seen ??= new Int32Array(mask + 1)
    const at = number & mask
    const before = seen[at]
    seen[at] = number
    return before === number
  }
}

const LEAST_DOOR = 16

/** So many characters of a signature are as good as chance, and nobody but who signs chooses them. */
const SAMPLED = 12

/** Of 30 bits, which the engine keeps without a box. */
function numberOf(token: string): number {
  let number = token.length
  for (let at = Math.max(0, token.length - SAMPLED); at < token.length; at += 1) {
    number = Math.imul(number, 0x01000193) ^ token.charCodeAt(at)
  }
  return (number ^ (number >>> 15)) & 0x3fffffff
}

/**
 * An id for a token without one: `sha256.` and its hash in base64url. It is no secret: nothing of the token can be found from
 * it. One token has one text only where its signature has (HMAC, in strict base64url).
 */
export function digestId(token: string): string {
  return `sha256.${hash('sha256', token, 'base64url')}`
}
