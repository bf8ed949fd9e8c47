import { beforeEach, describe, expect, it } from 'vitest'
import { NOW_SECONDS as NOW, createKey, createWorld, exchange, foreignClaims, issuer, ownClaims, sign, tenant } from './world.ts'
import type { World } from './world.ts'

const key = createKey('k-1', 'RS256')
const URI = 'https://login.example.com/jwks.json'
let world: World

beforeEach(async () => {
  world = createWorld()
  world.web.pages.set(URI, [key.jwk])
  world.ownKeys.set('acme', [key.jwk])
  await world.authenticator.start()
})

describe('the cache of verified tokens', () => {
  it('answers at once, with the same principal for every route', async () => {
    const token = await sign(key, foreignClaims())
    const first = await world.authenticator.authenticate(exchange(['authorization', `Bearer ${token}`]))
    const second = world.authenticator.authenticate(exchange(['authorization', `bearer ${token}`], 'optional'))
    expect(second).not.toBeInstanceOf(Promise)
    expect((await second).principal).toBe(first.principal)
    expect((await second).route.auth).toBe('optional')
    expect(world.events.cache).toEqual(['miss', 'hit'])
    expect(world.events.validated).toEqual(['jwt RS256'])
    expect(world.events.seconds).toHaveLength(1)
    expect(world.events.decided).toEqual([
      ['acme', 'accepted', 'ok'],
      ['acme', 'accepted', 'ok'],
    ])
  })

  it('is found by the whole token alone', async () => {
    const token = await sign(key, foreignClaims())
    expect(await world.ask(token)).toBe('ok u-1')
    const [header = '', payload = '', signature = ''] = token.split('.')
    const stranger = await sign(createKey('k-1', 'RS256'), foreignClaims())
    expect(stranger.startsWith(`${header}.${payload}.`)).toBe(true)
    expect(await world.ask(stranger)).toBe('invalid_signature: signature')
    const sameId = (await sign(key, foreignClaims({ sub: 'admin' }))).split('.')[1] ?? ''
    expect(await world.ask(`${header}.${sameId}.${signature}`)).toBe('invalid_signature: signature')
    // As long as the token, and with the same end.
    const another = (await sign(key, foreignClaims({ sub: 'u-9' }))).split('.')[1] ?? ''
    expect(another).toHaveLength(payload.length)
    expect(await world.ask(`${header}.${another}.${signature}`)).toBe('invalid_signature: signature')
    expect(await world.ask(await sign(key, foreignClaims({ sub: 'u-2' })))).toBe('ok u-2')
    expect(await world.ask(token)).toBe('ok u-1')
  })

  it('keeps nothing that was refused', async () => {
    const forged = await sign(createKey('k-1', 'RS256'), foreignClaims())
    for (let n = 0; n < 2; n += 1) expect(await world.ask(forged)).toBe('invalid_signature: signature')
    expect(world.events.cache).toEqual(['miss', 'miss'])
  })

  it.each([
    ['with iat', { iat: NOW }],
    ['without iat', { iat: undefined }],
  ])('lets no token %s live past its expiry and the skew', async (_, changes) => {
    const token = await sign(key, foreignClaims({ ...changes, exp: NOW + 60 }))
    expect(await world.ask(token)).toBe('ok u-1')
    await world.clock.advance(89_999)
    expect(await world.ask(token)).toBe('ok u-1')
    await world.clock.advance(1)
    expect(await world.ask(token)).toBe('token_expired: expired')
    expect(await world.ask(token)).toBe('token_expired: expired')
  })

  it('forgets the tokens of a key that left, and keeps those of a key that stayed', async () => {
    const rotated = createKey('k-2', 'RS256')
    const [old, fresh] = [await sign(key, ownClaims()), await sign(rotated, ownClaims({ sub: 'u-2' }))]
    world.ownKeys.set('acme', [key.jwk, rotated.jwk])
    world.authenticator.keysChanged('acme')
    expect([await world.ask(old), await world.ask(fresh)]).toEqual(['ok u-1', 'ok u-2'])
    world.ownKeys.set('acme', [{ ...rotated.jwk }])
    world.authenticator.keysChanged('acme')
    expect([await world.ask(old), await world.ask(fresh)]).toEqual(['invalid_token: unknown_key', 'ok u-2'])
    expect(world.events.cache).toEqual(['miss', 'miss', 'miss', 'hit'])
  })

  it('forgets the tokens of a key that an issuer replaced under its name', async () => {
    const token = await sign(key, foreignClaims({ exp: NOW + 3600 }))
    expect(await world.ask(token)).toBe('ok u-1')
    world.web.pages.set(URI, [createKey('k-1', 'RS256').jwk])
    await world.clock.advance(600_000)
    expect(await world.ask(token)).toBe('invalid_signature: signature')
  })

  it('tells tenants with one key name apart', async () => {
    const other = tenant({ id: 'other', issuer: 'http://localhost:8080/t/other' })
    const twin = createKey('k-1', 'RS256')
    world = createWorld({ tenants: [tenant(), other], issuers: [] })
    world.ownKeys.set('acme', [key.jwk]).set('other', [twin.jwk])
    await world.authenticator.start()
    const claims = ownClaims({ iss: other.issuer, tenant_id: 'other' })
    expect(await world.ask(await sign(key, ownClaims()))).toBe('ok u-1')
    expect(await world.ask(await sign(twin, claims, { typ: 'at+jwt' }))).toBe('ok u-1')
    expect(await world.ask(await sign(key, claims, { typ: 'at+jwt' }))).toBe('invalid_signature: signature')
    expect(await world.ask(await sign(twin, ownClaims()))).toBe('invalid_signature: signature')
    expect(await world.ask(await sign(key, ownClaims({ tenant_id: 'other' })))).toBe('invalid_token: tenant')
  })

  it('is bounded, the token used least recently leaving first', async () => {
    const [a = '', b = '', c = ''] = await fullOf(['a', 'b', 'c'])
    for (const token of [a, b, a, c, c, a, c, b]) await world.ask(token)
    expect(world.events.cache).toEqual(['miss', 'miss', 'hit', 'miss', 'miss', 'hit', 'hit', 'miss'])
  })

  it('keeps the tokens that are used when others come that are shown once', async () => {
    const [a = '', b = '', ...others] = await fullOf(['a', 'b', 'c', 'd', 'e', 'f'])
    for (const token of [a, b, ...others, a, b]) await world.ask(token)
    expect(world.events.cache).toEqual(['miss', 'miss', 'miss', 'miss', 'miss', 'miss', 'hit', 'hit'])
  })

  it('says of a principal that nobody will see again that it is fleeting', async () => {
    const [a = '', b = '', c = ''] = await fullOf(['a', 'b', 'c'])
    const principals = []
    for (const token of [a, b, c, c, c]) {
      const { principal } = await world.authenticator.authenticate(exchange(['authorization', `Bearer ${token}`]))
      principals.push(principal.kind === 'identified' ? `${principal.user} ${principal.fleeting ?? 'kept'}` : 'nobody')
    }
    expect(principals).toEqual(['a kept', 'b kept', 'c true', 'c kept', 'c kept'])
  })

  it.each([
    ['has expired', 90_000, 3_600_000],
    ['was kept for as long as the configuration says', 30_000, 30_000],
  ])('gives a token the place of one that %s when it comes', async (_, passedMs, lifetimeMs) => {
    const [a = '', b = ''] = await fullOf(['a', 'b'], { claims: { exp: NOW + 60 }, lifetimeMs })
    for (const token of [a, b]) await world.ask(token)
    await world.clock.advance(passedMs)
    const late = await sign(key, foreignClaims({ sub: 'c', iat: NOW + 30, exp: NOW + 600 }))
    for (let times = 0; times < 2; times += 1) expect(await world.ask(late)).toBe('ok c')
    expect(world.events.cache).toEqual(['miss', 'miss', 'miss', 'hit'])
  })

  it('forgets the token used least recently, in whatever order they come', async () => {
    const tokens = await fullOf(['a', 'b', 'c', 'd', 'e'], { entries: 3 })
    const [expected, seen]: [string[], (string | undefined)[]] = [[], []]
    let used: string[] = []
    for (let turn = 0, chance = 7; turn < 200; turn += 1) {
      chance = (chance * 1103515245 + 12345) % 2147483648
      const token = tokens[Math.floor(chance / 65536) % tokens.length] ?? ''
      expected.push(used.includes(token) ? 'hit' : 'miss')
      const asked = world.events.cache.length
      await world.ask(token)
      seen.push(world.events.cache[asked])
      // It may have to show that it is used.
      await world.ask(token)
      used = [token, ...used.filter((one) => one !== token)].slice(0, 3)
    }
    expect(seen).toEqual(expected)
    expect(new Set(expected).size).toBe(2)
  })

  it.each([
    [0, ['miss', 'miss', 'miss']],
    [5_000, ['miss', 'hit', 'miss']],
  ])('verifies a token anew after %i ms where the configuration says so', async (lifetimeMs, expected) => {
    world = createWorld({ tokenCache: { lifetimeMs } })
    world.web.pages.set(URI, [key.jwk])
    await world.authenticator.start()
    const token = await sign(key, foreignClaims())
    expect(await world.ask(token)).toBe('ok u-1')
    await world.clock.advance(4_999)
    expect(await world.ask(token)).toBe('ok u-1')
    await world.clock.advance(1)
    expect(await world.ask(token)).toBe('ok u-1')
    expect(world.events.cache).toEqual(expected)
  })
})

/** Tokens of users, before a cache that has room for so many. */
async function fullOf(
  users: readonly string[],
  { claims = {}, entries = 2, lifetimeMs = 3_600_000 }: { claims?: object; entries?: number; lifetimeMs?: number } = {},
): Promise<readonly string[]> {
  world = createWorld({ tokenCache: { entries, lifetimeMs } })
  world.web.pages.set(URI, [key.jwk])
  await world.authenticator.start()
  return Promise.all(users.map((sub) => sign(key, foreignClaims({ sub, ...claims }))))
}

describe('the issuers', () => {
  it('are refused when two claim one name in iss', () => {
    expect(() => createWorld({ issuers: [issuer(), issuer({ name: 'second' })] })).toThrow('is configured twice')
    expect(() => createWorld({ issuers: [issuer({ issuer: tenant().issuer })] })).toThrow('is configured twice')
  })
})

describe('a refusal', () => {
  it('holds nothing of the token and is counted with its step', async () => {
    const token = await sign(createKey('k-1', 'RS256'), foreignClaims({ sub: 'secret-user' }))
    const refusal = await Promise.resolve()
      .then(() => world.authenticator.authenticate(exchange(['authorization', `Bearer ${token}`])))
      .catch((error: unknown) => error)
    expect(JSON.stringify(refusal, Object.getOwnPropertyNames(refusal))).not.toMatch(/secret-user|k-1|login\.example|eyJ/)
    expect(world.events.decided).toEqual([['acme', 'refused', 'signature']])
  })
})
