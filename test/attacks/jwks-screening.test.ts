/**
 * A key is looked at before it is used: one that anybody could sign with verifies nothing, and it takes no good key with it.
 */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectNoPass, openScene, type Scene } from '../support/attack.ts'
import { claims, compact, createSigner, hs, jwksServer, signWith, type JwksServer, type Json } from '../support/foreign.ts'

const good = createSigner('RS256', 'good')
const other = createSigner('RS256', 'other')
const ec = createSigner('ES256', 'ec')
const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
const even = createSigner('RS256', 'even')
/** Short of 2048 bits by one. */
const short = generateKeyPairSync('rsa', { modulusLength: 2047 })
const octSecret = Buffer.alloc(32, 7)

const n = String(good.jwk['n'])

/** With the exponent 1 a signature is the padded digest itself (RFC 8017 §9.2): anyone can write it. */
function signWithExponentOne(data: string): Buffer {
  const digest = Buffer.concat([
    Buffer.from('3031300d060960864801650304020105000420', 'hex'),
    createHash('sha256').update(data).digest(),
  ])
  return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(256 - digest.length - 3, 0xff), Buffer.from([0]), digest])
}

interface Row {
  readonly name: string
  readonly key: Json
  readonly sign: (data: string) => Buffer
  readonly alg?: string
}

const ROWS: readonly Row[] = [
  { name: 'wycheproof key/9: exponent 1', key: { kty: 'RSA', n, e: 'AQ', alg: 'RS256' }, sign: signWithExponentOne },
  { name: 'exponent 2', key: { kty: 'RSA', n, e: 'Ag' }, sign: signWithExponentOne },
  { name: 'exponent 0', key: { kty: 'RSA', n, e: 'AA' }, sign: signWithExponentOne },
  {
    name: 'an even exponent',
    key: { kty: 'RSA', n: even.jwk['n'], e: 'AQAA' },
    sign: (data) => signWith('RS256', even.privateKey, data),
  },
  {
    name: 'a modulus of 1024 bits',
    key: { ...weak.publicKey.export({ format: 'jwk' }) },
    sign: (data) => signWith('RS256', weak.privateKey, data),
  },
  {
    name: 'a modulus of 2047 bits',
    key: { ...short.publicKey.export({ format: 'jwk' }) },
    sign: (data) => signWith('RS256', short.privateKey, data),
  },
  {
    name: 'jwt_verify_lib: an n that is no text',
    key: { kty: 'RSA', n: 65537, e: 'AQAB' },
    sign: (data) => signWith('RS256', other.privateKey, data),
  },
  {
    name: 'jwt_verify_lib: an e that is no text',
    key: { kty: 'RSA', n: other.jwk['n'], e: 65537 },
    sign: (data) => signWith('RS256', other.privateKey, data),
  },
  {
    name: 'an n with padding',
    key: { kty: 'RSA', n: `${String(other.jwk['n'])}==`, e: 'AQAB' },
    sign: (data) => signWith('RS256', other.privateKey, data),
  },
  {
    name: 'jsonwebtoken 9.0.3: use: enc',
    key: { ...other.jwk, use: 'enc' },
    sign: (data) => signWith('RS256', other.privateKey, data),
  },
  {
    name: 'key_ops without verify',
    key: { ...other.jwk, key_ops: ['encrypt'] },
    sign: (data) => signWith('RS256', other.privateKey, data),
  },
  {
    name: 'jsonwebtoken 9.0.3: another algorithm',
    key: { ...other.jwk, alg: 'RS512' },
    sign: (data) => signWith('RS256', other.privateKey, data),
  },
  {
    name: 'an algorithm of encryption',
    key: { ...other.jwk, alg: 'RSA-OAEP' },
    sign: (data) => signWith('RS256', other.privateKey, data),
  },
  {
    name: 'a private key that was published',
    key: { ...other.privateKey.export({ format: 'jwk' }), alg: 'RS256' },
    sign: (data) => signWith('RS256', other.privateKey, data),
  },
  {
    name: 'a secret',
    key: { kty: 'oct', k: octSecret.toString('base64url'), alg: 'HS256' },
    sign: hs('HS256', octSecret),
    alg: 'HS256',
  },
  {
    name: 'an RSA key that calls itself a secret',
    key: { ...other.jwk, kty: 'oct', k: other.jwk['n'] },
    sign: hs('HS256', Buffer.from(String(other.jwk['n']), 'base64url')),
    alg: 'HS256',
  },
  {
    name: 'a point that is not on the curve',
    key: { ...ec.jwk, y: ec.jwk['x'] },
    sign: (data) => signWith('ES256', ec.privateKey, data),
    alg: 'ES256',
  },
  {
    name: 'a point of the wrong size',
    key: { ...ec.jwk, x: `AAAA${String(ec.jwk['x'])}` },
    sign: (data) => signWith('ES256', ec.privateKey, data),
    alg: 'ES256',
  },
  {
    name: 'the wrong curve',
    key: { ...ec.jwk, crv: 'P-384' },
    sign: (data) => signWith('ES256', ec.privateKey, data),
    alg: 'ES256',
  },
  {
    name: 'an unknown type',
    key: { ...ec.jwk, kty: 'ec' },
    sign: (data) => signWith('ES256', ec.privateKey, data),
    alg: 'ES256',
  },
  { name: 'no type', key: { ...ec.jwk, kty: undefined }, sign: (data) => signWith('ES256', ec.privateKey, data), alg: 'ES256' },
]

let scene: Scene
let server: JwksServer

const issuerOf = (index: number) => `https://screened-${index}.test/`
const NAMELESS = 'https://nameless.test/'

beforeAll(async () => {
  server = await jwksServer()
  const rows = ROWS.map(({ key }, index) => {
    server.serve(`keys-${index}`, [null, { ...key, kid: 'bad' }, good.jwk, 'text'])
    return `  screened-${index}: { issuer: "${issuerOf(index)}", tenant: acme, audiences: [api], algorithms: [RS256, ES256], jwks: { uri: "${server.uri(`keys-${index}`)}" } }`
  })
  server.serve('twice', [{ ...good.jwk, kid: 'twice' }, { ...other.jwk, kid: 'twice' }, ec.jwk])
  rows.push(
    `  twice: { issuer: "${NAMELESS}", tenant: acme, audiences: [api], algorithms: [RS256, ES256], jwks: { uri: "${server.uri('twice')}" } }`,
  )
  scene = await openScene({ issuers: rows.join('\n') })
})
afterAll(async () => {
  await scene.close()
  await server.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
})

describe('a key that is not used', () => {
  it.each(ROWS.map((row, index) => [row.name, row, index] as const))('%s', async (_, { sign, alg = 'RS256' }, index) => {
    for (const kid of ['bad', undefined]) {
      const token = compact({ alg, kid, typ: 'at+jwt' }, claims(issuerOf(index)), sign)
      const answer = await scene.ask({ target: '/admin', token })
      expectNoPass(answer, scene.upstream)
      expect(answer.status).toBe(401)
    }
    expect((await scene.ask({ target: '/admin', token: good.token(claims(issuerOf(index))) })).status).toBe(200)
  })

  it('is counted, and the metrics say which issuer published it', async () => {
    const text = await (await fetch(`${scene.gateway.adminUrl}/metrics`)).text()
    expect(text).toMatch(/gatehouse_jwks_fetch_total\{issuer="screened-0",result="ok"\} [1-9]/)
  })
})

describe('two keys of one name', () => {
  it('verify nothing, and the third key serves', async () => {
    for (const signer of [good, other]) {
      const answer = await scene.ask({ target: '/admin', token: signer.token(claims(NAMELESS), { kid: 'twice' }) })
      expectNoPass(answer, scene.upstream)
      expect(answer.json()['error']).toBe('invalid_token')
    }
    expect((await scene.ask({ target: '/admin', token: ec.token(claims(NAMELESS)) })).status).toBe(200)
  })
})

describe('a file of keys', () => {
  const start = (keys: string) =>
    openScene({
      files: { 'keys.json': keys },
      issuers: '  filed: { issuer: filed, tenant: acme, audiences: [api], algorithms: [RS256], jwks: { file: keys.json } }',
    }).then((opened) => opened.close())

  it.each([
    ['without a usable key', JSON.stringify({ keys: [{ kty: 'RSA', n, e: 'AQ' }] })],
    ['with no key at all', '{"keys":[]}'],
    ['that is no JSON', '{"keys":['],
    [
      'with a hundred and one keys',
      JSON.stringify({ keys: Array.from({ length: 101 }, (_, index) => ({ ...good.jwk, kid: `k${index}` })) }),
    ],
  ])('%s keeps the gateway from starting', async (_, keys) => {
    await expect(start(keys)).rejects.toThrow(/issuers\.filed\.jwks\.file/)
  })
})
