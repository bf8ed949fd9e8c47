import { createHmac } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { NOW_SECONDS, createKey, createWorld, encode, foreignClaims, issuer, ownClaims, sign } from './world.ts'
import type { World } from './world.ts'

const key = createKey('k-1', 'RS256')
const own = createKey('k-1', 'RS256')
const URI = 'https://login.example.com/jwks.json'
let world: World

beforeEach(async () => {
  world = createWorld()
  world.web.pages.set(URI, [key.jwk])
  world.ownKeys.set('acme', [own.jwk])
  await world.authenticator.start()
})

/** A token of the given header text that the right key signed. */
function signed(header: unknown, claims: unknown = foreignClaims()): string {
  return `${encode(header)}.${encode(claims)}.${'A'.repeat(342)}`
}

const valid = { alg: 'RS256', kid: 'k-1' }

describe('the header of a token', () => {
  it.each([
    ['none', { ...valid, alg: 'none' }, 'algorithm'],
    ['None', { ...valid, alg: 'None' }, 'algorithm'],
    ['NONE', { ...valid, alg: 'NONE' }, 'algorithm'],
    ['nOnE', { ...valid, alg: 'nOnE' }, 'algorithm'],
    ['an empty alg', { ...valid, alg: '' }, 'algorithm'],
    ['no alg', { kid: 'k-1' }, 'algorithm'],
    ['a list as alg', { ...valid, alg: ['RS256'] }, 'algorithm'],
    ['null as alg', { ...valid, alg: null }, 'algorithm'],
    ['another case of alg', { ...valid, alg: 'rs256' }, 'algorithm'],
    ['a member of Object as alg', { ...valid, alg: 'toString' }, 'algorithm'],
    ['an algorithm of encryption', { ...valid, alg: 'dir', enc: 'A256GCM' }, 'algorithm'],
    ['an algorithm that the issuer does not use', { ...valid, alg: 'PS256' }, 'algorithm'],
    ['HS256 at an issuer with public keys', { ...valid, alg: 'HS256' }, 'algorithm'],
    ['crit', { ...valid, crit: ['exp'], exp: 1 }, 'critical'],
    ['an empty crit', { ...valid, crit: [] }, 'critical'],
    ['b64', { ...valid, b64: true }, 'critical'],
    ['jwk', { ...valid, jwk: key.jwk }, 'embedded_key'],
    ['jku', { ...valid, jku: 'https://evil.example/jwks.json' }, 'embedded_key'],
    ['x5u', { ...valid, x5u: 'https://evil.example/cert.pem' }, 'embedded_key'],
    ['x5c', { ...valid, x5c: ['MII'] }, 'embedded_key'],
    ['a number as kid', { ...valid, kid: 1 }, 'kid'],
    ['an empty kid', { ...valid, kid: '' }, 'kid'],
    ['a long kid', { ...valid, kid: 'k'.repeat(257) }, 'kid'],
    ['a kid with a control character', { ...valid, kid: 'k-1\u0000' }, 'kid'],
    ['a logout token', { ...valid, typ: 'logout+jwt' }, 'type'],
    ['a DPoP proof', { ...valid, typ: 'dpop+jwt' }, 'type'],
    ['a security event', { ...valid, typ: 'secevent+jwt' }, 'type'],
    ['a list as typ', { ...valid, typ: ['JWT'] }, 'type'],
    ['a list', [valid], 'header'],
    ['text', 'not json', 'header'],
    ['a repeated alg', '{"alg":"none","alg":"RS256","kid":"k-1"}', 'header'],
    ['a repeated alg in other spelling', '{"alg":"none","\\u0061lg":"RS256","kid":"k-1"}', 'header'],
    ['a repeated alg beside a name beyond ASCII', '{"ä":1,"alg":"none","alg":"RS256","kid":"k-1"}', 'header'],
    ['a repeated name beyond ASCII', '{"ä":1,"ä":2,"alg":"RS256","kid":"k-1"}', 'header'],
    ['a byte order mark', '\uFEFF{"alg":"RS256","kid":"k-1"}', 'header'],
  ])('is refused with %s', async (_, header, step) => {
    expect(await world.ask(signed(header))).toBe(`invalid_token: ${step}`)
    expect(world.web.requests).toHaveLength(1)
  })

  it('is refused when its bytes are not UTF-8', async () => {
    const header = Buffer.concat([Buffer.from('{"alg":"RS256","kid":"k'), Buffer.from([0xff]), Buffer.from('"}')])
    expect(await world.ask(`${header.toString('base64url')}.${encode(foreignClaims())}.AAAA`)).toBe('invalid_token: header')
  })

  it.each([undefined, 'JWT', 'jwt', 'at+jwt', 'AT+JWT', 'application/at+jwt'])(
    'of a foreign token may have typ %s',
    async (typ) => {
      expect(await world.ask(await sign(key, foreignClaims(), typ === undefined ? {} : { typ }))).toBe('ok u-1')
    },
  )

  it.each([
    ['at+jwt', 'ok u-1'],
    ['application/at+jwt', 'ok u-1'],
    ['JWT', 'invalid_token: type'],
    [undefined, 'invalid_token: type'],
    ['refresh+jwt', 'invalid_token: type'],
  ])('of one of our tokens with typ %s: %s', async (typ, answer) => {
    expect(await world.ask(await sign(own, ownClaims(), { typ }))).toBe(answer)
  })

  it('may name parts inside its strings that look like members', async () => {
    for (const kid of ['k:{"alg":[\\', 'ключ:{"alg":[\\']) {
      const odd = createKey(kid, 'RS256')
      world.ownKeys.set('acme', [odd.jwk])
      world.authenticator.keysChanged('acme')
      expect(await world.ask(await sign(odd, ownClaims({ sub: 'jürgen', 'ä"\\': '\\' })))).toBe('ok jürgen')
    }
  })
})

describe('the algorithm', () => {
  const pem = key.publicKey.export({ format: 'pem', type: 'spki' })
  it.each([
    ['the PEM', pem],
    ['the trimmed PEM', pem.trim()],
    ['the PEM after a newline', `\n${pem}`],
    ['the PEM with CRLF', pem.replaceAll('\n', '\r\n')],
    ['the PKCS#1 PEM', key.publicKey.export({ format: 'pem', type: 'pkcs1' })],
    ['the DER', key.publicKey.export({ format: 'der', type: 'spki' })],
    ['the JWK', JSON.stringify(key.jwk)],
    ['the JWK Set', JSON.stringify({ keys: [key.jwk] })],
    ['the modulus', String(key.jwk['n'])],
    ['nothing', ''],
  ])('is not turned into HMAC by a token signed with %s of a public key', async (_, secret) => {
    for (const hash of ['256', '384', '512']) {
      const input = `${encode({ alg: `HS${hash}`, kid: 'k-1' })}.${encode(foreignClaims())}`
      const forged = `${input}.${createHmac(`sha${hash}`, secret).update(input).digest('base64url')}`
      expect(await world.ask(forged)).toBe('invalid_token: algorithm')
    }
  })

  it('is not HMAC under a public key even where an issuer allows both', async () => {
    const both = createWorld({ issuers: [issuer({ algorithms: ['RS256', 'HS256'] })] })
    const { alg: _, ...bare } = key.jwk
    both.web.pages.set(URI, [bare])
    await both.authenticator.start()
    const input = `${encode({ alg: 'HS256', kid: 'k-1' })}.${encode(foreignClaims())}`
    expect(await both.ask(`${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`)).toBe(
      'invalid_token: key_mismatch',
    )
  })

  it('is the one that the key states, whatever the issuer allows', async () => {
    const wide = createWorld({ issuers: [issuer({ algorithms: ['RS256', 'RS512', 'PS256'] })] })
    wide.web.pages.set(URI, [key.jwk])
    await wide.authenticator.start()
    expect(await wide.ask(await sign({ ...key, alg: 'RS512' }, foreignClaims()))).toBe('invalid_token: key_mismatch')
    expect(await wide.ask(await sign({ ...key, alg: 'PS256' }, foreignClaims()))).toBe('invalid_token: key_mismatch')
    expect(await wide.ask(await sign(key, foreignClaims()))).toBe('ok u-1')
  })

  it.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const)(
    '%s verifies a good signature and refuses a bad one',
    async (alg) => {
      const one = createKey('k-2', alg)
      const open = createWorld({ issuers: [issuer({ algorithms: [alg] })] })
      open.web.pages.set(URI, [one.jwk])
      await open.authenticator.start()
      const token = await sign(one, foreignClaims())
      const other = await sign({ ...createKey('k-2', alg) }, foreignClaims())
      const cut = `${token.slice(0, token.lastIndexOf('.') + 1)}${encode('short')}`
      expect(await open.ask(token)).toBe('ok u-1')
      expect(await open.ask(other)).toBe('invalid_signature: signature')
      expect(await open.ask(cut)).toBe('invalid_signature: signature')
      expect(open.events.validated).toEqual([`jwt ${alg}`])
    },
  )

  it.each([
    ['zeros', () => Buffer.alloc(64)],
    ['r above the order', () => Buffer.concat([Buffer.alloc(32, 0xff), Buffer.alloc(32, 1)])],
    ['s zero', () => Buffer.concat([Buffer.alloc(32, 1), Buffer.alloc(32)])],
    ['63 bytes', () => Buffer.alloc(63, 1)],
    ['65 bytes', () => Buffer.alloc(65, 1)],
    ['DER', () => Buffer.from('3006020101020101', 'hex')],
  ])('ES256 refuses a signature of %s', async (_, bytes) => {
    const one = createKey('k-2')
    world.web.pages.set(URI, [one.jwk])
    await world.clock.advance(2000)
    const token = await sign(one, foreignClaims())
    expect(await world.ask(token)).toBe('ok u-1')
    const forged = `${token.slice(0, token.lastIndexOf('.') + 1)}${bytes().toString('base64url')}`
    expect(await world.ask(forged)).toBe('invalid_signature: signature')
  })
})

describe('shared secrets', () => {
  const current = Buffer.alloc(32, 1)
  const previous = Buffer.alloc(32, 2)

  it('verify with the current and the previous one, and with no other', async () => {
    const { ask } = secrets([current, previous])
    expect(await ask(mac(current, {}))).toBe('ok u-1')
    expect(await ask(mac(previous, {}))).toBe('ok u-1')
    expect(await ask(mac(Buffer.alloc(32, 3), {}))).toBe('invalid_signature: signature')
    expect(await ask(mac(Buffer.alloc(0), {}))).toBe('invalid_signature: signature')
  })

  it('have no names and one algorithm', async () => {
    const { ask } = secrets([current])
    expect(await ask(mac(current, { kid: 'any' }))).toBe('invalid_token: unknown_key')
    expect(await ask(mac(current, { alg: 'HS512' }))).toBe('invalid_token: algorithm')
    expect(await ask(await sign(key, foreignClaims()))).toBe('invalid_token: algorithm')
  })

  it.each([0, 1, 31])('of %i bytes are refused at the start, without being shown', (length) => {
    expect(() => secrets([Buffer.alloc(length, 0x41)])).toThrow('issuers.legacy.secrets: none is long enough for the algorithms')
  })
})

function secrets(all: readonly Uint8Array[]): World {
  return createWorld({
    issuers: [issuer({ name: 'legacy', algorithms: ['HS256'], audiences: 'any', keys: { kind: 'secrets', secrets: all } })],
  })
}

function mac(secret: Uint8Array, header: object): string {
  const input = `${encode({ alg: 'HS256', ...header })}.${encode(foreignClaims({ aud: undefined, exp: NOW_SECONDS + 60 }))}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}
