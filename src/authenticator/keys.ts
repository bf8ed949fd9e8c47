import { createPublicKey, createSecretKey, hash } from 'node:crypto'
import type { KeyObject, VerifyKeyObjectInput } from 'node:crypto'
import type { JwsAlgorithm } from '../config/config.ts'
import { ALGORITHMS, ALGORITHM_NAMES, algorithmOf, paddingOf } from './algorithms.ts'
import type { AlgorithmFacts } from './algorithms.ts'
import { decodeBase64url } from './base64url.ts'
import { isJsonObject } from './json.ts'
import type { JsonObject } from './json.ts'
import { hasRocaFingerprint } from './roca.ts'

/** How one key verifies under one algorithm, ready for node:crypto. */
export interface Method {
  readonly kind: 'signature' | 'mac'
  readonly hash: string | undefined
  readonly input: VerifyKeyObjectInput
  readonly secret: KeyObject
  readonly signatureBytes: number
}

/** A key that passed the screening. It alone says under which algorithms it may be used. */
export interface VerificationKey {
  readonly kid: string | undefined
  readonly methods: ReadonlyMap<JwsAlgorithm, Method>
  /** Same for the same key material, `kid` and `alg`; nothing can be learnt from it. */
  readonly identity: string
  /** Whether verifying takes less of the main thread than handing it to another one would. */
  readonly inline: boolean
}

/** Why a key of a set is not used. */
export type DropReason =
  | 'not_an_object'
  | 'kty'
  | 'kid'
  | 'use'
  | 'key_ops'
  | 'alg'
  | 'crv'
  | 'private'
  | 'symmetric'
  | 'malformed'
  | 'modulus'
  | 'exponent'
  | 'weak'
  | 'too_short'
  | 'duplicate_kid'

interface Material {
  readonly key: KeyObject
  readonly signatureBytes?: number
  readonly secretBytes?: number
  readonly inline: boolean
}

/** RFC 7518 §6.2.2, §6.3.2, RFC 8037 §2. A set that holds one was published by mistake: its key is burnt. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth'] as const

const MIN_MODULUS_BITS = 2048
const MAX_MODULUS_BITS = 8192
/** Verifying with this key costs 23 µs here against 25 µs (and 45 µs more latency) through the thread pool; 4096 bits: 70 against 29. */
const MAX_INLINE_MODULUS_BITS = 3072
const FIELD_BYTES: ReadonlyMap<string, number> = new Map([
  ['P-256', 32],
  ['P-384', 48],
  ['P-521', 66],
])

/**
 * Screens one JSON Web Key (RFC 7517 §4) and imports it.
 *
 * @param symmetric whether this is a secret of the configuration; a key of a published set never is.
 */
export function importKey(jwk: unknown, symmetric: 'secret' | 'published'): VerificationKey | DropReason {
  if (!isJsonObject(jwk)) return 'not_an_object'
  const { kty, kid, use, alg: named, crv } = membersOf(jwk)
  const alg = algorithmOf(named)
  if (kid !== undefined && typeof kid !== 'string') return 'kid'
  if (use !== undefined && use !== 'sig') return 'use'
  const operations = jwk['key_ops']
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return 'key_ops'
  if (named !== undefined && alg === undefined) return 'alg'
  if (kty === 'oct' && symmetric === 'published') return 'symmetric'
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(jwk, name))) return 'private'
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP' && kty !== 'oct') return 'kty'
  const material = importMaterial(jwk, kty)
  if (typeof material === 'string') return material
  const methods = methodsOf(material, { kty, crv, alg })
  if (methods.size === 0) return kty === 'oct' ? 'too_short' : 'alg'
  return { kid, methods, identity: identityOf(jwk), inline: material.inline }
}

function membersOf(jwk: JsonObject): Record<'kty' | 'kid' | 'use' | 'alg' | 'crv', unknown> {
  return { kty: jwk['kty'], kid: jwk['kid'], use: jwk['use'], alg: jwk['alg'], crv: jwk['crv'] }
}

function importMaterial(jwk: JsonObject, kty: AlgorithmFacts['kty']): Material | DropReason {
  if (kty === 'RSA') return importRsa(jwk)
  if (kty === 'EC') return importEc(jwk)
  if (kty === 'OKP') return importOkp(jwk)
  const secret = decodeBase64url(jwk['k'])
  if (secret === undefined) return 'malformed'
  return { key: createSecretKey(secret), secretBytes: secret.length, inline: true }
}

function importRsa(jwk: JsonObject): Material | DropReason {
  const modulus = toInteger(jwk['n'])
  const exponent = toInteger(jwk['e'])
  if (modulus === undefined || exponent === undefined) return 'malformed'
  const bits = modulus.toString(2).length
  if (bits < MIN_MODULUS_BITS || bits > MAX_MODULUS_BITS || (modulus & 1n) === 0n) return 'modulus'
  if (exponent < 3n || exponent >= 1n << 32n || (exponent & 1n) === 0n) return 'exponent'
  if (hasRocaFingerprint(modulus)) return 'weak'
  const key = createKey({ kty: 'RSA', n: jwk['n'], e: jwk['e'] })
  if (key === undefined) return 'malformed'
  return { key, signatureBytes: Math.ceil(bits / 8), inline: bits <= MAX_INLINE_MODULUS_BITS }
}

function importEc(jwk: JsonObject): Material | DropReason {
  const crv = jwk['crv']
  const bytes = typeof crv === 'string' ? FIELD_BYTES.get(crv) : undefined
  if (bytes === undefined) return 'crv'
  // RFC 7518 §6.2.1.2: the full size of a coordinate, leading zeros included.
  if (decodeBase64url(jwk['x'])?.length !== bytes || decodeBase64url(jwk['y'])?.length !== bytes) return 'malformed'
  const key = createKey({ kty: 'EC', crv, x: jwk['x'], y: jwk['y'] })
  return key === undefined ? 'malformed' : { key, inline: false }
}

function importOkp(jwk: JsonObject): Material | DropReason {
  if (jwk['crv'] !== 'Ed25519') return 'crv'
  if (decodeBase64url(jwk['x'])?.length !== 32) return 'malformed'
  const key = createKey({ kty: 'OKP', crv: 'Ed25519', x: jwk['x'] })
  return key === undefined ? 'malformed' : { key, inline: false }
}

/** The import itself: it refuses what is not a point of the curve. */
function createKey(jwk: Record<string, unknown>): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    // The set goes on without it; the reason is counted by the caller.
    return undefined
  }
}

/** Every algorithm the key may be used for: what its `alg` says, else what fits its type and curve. */
function methodsOf(material: Material, jwk: { kty: string; crv: unknown; alg: unknown }): ReadonlyMap<JwsAlgorithm, Method> {
  const methods = new Map<JwsAlgorithm, Method>()
  for (const name of ALGORITHM_NAMES) {
    const facts = ALGORITHMS[name]
    if (facts.kty !== jwk.kty || (jwk.alg !== undefined && jwk.alg !== name)) continue
    if (facts.crv !== undefined && facts.crv !== jwk.crv) continue
    if (material.secretBytes !== undefined && material.secretBytes < facts.hashBytes) continue
    methods.set(name, methodOf(facts, material))
  }
  return methods
}

function methodOf(facts: AlgorithmFacts, material: Material): Method {
  return {
    kind: facts.kty === 'oct' ? 'mac' : 'signature',
    hash: facts.hash,
    input: Object.freeze({
      key: material.key,
      ...(facts.kty === 'RSA' ? paddingOf(facts) : {}),
      ...(facts.kty === 'EC' ? { dsaEncoding: 'ieee-p1363' as const } : {}),
    }),
    secret: material.key,
    signatureBytes: facts.signatureBytes ?? material.signatureBytes ?? 0,
  }
}

function identityOf(jwk: JsonObject): string {
  const members = ['kid', 'alg', 'kty', 'crv', 'n', 'e', 'x', 'y', 'k'].map((name) => jwk[name] ?? null)
  return hash('sha256', JSON.stringify(members), 'base64url')
}

function toInteger(text: unknown): bigint | undefined {
  const bytes = decodeBase64url(text)
  return bytes === undefined ? undefined : BigInt(`0x${bytes.toString('hex')}`)
}
