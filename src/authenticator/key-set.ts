import type { JwsAlgorithm } from '../config/config.ts'
import { isJsonObject, parseJson } from './json.ts'
import { importKey } from './keys.ts'
import type { DropReason, VerificationKey } from './keys.ts'

/** Keys of one issuer at one moment. Never changed, only replaced whole. */
export interface KeySet {
  readonly size: number
  /**
   * The keys to try for a token. Undefined: no key of that name here (or, without a name, none that fits); empty: the
   * key is here and not for this algorithm.
   */
  candidates(kid: string | undefined, algorithm: JwsAlgorithm): readonly VerificationKey[] | undefined
  /** Whether the very key is still in the set. */
  has(key: VerificationKey): boolean
  /** The same key of this set, so that what was verified with it stays verified in the next set. */
  sameAs(key: VerificationKey): VerificationKey
}

const MAX_KEYS = 100
/** A token without `kid` costs at most this many verifications. */
export const MAX_UNNAMED = 4
const NO_KEYS: readonly VerificationKey[] = Object.freeze([])

/** A fault of a whole key set. The message names what is wrong, and nothing that the set holds. */
export class KeySetFault extends Error {
  override readonly name = 'KeySetFault'
}

export interface KeySetOptions {
  readonly symmetric: 'secret' | 'published'
  readonly maxUnnamed: number
  readonly onDropped: (reason: DropReason) => void
}

/** The text of a JWK Set (RFC 7517 §5) as its list of unscreened keys; throws {@link KeySetFault}. */
export function readKeySet(bytes: Uint8Array): readonly unknown[] {
  const parsed = parseJson(bytes)
  if (parsed === undefined) throw new KeySetFault('the key set is not JSON')
  const keys = isJsonObject(parsed) ? parsed['keys'] : undefined
  if (!Array.isArray(keys)) throw new KeySetFault('the key set has no list of keys')
  if (keys.length > MAX_KEYS) throw new KeySetFault(`the key set has more than ${MAX_KEYS} keys`)
  return keys
}

/** Screens and imports what it can. A bad key never sinks the others; a set without a usable key is empty. */
export function createKeySet(jwks: readonly unknown[], previous: KeySet, options: KeySetOptions): KeySet {
  const imported = new Map<string, VerificationKey>()
  for (const jwk of jwks) {
    const key = importKey(jwk, options.symmetric)
    if (typeof key === 'string') options.onDropped(key)
    else imported.set(key.identity, previous.sameAs(key))
  }
  return indexKeys(withoutAmbiguous([...imported.values()], options.onDropped), options.maxUnnamed)
}

/**
 * RFC 7517 §4.5 lets one `kid` name alternatives of different types; two keys that could verify the same token under one
 * name are a fault, and neither is trusted.
 */
function withoutAmbiguous(keys: readonly VerificationKey[], onDropped: (reason: DropReason) => void): readonly VerificationKey[] {
  return keys.filter((key) => {
    const ambiguous = key.kid !== undefined && keys.some((other) => other !== key && other.kid === key.kid && overlap(key, other))
    if (ambiguous) onDropped('duplicate_kid')
    return !ambiguous
  })
}

function overlap(one: VerificationKey, other: VerificationKey): boolean {
  for (const algorithm of one.methods.keys()) {
    if (other.methods.has(algorithm)) return true
  }
  return false
}

function indexKeys(keys: readonly VerificationKey[], maxUnnamed: number): KeySet {
  const byIdentity = new Map(keys.map((key) => [key.identity, key]))
  const members = new Set(keys)
  const byAlgorithm = new Map<JwsAlgorithm, VerificationKey[]>()
  const byKid = new Map<string, Map<JwsAlgorithm, VerificationKey[]>>()
  for (const key of keys) {
    for (const algorithm of key.methods.keys()) {
      const fitting = listAt(byAlgorithm, algorithm)
      if (fitting.length < maxUnnamed) fitting.push(key)
      if (key.kid === undefined) continue
      const named = byKid.get(key.kid) ?? new Map<JwsAlgorithm, VerificationKey[]>()
      byKid.set(key.kid, named)
      listAt(named, algorithm).push(key)
    }
  }
  return {
    size: keys.length,
    candidates(kid, algorithm) {
      if (kid === undefined) return byAlgorithm.get(algorithm)
      const named = byKid.get(kid)
      return named === undefined ? undefined : (named.get(algorithm) ?? NO_KEYS)
    },
    has: (key) => members.has(key),
    sameAs: (key) => byIdentity.get(key.identity) ?? key,
  }
}

function listAt(map: Map<JwsAlgorithm, VerificationKey[]>, algorithm: JwsAlgorithm): VerificationKey[] {
  const list = map.get(algorithm) ?? []
  map.set(algorithm, list)
  return list
}

export const EMPTY_KEY_SET: KeySet = indexKeys([], 0)
