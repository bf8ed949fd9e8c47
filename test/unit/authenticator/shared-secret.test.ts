/** Tokens of an older service: a shared secret, and often no id. */
import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ACCESS_COOKIE } from '../../../src/exchange/exchange.ts'
import type { Identified } from '../../../src/exchange/exchange.ts'
import {
  type Claims,
  createKey,
  createWorld,
  encode,
  exchange,
  foreignClaims,
  issuer,
  NOW_SECONDS,
  sign,
  type World,
} from './world.ts'

const CURRENT = Buffer.alloc(32, 0x41)
const PREVIOUS = Buffer.alloc(32, 0x42)
const LEGACY = 'authentication-service'
const corporate = createKey('k1')

async function world(): Promise<World> {
  const made = createWorld({
    issuers: [
      issuer({
        name: 'legacy',
        issuer: LEGACY,
        algorithms: ['HS256'],
        audiences: 'any',
        maxLifetimeSeconds: 43_200,
        claims: { user: 'sub', userElse: 'user_id', scope: 'scope', session: 'sid', token: 'jti' },
        keys: { kind: 'secrets', secrets: [CURRENT, PREVIOUS] },
      }),
      issuer(),
    ],
  })
  made.web.pages.set('https://login.example.com/jwks.json', [corporate.jwk])
  await made.authenticator.start()
  return made
}

function token(changes: Claims = {}, secret = CURRENT): string {
  const claims = foreignClaims({ iss: LEGACY, aud: undefined, jti: undefined, sid: undefined, scope: undefined, ...changes })
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function idOf(text: string): string {
  return `sha256.${createHash('sha256').update(text).digest('base64url')}`
}

describe('a token of a shared secret', () => {
  it('without an id is known by the hash of its text, from the cache too', async () => {
    const { authenticator } = await world()
    const text = token()
    const found: Identified[] = [await authenticator.verify(text), await authenticator.verify(text)]
    expect(found.map(({ tokenId, session, user }) => [tokenId, session, user])).toEqual(
      [1, 2].map(() => [idOf(text), undefined, 'u-1']),
    )
  })

  it('with an id is known by that', async () => {
    const { authenticator } = await world()
    expect(await authenticator.verify(token({ jti: 'j-9' }))).toMatchObject({ tokenId: 'j-9' })
  })

  it.each([{ jti: null }, { jti: '' }, { jti: 7 }])('with an id that cannot be read is refused: %j', async (changes) => {
    const { ask } = await world()
    expect(await ask(token(changes))).toMatch(/^invalid_token: /)
  })

  it('is one token in one spelling only', async () => {
    const { ask, authenticator } = await world()
    const text = token()
    const last = text.at(-1) ?? ''
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const twin = alphabet[alphabet.indexOf(last) + 1] ?? ''
    const others = [`${text.slice(0, -1)}${twin}`, `${text}=`, `${text} `, ` ${text}`, `${text}A`]
    for (const other of others) {
      await expect((async () => authenticator.verify(other))()).rejects.toMatchObject({ status: 401 })
    }
    expect(await ask(text)).toBe('ok u-1')
  })

  it('may be signed with the current secret or the previous one, and no other', async () => {
    const { ask } = await world()
    expect(await Promise.all([CURRENT, PREVIOUS, Buffer.alloc(32, 0x43)].map((secret) => ask(token({}, secret))))).toEqual([
      'ok u-1',
      'ok u-1',
      'invalid_signature: signature',
    ])
  })

  it('counts for its issuer alone', async () => {
    const { ask } = await world()
    expect(await ask(token({ iss: 'https://login.example.com/', aud: 'api' }))).toBe('invalid_token: algorithm')
    expect(await ask(token({ iss: 'http://localhost:8080/t/acme' }))).toBe('invalid_token: algorithm')
    expect(await ask(token({ iss: 'other' }))).toBe('invalid_token: issuer')
  })

  it.each<[Claims, string]>([
    [{ sub: 'u-7', user_id: 'u-8' }, 'ok u-7'],
    [{ sub: undefined, user_id: 'u-8' }, 'ok u-8'],
    [{ sub: undefined, user_id: 42 }, 'ok 42'],
    [{ sub: undefined, user_id: 4.2 }, 'invalid_token: user'],
    [{ sub: undefined, user_id: -1 }, 'invalid_token: user'],
    [{ sub: undefined, user_id: 2 ** 53 }, 'invalid_token: user'],
    [{ sub: undefined, user_id: ['u-8'] }, 'invalid_token: user'],
    [{ sub: undefined, user_id: 'a\nb' }, 'invalid_token: user'],
    [{ sub: undefined }, 'invalid_token: user'],
    [{ sub: '', user_id: 'u-8' }, 'invalid_token: user'],
    [{ sub: 7, user_id: 'u-8' }, 'invalid_token: claim_type'],
  ])('names its user in one claim or the other: %j', async (changes, outcome) => {
    const { ask } = await world()
    expect(await ask(token(changes))).toBe(outcome)
  })

  it('may live for twelve hours where its issuer says so, and not longer', async () => {
    const { ask } = await world()
    expect(await ask(token({ exp: NOW_SECONDS + 43_200 }))).toBe('ok u-1')
    expect(await ask(token({ exp: NOW_SECONDS + 43_201 }))).toBe('invalid_token: lifetime')
  })
})

describe('a token of public keys', () => {
  it('without an id has none: an elliptic signature can be written in a second way', async () => {
    const { authenticator } = await world()
    expect(await authenticator.verify(await sign(corporate, foreignClaims({ jti: undefined })))).not.toHaveProperty('tokenId')
  })
})

describe('the text of the token of a request', () => {
  it.each<[string, readonly string[], string | undefined]>([
    ['of the header', ['Authorization', 'Bearer a.b.c'], 'a.b.c'],
    ['of the cookie', ['Cookie', `${ACCESS_COOKIE}=a.b.c`], 'a.b.c'],
    ['of the header before the cookie', ['Cookie', `${ACCESS_COOKIE}=x`, 'authorization', 'bearer a.b.c'], 'a.b.c'],
    ['there is none in Basic', ['Authorization', 'Basic eA=='], undefined],
    ['there is none in two headers', ['Authorization', 'Bearer a', 'Authorization', 'Bearer b'], undefined],
    ['there is none in two cookies', ['Cookie', `${ACCESS_COOKIE}=a; ${ACCESS_COOKIE}=b`], undefined],
    ['there is none in none', [], undefined],
  ])('%s', async (_, headers, text) => {
    const { authenticator } = await world()
    expect(authenticator.tokenOf(exchange(headers))).toBe(text)
  })
})
