import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { EMPTY_KEY_SET, MAX_UNNAMED, createKeySet } from '../../../src/authenticator/key-set.ts'
import { importKey } from '../../../src/authenticator/keys.ts'
import { hasRocaFingerprint } from '../../../src/authenticator/roca.ts'
import { createKey } from './world.ts'

const rsa = createKey('r', 'RS256').jwk
const ec = createKey('e', 'ES256').jwk
const ed = createKey('d', 'EdDSA').jwk
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
const integer = (value: bigint) => {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url')
}
const modulus = BigInt(`0x${Buffer.from(String(rsa['n']), 'base64url').toString('hex')}`)

function screen(...jwks: unknown[]) {
  const dropped: string[] = []
  const keys = createKeySet(jwks, EMPTY_KEY_SET, {
    symmetric: 'published',
    maxUnnamed: MAX_UNNAMED,
    onDropped: (reason) => void dropped.push(reason),
  })
  return { keys, dropped }
}

describe('the screening of published keys', () => {
  it.each<[string, unknown, string]>([
    ['null', null, 'not_an_object'],
    ['a list', [], 'not_an_object'],
    ['no kty', { ...rsa, kty: undefined }, 'kty'],
    ['an unknown kty', { ...rsa, kty: 'DSA' }, 'kty'],
    ['a number as kid', { ...rsa, kid: 1 }, 'kid'],
    ['a key for encryption', { ...rsa, use: 'enc' }, 'use'],
    ['operations without verify', { ...rsa, key_ops: ['encrypt'] }, 'key_ops'],
    ['text as operations', { ...rsa, key_ops: 'verify' }, 'key_ops'],
    ['an algorithm of encryption', { ...rsa, alg: 'RSA-OAEP' }, 'alg'],
    ['an algorithm of another type', { ...rsa, alg: 'ES256' }, 'alg'],
    ['an algorithm of another curve', { ...ec, alg: 'ES384' }, 'alg'],
    ['a secret', { kty: 'oct', alg: 'HS256', k: 'A'.repeat(43) }, 'symmetric'],
    ['a private member', { ...rsa, d: 'AQAB' }, 'private'],
    ['a private EC key', { ...ec, d: 'A'.repeat(43) }, 'private'],
    ['n that is not text', { ...rsa, n: 1 }, 'malformed'],
    ['n with padding', { ...rsa, n: `${String(rsa['n'])}=` }, 'malformed'],
    ['n with a space', { ...rsa, n: ` ${String(rsa['n'])}` }, 'malformed'],
    ['no e', { ...rsa, e: undefined }, 'malformed'],
    ['a short modulus', { ...weak, alg: 'RS256' }, 'modulus'],
    ['a long modulus', { ...rsa, n: integer((1n << 8192n) + 1n) }, 'modulus'],
    ['an even modulus', { ...rsa, n: integer(modulus + 1n) }, 'modulus'],
    ['exponent 1', { ...rsa, e: 'AQ' }, 'exponent'],
    ['exponent 2', { ...rsa, e: 'Ag' }, 'exponent'],
    ['an even exponent', { ...rsa, e: integer(65_536n) }, 'exponent'],
    ['an exponent of 33 bits', { ...rsa, e: integer((1n << 32n) + 1n) }, 'exponent'],
    ['a curve of no JWS algorithm', { ...ec, crv: 'secp256k1', alg: undefined }, 'crv'],
    ['no curve', { ...ec, crv: undefined }, 'crv'],
    ['a point off the curve', { ...ec, y: ec['x'] }, 'malformed'],
    ['a short coordinate', { ...ec, x: String(ec['x']).slice(0, -3) }, 'malformed'],
    ['X25519', { ...ed, crv: 'X25519' }, 'crv'],
    ['an Ed25519 key of 31 bytes', { ...ed, x: Buffer.alloc(31).toString('base64url') }, 'malformed'],
  ])('drops %s and keeps the good one beside it', (_, jwk, reason) => {
    const { keys, dropped } = screen(jwk, ec)
    expect(dropped).toEqual([reason])
    expect(keys.size).toBe(1)
    expect(keys.candidates('e', 'ES256')).toHaveLength(1)
  })

  it('takes the smallest exponent', () => {
    expect(typeof importKey({ ...rsa, e: 'Aw' }, 'published')).toBe('object')
  })

  it('lets a key without alg verify what its type and curve can, and nothing else', () => {
    const { keys } = screen({ ...rsa, alg: undefined }, { ...ec, alg: undefined })
    expect(keys.candidates('r', 'PS512')).toHaveLength(1)
    expect(keys.candidates('r', 'ES256')).toEqual([])
    expect(keys.candidates('e', 'ES256')).toHaveLength(1)
    expect(keys.candidates('e', 'ES384')).toEqual([])
    expect(keys.candidates('r', 'HS256')).toEqual([])
  })

  it('trusts neither of two different keys of one name, and one that is there twice', () => {
    const other = createKey('e', 'ES256').jwk
    expect(screen(ec, other)).toMatchObject({ keys: { size: 0 }, dropped: ['duplicate_kid', 'duplicate_kid'] })
    expect(screen(ec, { ...ec })).toMatchObject({ keys: { size: 1 }, dropped: [] })
  })

  it('lets one name stand for keys of different types', () => {
    const { keys, dropped } = screen(ec, { ...rsa, kid: 'e' })
    expect(dropped).toEqual([])
    expect(keys.candidates('e', 'ES256')).toHaveLength(1)
    expect(keys.candidates('e', 'RS256')).toHaveLength(1)
  })

  it('tries at most four keys for a token that names none', () => {
    const { keys } = screen(...[1, 2, 3, 4, 5].map((n) => createKey(`k-${n}`).jwk))
    expect(keys.size).toBe(5)
    expect(keys.candidates(undefined, 'ES256')).toHaveLength(4)
    expect(keys.candidates(undefined, 'RS256')).toBeUndefined()
  })

  it('knows the fingerprint of weak moduli', () => {
    expect(hasRocaFingerprint(65_537n ** 5n)).toBe(true)
    expect(hasRocaFingerprint(modulus)).toBe(false)
  })
})
