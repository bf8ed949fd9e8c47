import { sign as signBytes } from 'node:crypto'
import type { KeyObject, SignKeyObjectInput } from 'node:crypto'
import type { SigningAlgorithm } from '../config/config.ts'
import type { Claims } from './tenants.ts'

/** Signs JWTs (RFC 7519) with one key. */
export interface Signer {
  readonly kid: string
  /** An RSA signature, which takes long, in the thread pool; others are done sooner than handed over. */
  sign(claims: Claims, typ: string): Promise<string>
  /** At once. */
  signNow(claims: Claims, typ: string): string
}

const HASHES = { RS256: 'sha256', ES256: 'sha256', EdDSA: undefined } as const satisfies Record<
  SigningAlgorithm,
  string | undefined
>

export function createSigner(kid: string, alg: SigningAlgorithm, privateKey: KeyObject): Signer {
  const hash = HASHES[alg]
  // RFC 7518 §3.4 wants R ‖ S, not the DER that is the default.
  const key: SignKeyObjectInput = { key: privateKey, dsaEncoding: 'ieee-p1363' }
  const headers = new Map<string, string>()
  return { kid, sign, signNow }

  function sign(claims: Claims, typ: string): Promise<string> {
    if (alg !== 'RS256') return Promise.resolve(signNow(claims, typ))
    const input = inputOf(claims, typ)
    return new Promise((resolve, reject) => {
      signBytes(hash, Buffer.from(input), key, (error, signature) => {
        if (error === null) resolve(`${input}.${signature.toString('base64url')}`)
        else reject(error)
      })
    })
  }

  function signNow(claims: Claims, typ: string): string {
    const input = inputOf(claims, typ)
    return `${input}.${signBytes(hash, Buffer.from(input), key).toString('base64url')}`
  }

  function inputOf(claims: Claims, typ: string): string {
    return headerOf(typ) + Buffer.from(JSON.stringify(claims)).toString('base64url')
  }

  /** There are as many as types of tokens, two or three. */
  function headerOf(typ: string): string {
    const known = headers.get(typ)
    if (known !== undefined) return known
    const header = `${Buffer.from(JSON.stringify({ alg, typ, kid })).toString('base64url')}.`
    headers.set(typ, header)
    return header
  }
}
