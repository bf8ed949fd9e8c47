/**
 * A token is what a known key signed under the algorithm of that key, with claims of the right types: nothing else opens a
 * route, and nothing that a token names is ever fetched.
 */
import { constants, publicEncrypt, sign } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectNoPass, FOREIGN, openScene, type Scene } from '../support/attack.ts'
import { claims, compact, createSigner, hs, seconds, segment, signWith } from '../support/foreign.ts'

const RSA = 'https://rsa.test/'
const SHARED = 'authentication-service'
const SECRET = 'a shared secret of more than thirty-two bytes'

const rsa = createSigner('RS256', 'rsa-1')
const attacker = createSigner('RS256', 'rsa-1')
const attackerEc = createSigner('ES256', 'foreign-1')

let scene: Scene
/** Counts who connects: nobody may. */
let trap: Server
let trapped = 0
let trapUrl = ''

beforeAll(async () => {
  trap = createServer((socket) => {
    trapped += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => {
    trap.listen(0, '127.0.0.1', resolve)
  })
  trapUrl = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`
  const { alg: _alg, ...withoutAlgorithm } = rsa.jwk
  scene = await openScene({
    environment: { JWT_SECRET: SECRET },
    files: { 'rsa.json': JSON.stringify({ keys: [withoutAlgorithm] }) },
    issuers: `
  rsa: { issuer: "${RSA}", tenant: acme, audiences: [api], algorithms: [RS256], jwks: { file: rsa.json }, clockSkew: 0s }
  shared: { issuer: ${SHARED}, tenant: acme, audiences: any, algorithms: [HS256], secrets: [{ env: JWT_SECRET }], clockSkew: 0s }`,
  })
})
afterAll(async () => {
  await scene.close()
  trap.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
})

async function refused(token: string, error: string): Promise<void> {
  const answer = await scene.ask({ target: '/admin', token })
  expectNoPass(answer, scene.upstream)
  expect([answer.status, answer.json()['error']]).toEqual([401, error])
  // An optional route is none where a bad token becomes no token.
  const optional = await scene.ask({ target: '/optional/x', token })
  expect([optional.status, scene.upstream.seen]).toEqual([401, []])
}

const es = (data: string) => signWith('ES256', scene.signer.privateKey, data)

describe('a good token', () => {
  it.each([
    ['of an ES256 issuer', () => scene.token()],
    ['of an RS256 issuer whose key states no algorithm', () => rsa.token(claims(RSA))],
    ['of an HS256 issuer', () => compact({ alg: 'HS256', typ: 'JWT' }, claims(SHARED, { aud: undefined }), hs('HS256', SECRET))],
    ['with a time in fractions', () => scene.token({ exp: seconds() + 60.5 })],
    ['of several audiences', () => scene.token({ aud: ['other', 'api'] })],
  ])('%s passes', async (_, token) => {
    expect((await scene.ask({ target: '/admin', token: token() })).status).toBe(200)
  })
})

describe('alg (CVE-2015-9235)', () => {
  it.each([
    'none',
    'None',
    'NONE',
    'nOnE',
    '',
    undefined,
    null,
    [],
    ['ES256'],
    0,
    {},
    'ES256 ',
    'es256',
    'ES256K',
    'HS256',
    'RS256',
    'PS256',
    'EdDSA',
    'constructor',
    '__proto__',
  ])('%j is not the key’s own', async (alg) => {
    await refused(compact({ alg, kid: 'foreign-1' }, claims(FOREIGN), es), 'invalid_token')
    await refused(compact({ alg, kid: 'foreign-1' }, claims(FOREIGN)), 'invalid_token')
  })
})

describe('HS256 signed with what everyone can read (CVE-2023-48223, CVE-2026-34950, CVE-2026-107722, CVE-2026-22817, CVE-2026-22818, CVE-2026-44699)', () => {
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' })
  const jwk = JSON.stringify(rsa.jwk)
  const forms: readonly (readonly [string, string | Buffer])[] = [
    ['PEM', pem],
    ['PEM with a leading newline', `\n${pem}`],
    ['PEM with leading spaces', `  ${pem}`],
    ['PEM, trimmed', pem.trim()],
    ['PEM with CRLF', pem.replaceAll('\n', '\r\n')],
    ['PEM, PKCS#1', rsa.publicKey.export({ type: 'pkcs1', format: 'pem' })],
    ['DER', rsa.publicKey.export({ type: 'spki', format: 'der' })],
    ['DER, PKCS#1', rsa.publicKey.export({ type: 'pkcs1', format: 'der' })],
    ['JWK', jwk],
    ['JWKS', JSON.stringify({ keys: [rsa.jwk] })],
    ['modulus', Buffer.from(String(rsa.jwk['n']), 'base64url')],
    ['modulus as text', String(rsa.jwk['n'])],
    ['the empty key', ''],
    ['undefined as text', 'undefined'],
  ]

  it.each(forms)('%s', async (_, secret) => {
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      for (const kid of [rsa.kid, undefined]) await refused(compact({ alg, kid }, claims(RSA), hs(alg, secret)), 'invalid_token')
    }
  })
})

describe('an issuer with a shared secret', () => {
  const good = () => claims(SHARED)

  it.each([
    [
      'signed with another secret',
      () => compact({ alg: 'HS256' }, good(), hs('HS256', 'another secret of more than 32 bytes, wrong')),
      'invalid_signature',
    ],
    [
      'signed with the empty secret (GHSA-gmvf-9v4p-v8jc, GHSA-8wpc-h4q6-8fxv)',
      () => compact({ alg: 'HS256' }, good(), hs('HS256', '')),
      'invalid_signature',
    ],
    ['a signature cut to nothing', () => compact({ alg: 'HS256' }, good()), 'invalid_token'],
    [
      'a signature cut to one byte',
      () => compact({ alg: 'HS256' }, good(), (data) => hs('HS256', SECRET)(data).subarray(0, 1)),
      'invalid_signature',
    ],
    ['HS384 with the right secret', () => compact({ alg: 'HS384' }, good(), hs('HS384', SECRET)), 'invalid_token'],
    ['HS512 with the right secret', () => compact({ alg: 'HS512' }, good(), hs('HS512', SECRET)), 'invalid_token'],
    [
      'a kid that is of no key of it',
      () => compact({ alg: 'HS256', kid: 'rsa-1' }, good(), hs('HS256', SECRET)),
      'invalid_token',
    ],
    ['RS256 (CVE-2022-29266)', () => rsa.token(claims(SHARED)), 'invalid_token'],
    [
      'a key of its own in the header',
      () => compact({ alg: 'HS256', jwk: { kty: 'oct', k: 'AA' } }, good(), hs('HS256', Buffer.from([0]))),
      'invalid_token',
    ],
  ])('refuses %s', async (_, token, error) => {
    await refused(token(), error)
  })
})

describe('keys that a token brings along (CVE-2018-0114)', () => {
  it.each([
    ['jwk', () => ({ jwk: attacker.jwk })],
    ['jku', () => ({ jku: `${trapUrl}/jwks.json` })],
    ['x5u', () => ({ x5u: `${trapUrl}/cert.pem` })],
    ['x5c', () => ({ x5c: [Buffer.from('certificate').toString('base64')] })],
    ['all at once', () => ({ jwk: attacker.jwk, jku: trapUrl, x5u: trapUrl, x5c: [] })],
    ['jwk: null', () => ({ jwk: null })],
  ])('%s is refused, whoever signed, and nothing is fetched', async (_, header) => {
    await refused(attacker.token(claims(RSA), header()), 'invalid_token')
    await refused(attacker.token(claims(RSA), { ...header(), kid: undefined }), 'invalid_token')
    await refused(rsa.token(claims(RSA), header()), 'invalid_token')
    expect(trapped).toBe(0)
  })

  it('is refused where the issuer of the token is the trap itself', async () => {
    await refused(attacker.token(claims(trapUrl)), 'invalid_token')
    await refused(attacker.token(claims(`${trapUrl}/.well-known/openid-configuration`)), 'invalid_token')
    expect(trapped).toBe(0)
  })

  it('is refused where the key of the same name is another', async () => {
    await refused(attacker.token(claims(RSA)), 'invalid_signature')
    await refused(attackerEc.token(claims(FOREIGN)), 'invalid_signature')
  })
})

describe('kid', () => {
  it.each([
    '../../../../../../dev/null',
    '/dev/null',
    '/etc/passwd',
    'rsa.json',
    "' UNION SELECT 'secret' --",
    "1' OR '1'='1",
    '$(id)',
    '`id`',
    'a|id',
    'a\nFAKE',
    'a\u0000b',
    '',
    'x'.repeat(10_000),
    42,
    null,
    ['foreign-1'],
    { $ne: '' },
    '__proto__',
    'constructor',
  ])('%j names no key', async (kid) => {
    await refused(scene.token({}, { kid }), 'invalid_token')
    await refused(compact({ alg: 'HS256', kid }, claims(FOREIGN), hs('HS256', '')), 'invalid_token')
    await refused(compact({ alg: 'HS256', kid }, claims(SHARED), hs('HS256', '')), 'invalid_token')
  })

  it('that is a URL is not fetched', async () => {
    await refused(scene.token({}, { kid: `${trapUrl}/key` }), 'invalid_token')
    expect(trapped).toBe(0)
  })
})

describe('the form of a token', () => {
  const good = () => scene.token().split('.') as [string, string, string]
  const padded = (text: string) => text + '='.repeat((4 - (text.length % 4)) % 4 || 4)

  it.each([
    ['nothing', () => ''],
    ['a word (CVE-2022-29226)', () => 'garbage'],
    ['two parts', () => good().slice(0, 2).join('.')],
    ['two parts and a dot', () => `${good().slice(0, 2).join('.')}.`],
    ['four parts', () => `${good().join('.')}.x`],
    ['four parts, the last one empty', () => `${good().join('.')}.`],
    ['no header', () => `.${good().slice(1).join('.')}`],
    ['no payload', () => good().toSpliced(1, 1, '').join('.')],
    [
      'a space in the header',
      () =>
        good()
          .map((part, at) => (at === 0 ? `${part.slice(0, 4)} ${part.slice(4)}` : part))
          .join('.'),
    ],
    [
      'a space in the payload',
      () =>
        good()
          .map((part, at) => (at === 1 ? `${part.slice(0, 4)} ${part.slice(4)}` : part))
          .join('.'),
    ],
    [
      'a space in the signature',
      () =>
        good()
          .map((part, at) => (at === 2 ? `${part.slice(0, 4)} ${part.slice(4)}` : part))
          .join('.'),
    ],
    [
      'a tab in the signature',
      () =>
        good()
          .map((part, at) => (at === 2 ? `${part.slice(0, 4)}\t${part.slice(4)}` : part))
          .join('.'),
    ],
    [
      'padding in the header',
      () =>
        good()
          .map((part, at) => (at === 0 ? padded(part) : part))
          .join('.'),
    ],
    [
      'padding in the payload',
      () =>
        good()
          .map((part, at) => (at === 1 ? padded(part) : part))
          .join('.'),
    ],
    [
      'padding in the signature',
      () =>
        good()
          .map((part, at) => (at === 2 ? padded(part) : part))
          .join('.'),
    ],
    [
      'base64 instead of base64url',
      () =>
        good()
          .map((part) => `${part}+/`)
          .join('.'),
    ],
    // 64 octets leave four bits over: the last character has one right form of sixteen.
    [
      'left-over bits',
      () =>
        good()
          .map((part, at) => (at === 2 ? part.replace(/[AQgw]$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1)) : part))
          .join('.'),
    ],
    ['two tokens', () => `${scene.token()} ${scene.token()}`],
    ['two tokens with a comma', () => `${scene.token()},${scene.token()}`],
    ['9 KiB', () => scene.token({ filler: 'x'.repeat(9 * 1024) })],
    ['JSON serialisation', () => JSON.stringify({ payload: good()[1], protected: good()[0], signature: good()[2] })],
    ['a header that is a list', () => compact('[]', claims(FOREIGN), es)],
    ['a header that is a text', () => compact('"ES256"', claims(FOREIGN), es)],
    ['a header with a member twice', () => compact('{"alg":"none","alg":"ES256","kid":"foreign-1"}', claims(FOREIGN), es)],
    ['a header that says what must be understood', () => scene.token({}, { crit: ['exp'], exp: 1 })],
    ['a header with b64', () => scene.token({}, { b64: false, crit: ['b64'] })],
    ['a header with b64 alone', () => scene.token({}, { b64: true })],
    ['a payload that is a list', () => compact({ alg: 'ES256', kid: 'foreign-1' }, '[]', es)],
    ['a payload that is no JSON', () => compact({ alg: 'ES256', kid: 'foreign-1' }, 'iss=x', es)],
    [
      'a payload with a byte order mark',
      () => compact({ alg: 'ES256', kid: 'foreign-1' }, `\ufeff${JSON.stringify(claims(FOREIGN))}`, es),
    ],
    [
      'a payload with a claim twice',
      () => compact({ alg: 'ES256', kid: 'foreign-1' }, JSON.stringify(claims(FOREIGN)).replace('{', '{"sub":"root",'), es),
    ],
    ['the type of a logout token', () => scene.token({}, { typ: 'logout+jwt' })],
    ['the type of a DPoP proof', () => scene.token({}, { typ: 'dpop+jwt' })],
    ['the type of a security event', () => scene.token({}, { typ: 'secevent+jwt' })],
    ['a type that is a list', () => scene.token({}, { typ: ['at+jwt'] })],
  ])('%s is refused', async (_, token) => {
    await refused(token(), 'invalid_token')
  })

  it.each(['dir', 'RSA-OAEP', 'A256KW'])('apisix 9809: a JWE of five parts with %s is no token', async (alg) => {
    const key =
      alg === 'RSA-OAEP'
        ? publicEncrypt({ key: rsa.publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, Buffer.alloc(32))
        : Buffer.alloc(0)
    const parts = [
      segment({ alg, enc: 'A256GCM', kid: rsa.kid }),
      key.toString('base64url'),
      segment('iv'.repeat(6)),
      segment(claims(RSA)),
      segment('tag'.repeat(4)),
    ]
    await refused(parts.join('.'), 'invalid_token')
    await refused(parts.toSpliced(1, 1, '').join('.'), 'invalid_token')
  })
})

describe('the claims of a token', () => {
  const now = seconds()

  it.each([
    ['CVE-2025-30144', { iss: [FOREIGN, 'https://evil.test/'] }],
    ['CVE-2025-30144', { iss: ['https://evil.test/', FOREIGN] }],
    ['CVE-2025-30144', { iss: [FOREIGN] }],
    ['NodeDB 61', { iss: 'https://unknown.test/' }],
    ['NodeDB 61', { iss: undefined }],
    ['a look-alike issuer', { iss: FOREIGN.slice(0, -1) }],
    ['a look-alike issuer', { iss: FOREIGN.toUpperCase() }],
    ['a look-alike issuer', { iss: `${FOREIGN}\u0000` }],
    ['a look-alike issuer', { iss: ` ${FOREIGN}` }],
    ['a look-alike issuer', { iss: `${FOREIGN}../` }],
    ['an issuer that is no text', { iss: 1 }],
    ['an issuer that is no text', { iss: { toString: FOREIGN } }],
    ['aud of numbers', { aud: [1, 2] }],
    ['aud of numbers', { aud: ['api', 1] }],
    ['wrong audience', { aud: 'other' }],
    ['wrong audience', { aud: 'API' }],
    ['wrong audience', { aud: '' }],
    ['wrong audience', { aud: [] }],
    ['wrong audience', { aud: undefined }],
    ['wrong audience', { aud: null }],
    ['wrong audience', { aud: { api: true } }],
    ['wrong audience', { aud: ['api\u0000'] }],
    ['exp of another type', { exp: String(now + 300) }],
    ['exp of another type', { exp: null }],
    ['exp of another type', { exp: [now + 300] }],
    ['exp of another type', { exp: true }],
    ['exp out of range', { exp: 2e206 }],
    ['exp out of range', { exp: -1 }],
    ['no exp', { exp: undefined }],
    ['a life of more than maxLifetime', { exp: now + 25 * 3600 }],
    ['a life of more than maxLifetime', { exp: now + 25 * 3600, iat: undefined }],
    ['not yet', { nbf: now + 600 }],
    ['not yet', { iat: now + 600, exp: now + 900 }],
    ['times of another type', { nbf: '0' }],
    ['times of another type', { iat: 'now' }],
    ['no user', { sub: undefined }],
    ['no user', { sub: '' }],
    ['a user that is no text', { sub: 42 }],
    ['a user that is no text', { sub: { id: 1 } }],
    ['scopes of another type', { scope: 7 }],
    ['scopes of another type', { scope: { admin: true } }],
    ['scopes of another type', { scope: ['a b'] }],
    ['a token id that is no text', { jti: 7 }],
    ['a session that is no text', { sid: ['a'] }],
  ])('%s: %j is refused', async (_, more) => {
    await refused(scene.token(more), 'invalid_token')
  })

  it('exp beyond every number is refused', async () => {
    const payload = JSON.stringify(claims(FOREIGN, { exp: 0 })).replace('"exp":0', '"exp":1e999')
    await refused(compact({ alg: 'ES256', kid: 'foreign-1' }, payload, es), 'invalid_token')
  })

  it('exp that has passed is said', async () => {
    await refused(scene.token({ exp: seconds() - 1, iat: seconds() - 100 }), 'token_expired')
    await refused(scene.token({ exp: 1 }), 'token_expired')
    await refused(scene.token({ exp: 0 }), 'token_expired')
  })

  it('that the gateway makes itself, an issuer’s token gains nothing by', async () => {
    const answer = await scene.ask({
      target: '/admin',
      token: scene.token({ tenant_id: 'default', token_type: 'access', uv: 999, client_id: 'gatehouse' }),
    })
    const raw = scene.upstream.seen[0]?.rawHeaders ?? []
    expect([answer.status, raw[raw.indexOf('x-tenant-id') + 1]]).toEqual([200, 'acme'])
  })
})

describe('the signature of a token (CVE-2022-21449)', () => {
  const N = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
  const zero = Buffer.alloc(32)
  const one = Buffer.from([...zero.subarray(1), 1])
  const all = Buffer.alloc(32, 0xff)

  it.each([
    ['r = s = 0', () => Buffer.alloc(64)],
    ['r = 0', () => Buffer.concat([zero, one])],
    ['s = 0', () => Buffer.concat([one, zero])],
    ['r = s = n', () => Buffer.concat([N, N])],
    ['r = n', () => Buffer.concat([N, one])],
    ['s = n', () => Buffer.concat([one, N])],
    ['r and s above n', () => Buffer.concat([all, all])],
    ['r = s = 1', () => Buffer.concat([one, one])],
    ['63 bytes', (signature: Buffer) => signature.subarray(1)],
    ['65 bytes', (signature: Buffer) => Buffer.concat([zero.subarray(0, 1), signature])],
    ['128 bytes', (signature: Buffer) => Buffer.concat([signature, signature])],
    ['1 byte', () => Buffer.alloc(1)],
    ['one bit changed', (signature: Buffer) => Buffer.from([(signature[0] ?? 0) ^ 1, ...signature.subarray(1)])],
    ['the halves swapped', (signature: Buffer) => Buffer.concat([signature.subarray(32), signature.subarray(0, 32)])],
  ])('%s is refused', async (_, change) => {
    await refused(
      compact({ alg: 'ES256', kid: 'foreign-1' }, claims(FOREIGN), (data) => change(es(data))),
      'invalid_signature',
    )
  })

  it('in DER form is refused', async () => {
    const der = (data: string) => sign('sha256', Buffer.from(data), scene.signer.privateKey)
    await refused(compact({ alg: 'ES256', kid: 'foreign-1' }, claims(FOREIGN), der), 'invalid_signature')
  })

  it.each([
    ['zeros', () => Buffer.alloc(256)],
    ['255 bytes', (signature: Buffer) => signature.subarray(0, 255)],
    ['257 bytes', (signature: Buffer) => Buffer.concat([Buffer.alloc(1), signature])],
    ['all ones', () => Buffer.alloc(256, 0xff)],
    ['the number one', () => Buffer.concat([Buffer.alloc(255), Buffer.from([1])])],
  ])('of RSA: %s is refused', async (_, change) => {
    const signed = (data: string) => change(signWith('RS256', rsa.privateKey, data))
    await refused(compact({ alg: 'RS256', kid: 'rsa-1' }, claims(RSA), signed), 'invalid_signature')
  })

  it('made as PS256 is none of RS256', async () => {
    const signed = (data: string) => signWith('PS256', rsa.privateKey, data)
    await refused(compact({ alg: 'RS256', kid: 'rsa-1' }, claims(RSA), signed), 'invalid_signature')
    await refused(compact({ alg: 'PS256', kid: 'rsa-1' }, claims(RSA), signed), 'invalid_token')
  })

  it('of another token is refused', async () => {
    const [header, payload] = scene.token({ sub: 'root' }).split('.')
    await refused(`${header}.${payload}.${scene.token().split('.')[2]}`, 'invalid_signature')
  })
})
