import { hkdfSync } from 'node:crypto'
import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose'
import type { CompactJWEHeaderParameters } from 'jose'

/** Why a stored key set cannot be used. Says nothing of what is in it. */
export class KeySetError extends Error {
  override readonly name = 'KeySetError'
  readonly code: 'master_key_differs' | 'tampered' | 'malformed'

  constructor(code: KeySetError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** Seals text as a compact JWE (RFC 7516) under a key that is derived from the first master key; opens what any of them sealed. */
export interface Seal {
  close(owner: string, content: string): Promise<string>
  /** @throws KeySetError */
  open(owner: string, sealed: string): Promise<string>
  /** Whether the first master key sealed it: what another one did is to be sealed anew. */
  isOfFirst(sealed: string): boolean
}

/** @param masterKeys 32 bytes each, newest first; at least one */
export function createSeal(masterKeys: readonly Uint8Array[]): Seal {
  const keys = new Map<string, Uint8Array>()
  for (const masterKey of masterKeys) {
    if (masterKey.length !== 32) throw new TypeError('a master key must have 32 bytes')
    keys.set(idOf(masterKey), derive(masterKey, 'gatehouse: sealing of signing keys, version 1', 32))
  }
  const [first] = keys
  if (first === undefined) throw new TypeError('a master key is needed')
  const [kid, key] = first
  return { close, open, isOfFirst: (sealed) => headerOf('', sealed)['kid'] === kid }

  function close(owner: string, content: string): Promise<string> {
    // The header is authenticated: a set that is copied to another owner does not open there.
    const header = { alg: 'dir', enc: 'A256GCM', kid, owner }
    return new CompactEncrypt(Buffer.from(content)).setProtectedHeader(header).encrypt(key)
  }

  async function open(owner: string, sealed: string): Promise<string> {
    const header = headerOf(owner, sealed)
    const opener = keys.get(String(header['kid']))
    if (opener === undefined) {
      throw new KeySetError(
        'master_key_differs',
        `the signing keys of ${owner} were sealed by another master key: put back the master key that made them`,
      )
    }
    if (header['owner'] !== owner) throw tampered(owner)
    try {
      const options = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] }
      return Buffer.from((await compactDecrypt(sealed, opener, options)).plaintext).toString('utf8')
    } catch {
      // The reason is the same for whatever was changed, and nothing of it helps the reader.
      throw tampered(owner)
    }
  }
}

/** HKDF-SHA-256 (RFC 5869) without salt: the master key is uniform already. */
export function derive(masterKey: Uint8Array, info: string, bytes: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', masterKey, new Uint8Array(0), info, bytes))
}

function idOf(masterKey: Uint8Array): string {
  return Buffer.from(derive(masterKey, 'gatehouse: master key id', 8)).toString('base64url')
}

function headerOf(owner: string, sealed: string): CompactJWEHeaderParameters | Record<string, unknown> {
  try {
    return decodeProtectedHeader(sealed)
  } catch {
    throw new KeySetError('malformed', `the stored signing keys of ${owner} are not a sealed key set`)
  }
}

function tampered(owner: string): KeySetError {
  return new KeySetError(
    'tampered',
    `the stored signing keys of ${owner} were changed after they were sealed: put them back from a copy`,
  )
}
