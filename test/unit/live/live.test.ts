import { describe, expect, it } from 'vitest'
import type { Identified, Route } from '../../../src/exchange/exchange.ts'
import type { TokenEnd } from '../../../src/live/live.ts'
import { createWorld, exchangeOf, START_SECONDS, type TestExchange, type World } from './world.ts'

function held(world: World, more: Partial<Identified> = {}, route: Partial<Route> = {}): TestExchange {
  const one = exchangeOf(world, more, route)
  world.live.hold(one)
  return one
}

describe('an exchange that is over soon', () => {
  it('is never held, and leaves no timer behind', async () => {
    const world = createWorld()
    const one = exchangeOf(world)
    world.live.enter(one)
    await world.pass(200)
    world.live.leave(one)
    world.revoke({ kind: 'token', tenant: 'acme', id: 'jti-1' })
    await world.pass(1000)
    expect({ held: world.live.count(), ends: one.ends, timers: world.timers() }).toEqual({ held: 0, ends: [], timers: 0 })
  })

  it('is held once it has lasted, by half a second at the latest', async () => {
    const world = createWorld()
    world.live.enter(exchangeOf(world))
    await world.pass(251)
    expect(world.live.count()).toBe(0)
    await world.pass(251)
    expect(world.live.count()).toBe(1)
  })

  it('is ended when it is held, if its token was revoked before', async () => {
    const world = createWorld()
    const one = exchangeOf(world)
    world.live.enter(one)
    world.revoke({ kind: 'session', tenant: 'acme', id: 'sid-1' })
    expect(one.ends).toEqual([])
    await world.pass(600)
    expect({ ends: one.ends, held: world.live.count(), counted: world.counted }).toEqual({
      ends: ['revoked'],
      held: 0,
      counted: ['revoked'],
    })
  })
})

describe('a revocation', () => {
  const OTHERS = [
    { tenant: 'globex' },
    { user: 'bob', session: 'sid-2', tokenId: 'jti-2', keyId: 'kid-2' },
    { user: 'bob', session: 'sid-3', tokenId: 'jti-3', keyId: 'kid-2' },
  ]
  it.each<[TokenEnd['kind'], TokenEnd, number]>([
    ['token', { kind: 'token', tenant: 'acme', id: 'jti-1' }, 1],
    ['session', { kind: 'session', tenant: 'acme', id: 'sid-1' }, 1],
    ['user', { kind: 'user', tenant: 'acme', id: 'alice' }, 1],
    ['key', { kind: 'key', tenant: 'acme', id: 'kid-1' }, 1],
    ['tenant', { kind: 'tenant', tenant: 'acme' }, 3],
  ])('of a %s ends what it concerns at once, and nothing else', async (_, what, count) => {
    const world = createWorld()
    const all = [{}, ...OTHERS].map((more) => held(world, more))
    world.revoke(what)
    expect(all.filter(({ ends }) => ends.length > 0).length).toBe(count)
    expect(all[0]?.ends).toEqual(['revoked'])
    expect(world.live.count()).toBe(all.length - count)
    await world.pass(1000)
    expect(all.map(({ ends }) => ends.length).reduce((sum, one) => sum + one)).toBe(count)
  })

  it('that was in force before it is held ends it when it is held', () => {
    const world = createWorld()
    world.list({ kind: 'user', tenant: 'acme', id: 'alice' })
    expect(held(world).ends).toEqual(['revoked'])
    expect(world.live.count()).toBe(0)
  })

  it('that the token outlives, such as one of an older epoch, ends nothing', () => {
    const world = createWorld()
    const one = held(world)
    world.live.revoked({ kind: 'user', tenant: 'acme', id: 'alice' })
    expect({ ends: one.ends, held: world.live.count() }).toEqual({ ends: [], held: 1 })
  })

  it('of what many hold ends all of them, in slices', async () => {
    const world = createWorld()
    const all = Array.from({ length: 2000 }, () => held(world))
    const other = held(world, { user: 'bob', session: 'sid-2', tokenId: 'jti-2' })
    world.revoke({ kind: 'user', tenant: 'acme', id: 'alice' })
    const atOnce = all.filter(({ ends }) => ends.length > 0).length
    expect([atOnce > 0, atOnce < 1000]).toEqual([true, true])
    await world.pass(1)
    expect(all.every(({ ends }) => ends.length === 1 && ends[0] === 'revoked')).toBe(true)
    expect({ other: other.ends, held: world.live.count() }).toEqual({ other: [], held: 1 })
  })

  it('finds nothing of what has left', () => {
    const world = createWorld()
    const one = held(world)
    world.live.leave(one)
    world.revoke({ kind: 'tenant', tenant: 'acme' })
    expect({ ends: one.ends, held: world.live.count() }).toEqual({ ends: [], held: 0 })
  })
})

describe('an expiry', () => {
  it('ends an exchange in the second in which its token is refused, and not before', async () => {
    const world = createWorld()
    const one = held(world)
    await world.pass(61_900)
    expect(one.ends).toEqual([])
    await world.pass(110)
    expect({ ends: one.ends, held: world.live.count(), counted: world.counted }).toEqual({
      ends: ['expired'],
      held: 0,
      counted: ['expired'],
    })
    await world.pass(1000)
    expect(world.timers()).toBe(0)
  })

  it('asks again where an exchange waits for an answer that it asked for in time', async () => {
    const world = createWorld()
    const one = held(world)
    one.waits = true
    await world.pass(70_000)
    expect({ ends: one.ends, held: world.live.count() }).toEqual({ ends: [], held: 1 })
    one.waits = false
    await world.pass(260)
    expect({ ends: one.ends, held: world.live.count() }).toEqual({ ends: ['expired'], held: 0 })
  })

  it('does not keep a revocation from ending what waits', async () => {
    const world = createWorld()
    const one = held(world)
    one.waits = true
    await world.pass(70_000)
    world.revoke({ kind: 'token', tenant: 'acme', id: 'jti-1' })
    expect(one.ends).toEqual(['revoked'])
  })
})

describe('on a route where a session keeps what it opened', () => {
  const UNTIL_SESSION = { liveUntil: 'session' } as const

  it('a session that was refreshed keeps it until its newest token ends, and is asked again then', async () => {
    const world = createWorld()
    const one = held(world, {}, UNTIL_SESSION)
    const asked: string[] = []
    world.findSession = async ({ session }) => {
      asked.push(session ?? '')
      return { lastUsedAt: START_SECONDS + 50, tokensUntil: START_SECONDS + 112, expiresAt: START_SECONDS + 1000 }
    }
    await world.pass(63_000)
    expect({ ends: one.ends, asked }).toEqual({ ends: [], asked: ['sid-1'] })
    await world.pass(50_000)
    expect({ ends: one.ends, asked }).toEqual({ ends: ['expired'], asked: ['sid-1', 'sid-1'] })
  })

  it('a session that was not refreshed does not, whatever its tokens could have lasted', async () => {
    const world = createWorld()
    const one = held(world, {}, UNTIL_SESSION)
    world.findSession = async () => ({
      lastUsedAt: START_SECONDS - 10,
      tokensUntil: START_SECONDS + 90,
      expiresAt: START_SECONDS + 1000,
    })
    await world.pass(63_000)
    expect(one.ends).toEqual(['expired'])
  })

  it('no session lasts beyond its own end', async () => {
    const world = createWorld()
    const one = held(world, {}, UNTIL_SESSION)
    world.findSession = async () => ({
      lastUsedAt: START_SECONDS + 50,
      tokensUntil: START_SECONDS + 500,
      expiresAt: START_SECONDS + 70,
    })
    await world.pass(71_900)
    expect(one.ends).toEqual([])
    await world.pass(200)
    expect(one.ends).toEqual(['expired'])
  })

  it('a session that has ended keeps nothing', async () => {
    const world = createWorld()
    const one = held(world, {}, UNTIL_SESSION)
    await world.pass(63_000)
    expect(one.ends).toEqual(['expired'])
  })

  it.each([
    ['that fails', () => Promise.reject(new Error('away'))],
    ['that does not answer', () => new Promise<undefined>(() => undefined)],
  ])('a store %s ends it: what nobody can tell is not let through', async (_, findSession) => {
    const world = createWorld()
    const one = held(world, {}, UNTIL_SESSION)
    world.findSession = findSession
    await world.pass(65_000)
    expect({ ends: one.ends, held: world.live.count() }).toEqual({ ends: ['unavailable'], held: 0 })
  })

  it('a revocation while the store is asked ends it, once', async () => {
    const world = createWorld()
    const one = held(world, {}, UNTIL_SESSION)
    const answer = Promise.withResolvers<undefined>()
    world.findSession = () => answer.promise
    await world.pass(62_100)
    world.revoke({ kind: 'session', tenant: 'acme', id: 'sid-1' })
    answer.resolve(undefined)
    await world.pass(2000)
    expect({ ends: one.ends, counted: world.counted }).toEqual({ ends: ['revoked'], counted: ['revoked'] })
  })

  it('a token made elsewhere, or without a session, ends as its token', async () => {
    const world = createWorld()
    world.findSession = async () => Promise.reject(new Error('must not be asked'))
    const foreign = held(world, { issuer: 'corporate' }, UNTIL_SESSION)
    const { session: _, ...nameless } = exchangeOf(world).principal
    const service: TestExchange = { ...exchangeOf(world, {}, UNTIL_SESSION), principal: nameless }
    world.live.hold(service)
    await world.pass(63_000)
    expect([foreign.ends, service.ends]).toEqual([['expired'], ['expired']])
  })
})

describe('a stale copy of the revocations', () => {
  const revocation = (whenStale: 'deny' | 'allow' | 'verify') => ({ revocation: { whenStale, maxStalenessMs: 5000 } })

  it('ends nothing within the bound of the route', async () => {
    const world = createWorld()
    const one = held(world, {}, revocation('deny'))
    world.stalenessMs = 5000
    world.verdict = 'revocation_unavailable'
    await world.pass(3000)
    expect({ ends: one.ends, checked: world.checked }).toEqual({ ends: [], checked: [] })
  })

  it('past it, judges what is held as a new request would be', async () => {
    const world = createWorld()
    const [denied, allowed] = [held(world, {}, revocation('deny')), held(world, { tokenId: 'jti-2' }, revocation('allow'))]
    world.stalenessMs = 5001
    world.verdict = 'revocation_unavailable'
    await world.pass(300)
    expect({ denied: denied.ends, allowed: allowed.ends, counted: world.counted }).toEqual({
      denied: ['unavailable'],
      allowed: [],
      counted: ['unavailable'],
    })
  })

  it('asks about a token again after the bound, and ends it when the store says that it is revoked', async () => {
    const world = createWorld()
    const one = held(world, {}, revocation('verify'))
    world.stalenessMs = 6000
    await world.pass(4900)
    expect({ ends: one.ends, checked: world.checked }).toEqual({ ends: [], checked: ['jti-1'] })
    world.verdict = 'token_revoked'
    await world.pass(1000)
    expect({ ends: one.ends, checked: world.checked }).toEqual({ ends: ['revoked'], checked: ['jti-1', 'jti-1'] })
  })

  it('asks again also after the clock was set back by hours', async () => {
    const world = createWorld()
    const one = held(world, {}, revocation('verify'))
    world.stalenessMs = 6000
    await world.pass(300)
    world.setBack(3 * 3_600_000)
    world.verdict = 'token_revoked'
    await world.pass(300)
    expect({ ends: one.ends, checked: world.checked }).toEqual({ ends: ['revoked'], checked: ['jti-1', 'jti-1'] })
  })

  it('asks the store about no more than a few hundred tokens at a time', async () => {
    const world = createWorld()
    for (let count = 0; count < 1200; count += 1) held(world, {}, revocation('verify'))
    world.stalenessMs = 6000
    await world.pass(252)
    expect(world.checked.length).toBe(500)
    await world.pass(500)
    expect(world.checked.length).toBe(1200)
  })
})
