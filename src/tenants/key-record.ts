import { createPrivateKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { SigningAlgorithm } from '../config/config.ts'
import { KeySetError } from './seal.ts'
import type { PublicJwk } from './tenants.ts'

/**
 * Life of a key: published; signing; published still, because tokens of it live; over. `revoked` ends any of the first three
 * at once.
 */
export type KeyState = (typeof STATES)[number]

/** A key of a set. Printing one shows the public part alone: a KeyObject does not show its material. Times: seconds since 1970. */
export interface KeyRecord {
  readonly state: KeyState
  readonly alg: SigningAlgorithm
  /** RFC 7638 thumbprint. */
  readonly kid: string
  readonly createdAt: number
  /** When it came into its state. */
  readonly since: number
  /** Of a `next` key: when it becomes current. Of a `previous` one: when no token of it lives any more. */
  readonly until?: number
  /** Of a `current` key: the longest life of a token that it may have signed, clock skew included. */
  readonly tokenSeconds?: number
  /** Why it was revoked. */
  readonly reason?: string
  /** Of a published key. */
  readonly publicJwk?: PublicJwk
  /** Of a key that signs or will. It is forgotten when the key signs no more. */
  readonly privateKey?: KeyObject
}

const STATES = ['next', 'current', 'previous', 'retired', 'revoked'] as const
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const
const VERSION = 1

/** Public members by key type: RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2. What is not named here is never published. */
const PUBLIC_MEMBERS = ['n', 'e', 'crv', 'x', 'y'] as const

/** The text that is sealed. */
export function writeKeySet(owner: string, records: readonly KeyRecord[]): string {
  const keys = records.map((record) => ({
    state: record.state,
    alg: record.alg,
    created_at: record.createdAt,
    state_since: record.since,
    ends_at: record.until,
    token_seconds: record.tokenSeconds,
    reason: record.reason,
    kid: record.kid,
    jwk: record.privateKey?.export({ format: 'jwk' }) ?? record.publicJwk,
  }))
  return JSON.stringify({ version: VERSION, owner, keys })
}

/** @throws KeySetError without a word of the content */
export function readKeySet(owner: string, content: string): readonly KeyRecord[] {
  let set: unknown
  try {
    set = JSON.parse(content)
  } catch {
    // Without the cause: its message quotes the content.
    throw malformed(owner)
  }
  if (!isRecord(set) || set['version'] !== VERSION || set['owner'] !== owner || !Array.isArray(set['keys']))
    throw malformed(owner)
  return set['keys'].map((key: unknown) => readKey(owner, key))
}

/** The public part of a key, as it is published. Frozen. */
export function publicJwkOf(kid: string, alg: SigningAlgorithm, jwk: Readonly<Record<string, unknown>>): PublicJwk {
  const members: Record<string, string> = {}
  for (const name of PUBLIC_MEMBERS) {
    const value = jwk[name]
    if (typeof value === 'string') members[name] = value
  }
  return Object.freeze({ kty: typeof jwk['kty'] === 'string' ? jwk['kty'] : '', kid, alg, use: 'sig', ...members })
}

function readKey(owner: string, value: unknown): KeyRecord {
  if (!isRecord(value)) throw malformed(owner)
  const { kid, created_at: createdAt, state_since: since, ends_at: until, token_seconds: tokenSeconds, reason } = value
  const state = STATES.find((known) => known === value['state'])
  const alg = ALGORITHMS.find((known) => known === value['alg'])
  if (state === undefined || alg === undefined || typeof kid !== 'string') throw malformed(owner)
  if (typeof createdAt !== 'number' || typeof since !== 'number') throw malformed(owner)
  return {
    state,
    alg,
    kid,
    createdAt,
    since,
    ...(typeof until === 'number' && { until }),
    ...(typeof tokenSeconds === 'number' && { tokenSeconds }),
    ...(typeof reason === 'string' && { reason }),
    ...readMaterial(owner, { state, alg, kid, jwk: value['jwk'] }),
  }
}

interface Stored extends Pick<KeyRecord, 'state' | 'alg' | 'kid'> {
  readonly jwk: unknown
}

function readMaterial(owner: string, { state, alg, kid, jwk }: Stored): Pick<KeyRecord, 'publicJwk' | 'privateKey'> {
  if (state === 'retired' || state === 'revoked') return {}
  if (!isRecord(jwk)) throw malformed(owner)
  const publicJwk = publicJwkOf(kid, alg, jwk)
  return state === 'previous' ? { publicJwk } : { publicJwk, privateKey: readPrivateKey(owner, jwk) }
}

function readPrivateKey(owner: string, jwk: Readonly<Record<string, unknown>>): KeyObject {
  try {
    return createPrivateKey({ key: stringMembers(jwk), format: 'jwk' })
  } catch {
    // Without the cause: it was made from the private key.
    throw malformed(owner)
  }
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
