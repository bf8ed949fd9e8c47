import { createHmac, createVerify, timingSafeEqual, verify } from 'node:crypto'
import type { JwsAlgorithm } from '../config/config.ts'
import type { KeySet } from './key-set.ts'
import type { Method, VerificationKey } from './keys.ts'
import type { Refusal } from './refusals.ts'
import { readCompact } from './token.ts'
import type { CompactToken } from './token.ts'

/**
 * The first of `keys` that signed the token, or undefined.
 *
 * Answers at once where that is cheaper (see `inline`), else from the thread pool: ES512 would hold the main thread for
 * more than a millisecond, for whoever sends a forged one. node:crypto and not WebCrypto, which hands every signature to
 * another thread: what `bench/micro/choices.ts` measures.
 */
export function findSigner(
  token: CompactToken,
  keys: readonly VerificationKey[],
): VerificationKey | undefined | Promise<VerificationKey | undefined> {
  const data = Buffer.from(token.signed, 'latin1')
  for (const [index, key] of keys.entries()) {
    if (!key.inline) return findSignerLater(token, data, keys.slice(index))
    const method = key.methods.get(token.algorithm)
    if (method !== undefined && isSignedInline(method, data, token.signature)) return key
  }
  return undefined
}

async function findSignerLater(
  token: CompactToken,
  data: Buffer,
  keys: readonly VerificationKey[],
): Promise<VerificationKey | undefined> {
  for (const key of keys) {
    const method = key.methods.get(token.algorithm)
    if (method !== undefined && (await isSigned(method, data, token.signature))) return key
  }
  return undefined
}

function isSignedInline(method: Method, data: Buffer, signature: Buffer): boolean {
  if (signature.length !== method.signatureBytes) return false
  const { hash, input } = method
  if (method.kind === 'mac') return hash !== undefined && isMac(hash, method, data, signature)
  try {
    // The one-shot `verify` takes a tenth more of a request that shows a new token.
    return hash === undefined ? verify(hash, data, input, signature) : createVerify(hash).update(data).verify(input, signature)
  } catch {
    // OpenSSL gives up on some forged signatures with an error instead of an answer: they are forged all the same.
    return false
  }
}

function isMac(hash: string, method: Method, data: Buffer, mac: Buffer): boolean {
  return timingSafeEqual(createHmac(hash, method.secret).update(data).digest(), mac)
}

function isSigned(method: Method, data: Buffer, signature: Buffer): Promise<boolean> {
  // The length is fixed by the algorithm (RFC 7518 §3.4, RFC 8032 §5.1.6); a DER form or a cut one has another.
  if (signature.length !== method.signatureBytes) return Promise.resolve(false)
  return new Promise((resolve) => {
    // An error is a forged signature that OpenSSL gave up on, as above.
    verify(method.hash, data, method.input, signature, (error, result) => resolve(error === null && result))
  })
}

/**
 * Verifies a compact JWS with a key set, before any claim is read: form, header, algorithm, key, signature.
 *
 * @returns `ok`, or why not.
 */
export async function verifyCompact(
  token: string,
  keys: Pick<KeySet, 'candidates'>,
  algorithms: ReadonlySet<JwsAlgorithm>,
): Promise<'ok' | Refusal> {
  const compact = readCompact(token)
  if (typeof compact === 'string') return compact
  if (!algorithms.has(compact.algorithm)) return 'algorithm'
  const candidates = keys.candidates(compact.kid, compact.algorithm)
  if (candidates === undefined) return 'unknown_key'
  if (candidates.length === 0) return 'key_mismatch'
  return (await findSigner(compact, candidates)) === undefined ? 'signature' : 'ok'
}
