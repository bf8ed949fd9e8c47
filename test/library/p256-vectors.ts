/** Signatures over P-256 that node:crypto made or judged: good ones, and edges that a verifier by hand gets wrong. */
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'

/** x, y, message and signature in hex, and whether it holds. */
export type Vector = readonly [x: string, y: string, message: string, signature: string, isGood: boolean]

const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n

export function vectorsOfP256(): readonly Vector[] {
  return Array.from({ length: 12 }, (_, round) => vectorsOfKey(Buffer.from(`message ${round}`))).flat()
}

function vectorsOfKey(message: Buffer): readonly Vector[] {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  const signature = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const [r, s] = [integer(signature.subarray(0, 32)), integer(signature.subarray(32))]
  const tried: Buffer[] = [
    signature,
    // Malleable by nature: the other s holds as well.
    pair(r, N - s),
    pair(0n, s),
    pair(r, 0n),
    pair(N, s),
    pair(r, N),
    pair(r, N + 1n),
    pair(r + 1n, s),
    pair(s, r),
    pair(N - r, s),
    pair(1n, 1n),
    pair(P - 1n, 1n),
    pair(N - 1n, N - 1n),
    pair(2n ** 256n - 1n, 2n ** 256n - 1n),
    pair(0n, 0n),
    signature.subarray(0, 63),
    Buffer.concat([signature, Buffer.of(0)]),
    Buffer.alloc(0),
  ]
  const key = {
    key: createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' }),
    dsaEncoding: 'ieee-p1363' as const,
  }
  const [hexX, hexY] = [x, y].map((text) => Buffer.from(text, 'base64url').toString('hex'))
  return tried.map((one): Vector => {
    const isGood = one.length === 64 && verify('sha256', message, key, one)
    return [hexX ?? '', hexY ?? '', message.toString('hex'), one.toString('hex'), isGood]
  })
}

function integer(octets: Buffer): bigint {
  return BigInt(`0x${octets.toString('hex')}`)
}

function pair(r: bigint, s: bigint): Buffer {
  return Buffer.from([r, s].map((one) => one.toString(16).padStart(64, '0')).join(''), 'hex')
}
