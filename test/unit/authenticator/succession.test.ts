/** The authenticator of another configuration: what goes over from the one before, and what does not. */
import { beforeEach, describe, expect, it } from 'vitest'
import { createAuthenticator, type Authenticator, type AuthenticatorNeeds } from '../../../src/authenticator/authenticator.ts'
import type { IssuerConfig } from '../../../src/config/config.ts'
import {
  createKey,
  createWorld,
  exchange,
  foreignClaims,
  issuer,
  ORIGIN,
  outcome,
  remote,
  sign,
  tenant,
  type World,
} from './world.ts'

const URI = 'https://login.example.com/jwks.json'
const known = createKey('known')
let world: World
let good: string

beforeEach(async () => {
  good = await sign(known, foreignClaims())
  world = createWorld()
  world.web.pages.set(URI, [known.jwk])
  await world.authenticator.start()
})

function next(issuers: readonly IssuerConfig[], entries = 20_000): Authenticator {
  const needs: AuthenticatorNeeds = {
    fetch: world.web.fetch,
    nowMs: () => world.clock.nowMs(),
    random: () => 0.5,
    schedule: (delayMs, run) => world.clock.schedule(delayMs, run),
    readFile: () => Promise.reject(new Error('ENOENT')),
    ownKeys: () => [],
    events: {
      decided: () => undefined,
      cache: (result) => void world.events.cache.push(result),
      validated: () => undefined,
      validationSeconds: () => undefined,
      jwksFetched: (name, result) => void world.events.fetched.push(`${name} ${result}`),
      keyDropped: () => undefined,
    },
  }
  const config = {
    tenants: new Map([['acme', tenant()]]),
    issuers: new Map(issuers.map((one) => [one.name, one])),
    listeners: { public: { origin: ORIGIN } },
    tokenCache: { entries, lifetimeMs: 3_600_000 },
  }
  return createAuthenticator(needs, config, world.authenticator)
}

const ask = (authenticator: Authenticator, token: string): Promise<string> =>
  outcome(() => authenticator.authenticate(exchange(['Authorization', `Bearer ${token}`])))

describe('an issuer that is configured alike', () => {
  it('keeps its keys without a fetch, and its verified tokens', async () => {
    expect(await ask(world.authenticator, good)).toBe('ok u-1')
    const after = next([issuer()])
    await after.start()
    after.enter()
    world.authenticator.stop([after])
    expect([await ask(after, good), world.web.requests.length, world.events.cache]).toEqual(['ok u-1', 1, ['miss', 'hit']])
    await world.clock.advance(20 * 60_000)
    expect(world.web.requests.length).toBeGreaterThan(1)
    after.stop()
    const { length } = world.web.requests
    await world.clock.advance(60 * 60_000)
    expect(world.web.requests).toHaveLength(length)
  })

  it('whose verified tokens are remembered in another number has them verified once more, with the same keys', async () => {
    expect(await ask(world.authenticator, good)).toBe('ok u-1')
    const after = next([issuer()], 10)
    await after.start()
    after.enter()
    expect([await ask(after, good), world.web.requests.length, world.events.cache]).toEqual(['ok u-1', 1, ['miss', 'miss']])
  })
})

describe('an issuer that is configured in another way', () => {
  it('serves on with the keys of its address until others are fetched, and nobody waits for that', async () => {
    world.web.pages.set(URI, () => new Promise<Response>(() => undefined))
    const after = next([issuer({ keys: remote(URI, { refreshMs: 30_000 }) })])
    await after.start()
    after.enter()
    world.authenticator.stop([after])
    expect([await ask(after, good), world.web.requests.length]).toEqual(['ok u-1', 2])
  })

  it('has nothing of the keys of another address', async () => {
    const other = 'https://other.example.com/jwks.json'
    world.web.pages.set(other, [createKey('another').jwk])
    const after = next([issuer({ keys: remote(other) })])
    await after.start()
    after.enter()
    expect(await ask(after, good)).toMatch(/^unknown_key|^invalid_token/)
  })

  it('judges remembered tokens anew', async () => {
    expect(await ask(world.authenticator, good)).toBe('ok u-1')
    const after = next([issuer({ audiences: ['another'] })])
    await after.start()
    after.enter()
    expect(await ask(after, good)).toMatch(/^invalid_token/)
    // Whoever asked the one before still hears what was true then.
    expect(await ask(world.authenticator, good)).toBe('ok u-1')
  })
})

it('takes no token of an issuer that is gone, however well remembered, and fetches its keys no more', async () => {
  expect(await ask(world.authenticator, good)).toBe('ok u-1')
  const after = next([])
  await after.start()
  after.enter()
  world.authenticator.stop([after])
  expect(await ask(after, good)).toMatch(/^invalid_token/)
  await world.clock.advance(60 * 60_000)
  expect(world.web.requests).toHaveLength(1)
})
