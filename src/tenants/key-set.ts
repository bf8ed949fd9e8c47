import { createPrivateKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import type { SigningAlgorithm } from '../config/config.ts'
import type { Seal } from './seal.ts'
import { KeySetError } from './seal.ts'
import type { KeyStore, PublicJwk } from './tenants.ts'

/** A key that signs. Printing it shows the public part alone: a KeyObject does not show its material. */
export interface SigningKey {
  readonly privateKey: KeyObject
  readonly publicJwk: PublicJwk
}

export interface KeySet {
  readonly current: SigningKey
  /** Public keys that still verify, or soon will: `next` and `previous`. */
  readonly others: readonly PublicJwk[]
}

export interface KeySetNeeds {
  readonly store: KeyStore
  readonly seal: Seal
  nowSeconds(): number
}

/** Life of a key: published, signing, published still, kept for the record. */
const STATES = ['next', 'current', 'previous', 'retired'] as const
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const

/** Public members by key type: RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2. What is not named here is never published. */
const PUBLIC_MEMBERS = ['n', 'e', 'crv', 'x', 'y'] as const

interface StoredKey {
  readonly state: (typeof STATES)[number]
  readonly alg: SigningAlgorithm
  /** Seconds since 1970. */
  readonly created_at: number
  readonly state_since: number
  readonly kid: string
  readonly jwk: Readonly<Record<string, string>>
}

/** How often two starters with different configurations may overtake each other before it is an error. */
const ATTEMPTS = 5

/** The key set of an owner, with a current key of the wanted algorithm; made or extended when it has none. */
export async function openKeySet(needs: KeySetNeeds, owner: string, algorithm: SigningAlgorithm): Promise<KeySet> {
  let sealed = await needs.store.load(owner)
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const stored = sealed === undefined ? [] : parse(owner, await needs.seal.open(owner, sealed))
    if (stored.some((key) => key.state === 'current' && key.alg === algorithm)) return keySetOf(owner, stored)
    const next = await withNewCurrent(stored, algorithm, needs.nowSeconds())
    const content = JSON.stringify({ version: 1, owner, keys: next })
    sealed = await needs.store.save(owner, await needs.seal.close(owner, content), sealed)
  }
  throw new Error(`the signing keys of ${owner} change all the time: is it configured with two algorithms in two places?`)
}

async function withNewCurrent(stored: readonly StoredKey[], alg: SigningAlgorithm, now: number): Promise<readonly StoredKey[]> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 })
  const jwk = stringMembers(await exportJWK(privateKey))
  const kid = await calculateJwkThumbprint({ kty: '', ...jwk })
  const old = stored.map((key) => (key.state === 'current' ? { ...key, state: 'previous' as const, state_since: now } : key))
  return [{ state: 'current', alg, created_at: now, state_since: now, kid, jwk }, ...old]
}

function keySetOf(owner: string, stored: readonly StoredKey[]): KeySet {
  const current = stored.find((key) => key.state === 'current')
  if (current === undefined) throw malformed(owner)
  const others = stored.filter((key) => key.state === 'next' || key.state === 'previous')
  return {
    current: { privateKey: privateKeyOf(owner, current), publicJwk: publicJwkOf(current) },
    others: others.map(publicJwkOf),
  }
}

function privateKeyOf(owner: string, stored: StoredKey): KeyObject {
  const jwk = { ...stored.jwk }
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    // Without the cause: it was made from the private key.
    throw malformed(owner)
  }
}

function publicJwkOf(stored: StoredKey): PublicJwk {
  const members: Record<string, string> = {}
  for (const name of PUBLIC_MEMBERS) {
    const value = stored.jwk[name]
    if (value !== undefined) members[name] = value
  }
  return Object.freeze({ kty: stored.jwk['kty'] ?? '', kid: stored.kid, alg: stored.alg, use: 'sig', ...members })
}

function parse(owner: string, content: string): readonly StoredKey[] {
  let set: unknown
  try {
    set = JSON.parse(content)
  } catch {
    // Without the cause: its message quotes the content.
    throw malformed(owner)
  }
  if (!isRecord(set) || set['version'] !== 1 || set['owner'] !== owner || !Array.isArray(set['keys'])) throw malformed(owner)
  return set['keys'].map((key: unknown) => {
    const stored = storedKeyOf(key)
    if (stored === undefined) throw malformed(owner)
    return stored
  })
}

function storedKeyOf(value: unknown): StoredKey | undefined {
  if (!isRecord(value) || !isRecord(value['jwk'])) return undefined
  const { kid, created_at, state_since } = value
  const state = STATES.find((known) => known === value['state'])
  const alg = ALGORITHMS.find((known) => known === value['alg'])
  if (state === undefined || alg === undefined || typeof kid !== 'string') return undefined
  if (typeof created_at !== 'number' || typeof state_since !== 'number') return undefined
  return { state, alg, created_at, state_since, kid, jwk: stringMembers(value['jwk']) }
}

function stringMembers(value: object): Record<string, string> {
  const members: Record<string, string> = {}
  for (const [name, member] of Object.entries(value)) if (typeof member === 'string') members[name] = member
  return members
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function malformed(owner: string): KeySetError {
  return new KeySetError('malformed', `the stored signing keys of ${owner} have a form that this version does not know`)
}
