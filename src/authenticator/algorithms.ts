import { constants } from 'node:crypto'
import type { JwsAlgorithm } from '../config/config.ts'

/** What a JWS algorithm asks of a key and how it is computed (RFC 7518 §3, RFC 8037 §3.1). */
export interface AlgorithmFacts {
  readonly kty: 'RSA' | 'EC' | 'OKP' | 'oct'
  /** Undefined for EdDSA, which has a hash of its own. */
  readonly hash: 'sha256' | 'sha384' | 'sha512' | undefined
  readonly crv?: string
  readonly pss?: boolean
  /** Length of the hash, bytes: the salt of PSS and the shortest secret of an HMAC (RFC 7518 §3.2, §3.5). */
  readonly hashBytes: number
  /** Length of a signature, bytes, where the algorithm fixes it. */
  readonly signatureBytes?: number
}

export const ALGORITHMS: Readonly<Record<JwsAlgorithm, AlgorithmFacts>> = {
  RS256: { kty: 'RSA', hash: 'sha256', hashBytes: 32 },
  RS384: { kty: 'RSA', hash: 'sha384', hashBytes: 48 },
  RS512: { kty: 'RSA', hash: 'sha512', hashBytes: 64 },
  PS256: { kty: 'RSA', hash: 'sha256', hashBytes: 32, pss: true },
  PS384: { kty: 'RSA', hash: 'sha384', hashBytes: 48, pss: true },
  PS512: { kty: 'RSA', hash: 'sha512', hashBytes: 64, pss: true },
  ES256: { kty: 'EC', crv: 'P-256', hash: 'sha256', hashBytes: 32, signatureBytes: 64 },
  ES384: { kty: 'EC', crv: 'P-384', hash: 'sha384', hashBytes: 48, signatureBytes: 96 },
  ES512: { kty: 'EC', crv: 'P-521', hash: 'sha512', hashBytes: 64, signatureBytes: 132 },
  EdDSA: { kty: 'OKP', crv: 'Ed25519', hash: undefined, hashBytes: 64, signatureBytes: 64 },
  HS256: { kty: 'oct', hash: 'sha256', hashBytes: 32, signatureBytes: 32 },
  HS384: { kty: 'oct', hash: 'sha384', hashBytes: 48, signatureBytes: 48 },
  HS512: { kty: 'oct', hash: 'sha512', hashBytes: 64, signatureBytes: 64 },
}

const NAMES = new Set<string>(Object.keys(ALGORITHMS))

/** True for the names above, to the letter: `none` and its spellings are not among them. */
export function isAlgorithm(value: unknown): value is JwsAlgorithm {
  return typeof value === 'string' && NAMES.has(value)
}

/** RFC 9864 §2.2: `Ed25519` is what `EdDSA` with that curve is called now, and there is no other curve here. */
export function algorithmOf(name: unknown): JwsAlgorithm | undefined {
  if (name === 'Ed25519') return 'EdDSA'
  return isAlgorithm(name) ? name : undefined
}

export const ALGORITHM_NAMES: readonly JwsAlgorithm[] = Object.keys(ALGORITHMS).filter(isAlgorithm)

/** RSA padding of an algorithm, as node:crypto takes it. */
export function paddingOf(facts: AlgorithmFacts): { readonly padding: number; readonly saltLength?: number } {
  if (facts.pss !== true) return { padding: constants.RSA_PKCS1_PADDING }
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: facts.hashBytes }
}
