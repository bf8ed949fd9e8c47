import { afterEach, describe, expect, it } from 'vitest'
import type { Authenticated } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import type { Revocation } from '../../../src/revocation/revocation.ts'
import { PRINCIPAL, START_SECONDS, createWorld, exchangeOf, rest } from './world.ts'
import type { World } from './world.ts'

const LATER = START_SECONDS + 900
const TOKEN: Revocation = { kind: 'token', tenant: 'acme', id: 't1', expiresAt: LATER }
const worlds: World[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.room.stop()
})

async function started(): Promise<World> {
  const world = createWorld()
  worlds.push(world)
  await world.room.start()
  return world
}

/** A room that was loaded and whose log has been away for a minute. */
async function stale(): Promise<World> {
  const world = await started()
  world.log.mode = 'fails'
  await world.pass(60_000)
  world.told.length = 0
  return world
}

function idOf(revocation: Revocation): string {
  return revocation.kind === 'tenant' ? '' : revocation.id
}

/** The fact that was added, or the kind of the problem. */
async function outcome(world: World, exchange: Authenticated): Promise<string> {
  try {
    const unrevoked = await world.room.check(exchange)
    expect(unrevoked).toEqual({ ...exchange, revocation: unrevoked.revocation })
    return unrevoked.revocation
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    if (error.kind === 'revocation_unavailable') expect(error.facts.headers).toEqual({ 'retry-after': '1' })
    return error.kind
  }
}

describe('while the set is fresh', () => {
  it('passes a token that is not revoked, at once and without asking the store', async () => {
    const world = await started()
    const exchange = exchangeOf(PRINCIPAL, 'verify')
    expect(world.room.check(exchange)).toEqual({ ...exchange, revocation: 'checked' })
    expect(exchange).not.toHaveProperty('revocation')
    expect(world.lookup.calls).toEqual([])
    expect(world.told).toEqual(['clear replica'])
  })

  it('has nothing to say of a request without a token', async () => {
    const world = await stale()
    expect(await outcome(world, exchangeOf('anonymous'))).toBe('none')
    expect(world.told).toEqual([])
  })

  it.each<[string, Revocation, string]>([
    ['its id', TOKEN, 'token_revoked'],
    ['its session', { kind: 'session', tenant: 'acme', id: 's1', expiresAt: LATER }, 'token_revoked'],
    ['an epoch after its own', { kind: 'user', tenant: 'acme', id: 'u1', epoch: 2, at: 0, expiresAt: LATER }, 'token_revoked'],
    ['its own epoch', { kind: 'user', tenant: 'acme', id: 'u1', epoch: 1, at: LATER, expiresAt: LATER }, 'checked'],
    ['the id in another tenant', { ...TOKEN, tenant: 'globex' }, 'checked'],
    [
      'the user in another tenant',
      { kind: 'user', tenant: 'globex', id: 'u1', epoch: 2, at: LATER, expiresAt: LATER },
      'checked',
    ],
    ['a session of the token’s id', { kind: 'session', tenant: 'acme', id: 't1', expiresAt: LATER }, 'checked'],
    ['a token of the session’s id', { kind: 'token', tenant: 'acme', id: 's1', expiresAt: LATER }, 'checked'],
    ['the key that signed it', { kind: 'key', tenant: 'acme', id: 'k1', expiresAt: LATER }, 'token_revoked'],
    ['another key', { kind: 'key', tenant: 'acme', id: 'k2', expiresAt: LATER }, 'checked'],
    ['a key of the same id in another tenant', { kind: 'key', tenant: 'globex', id: 'k1', expiresAt: LATER }, 'checked'],
    ['a key of the token’s id', { kind: 'key', tenant: 'acme', id: 't1', expiresAt: LATER }, 'checked'],
    [
      'its tenant, in the second of its issue',
      { kind: 'tenant', tenant: 'acme', at: START_SECONDS, expiresAt: LATER },
      'token_revoked',
    ],
    ['its tenant, before its issue', { kind: 'tenant', tenant: 'acme', at: START_SECONDS - 1, expiresAt: LATER }, 'checked'],
    ['another tenant', { kind: 'tenant', tenant: 'globex', at: LATER, expiresAt: LATER }, 'checked'],
    ['another user', { kind: 'user', tenant: 'acme', id: 'u2', epoch: 2, at: LATER, expiresAt: LATER }, 'checked'],
  ])('a revocation of %s decides', async (_, revocation, result) => {
    const world = await started()
    world.log.append(revocation)
    await rest()
    expect(await outcome(world, exchangeOf())).toBe(result)
    expect(world.room.lists(PRINCIPAL)).toBe(result === 'token_revoked')
  })

  it.each([
    ['a second before', START_SECONDS - 1, 'token_revoked'],
    ['in the same second', START_SECONDS, 'token_revoked'],
    ['a second after', START_SECONDS + 1, 'checked'],
    ['nobody knows when', undefined, 'token_revoked'],
  ])('a token without epoch that was issued %s is judged by its time', async (_, issuedAt, result) => {
    const world = await started()
    const { epoch: _epoch, issuedAt: _issuedAt, ...rest_ } = PRINCIPAL
    const principal = { ...rest_, ...(issuedAt === undefined ? {} : { issuedAt }) }
    const revocation: Revocation = { kind: 'user', tenant: 'acme', id: 'u1', epoch: 9, at: START_SECONDS, expiresAt: LATER }
    world.log.append(revocation)
    await rest()
    expect(await outcome(world, exchangeOf(principal))).toBe(result)
  })

  it('refuses a token that does not say when it was issued, once its tenant is revoked', async () => {
    const world = await started()
    const { issuedAt: _issuedAt, ...principal } = PRINCIPAL
    const revocation: Revocation = { kind: 'tenant', tenant: 'acme', at: 1, expiresAt: LATER }
    world.log.append(revocation)
    await rest()
    expect(await outcome(world, exchangeOf(principal))).toBe('token_revoked')
    expect(await outcome(world, exchangeOf())).toBe('checked')
  })

  it('keeps of two revocations of a tenant the later moment and the longer life', async () => {
    const world = await started()
    world.log.append({ kind: 'tenant', tenant: 'acme', at: START_SECONDS - 9, expiresAt: LATER })
    world.log.append({ kind: 'tenant', tenant: 'acme', at: START_SECONDS, expiresAt: START_SECONDS + 30 })
    world.log.append({ kind: 'tenant', tenant: 'acme', at: START_SECONDS - 20, expiresAt: START_SECONDS + 20 })
    await world.pass(130_000)
    expect(await outcome(world, exchangeOf())).toBe('token_revoked')
    expect(world.room.entries()).toBe(1)
    await world.pass(900_000)
    expect(await outcome(world, exchangeOf())).toBe('checked')
    expect(world.room.entries()).toBe(0)
  })

  it('cannot be misled by an id that contains what could be a delimiter', async () => {
    const world = await started()
    world.log.append({ kind: 'token', tenant: 'a', id: 'b\0c', expiresAt: LATER })
    world.log.append({ kind: 'token', tenant: 'a:b', id: 'c', expiresAt: LATER })
    await rest()
    for (const [tenant, tokenId] of [
      ['a\0b', 'c'],
      ['a', 'b:c'],
      ['a', 'c'],
      ['__proto__', 'constructor'],
    ] as const) {
      expect(await outcome(world, exchangeOf({ ...PRINCIPAL, tenant, tokenId }))).toBe('checked')
    }
  })
})

describe('while the set is stale', () => {
  it.each([
    ['deny', 'GET', 'revocation_unavailable', 'unknown replica'],
    ['deny', 'POST', 'revocation_unavailable', 'unknown replica'],
    ['allow', 'GET', 'skipped', 'unknown skipped'],
    ['allow', 'DELETE', 'skipped', 'unknown skipped'],
    ['safe-methods', 'GET', 'skipped', 'unknown skipped'],
    ['safe-methods', 'HEAD', 'skipped', 'unknown skipped'],
    ['safe-methods', 'OPTIONS', 'skipped', 'unknown skipped'],
    ['safe-methods', 'POST', 'revocation_unavailable', 'unknown replica'],
    ['safe-methods', 'TRACE', 'revocation_unavailable', 'unknown replica'],
    ['safe-methods', 'get', 'revocation_unavailable', 'unknown replica'],
  ] as const)('%s makes of a %s: %s', async (whenStale, method, result, event) => {
    const world = await stale()
    expect(await outcome(world, exchangeOf(PRINCIPAL, whenStale, method))).toBe(result)
    expect(world.told).toEqual([event])
    expect(world.lookup.calls).toEqual([])
  })

  it('goes by the bound of the route', async () => {
    const world = await started()
    world.log.mode = 'fails'
    await world.pass(5000)
    expect(world.room.stalenessMs()).toBeGreaterThan(4000)
    expect(await outcome(world, exchangeOf(PRINCIPAL, 'deny', 'GET', 10_000))).toBe('checked')
    expect(await outcome(world, exchangeOf(PRINCIPAL, 'deny', 'GET', 4000))).toBe('revocation_unavailable')
  })

  it.each(['deny', 'allow', 'safe-methods', 'verify'] as const)(
    'refuses what is known to be revoked, whatever %s says',
    async (whenStale) => {
      const world = await started()
      world.log.append(TOKEN)
      await rest()
      world.log.mode = 'fails'
      await world.pass(60_000)
      expect(await outcome(world, exchangeOf(PRINCIPAL, whenStale))).toBe('token_revoked')
      expect(world.lookup.calls).toEqual([])
    },
  )

  it('says no for certain before anything was loaded, unless the route allows it', async () => {
    const world = createWorld()
    worlds.push(world)
    expect(world.room.stalenessMs()).toBe(Number.POSITIVE_INFINITY)
    expect(await outcome(world, exchangeOf())).toBe('revocation_unavailable')
    expect(await outcome(world, exchangeOf(PRINCIPAL, 'allow'))).toBe('skipped')
  })
})

describe('verify', () => {
  it('asks the store about this one token', async () => {
    const world = await stale()
    expect(await outcome(world, exchangeOf(PRINCIPAL, 'verify'))).toBe('verified')
    world.lookup.answer = async () => true
    expect(await outcome(world, exchangeOf({ ...PRINCIPAL, tokenId: 't2' }, 'verify'))).toBe('token_revoked')
    expect(world.lookup.calls.map((token) => token.tokenId)).toEqual(['t1', 't2'])
    expect(world.told).toEqual(['clear store', 'revoked store'])
  })

  it('asks once for all that wait for the same token, and remembers the answer for a second', async () => {
    const world = await stale()
    const exchange = exchangeOf(PRINCIPAL, 'verify')
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcome(world, exchange)))
    expect(new Set(outcomes)).toEqual(new Set(['verified']))
    expect(world.lookup.calls).toHaveLength(1)
    await world.pass(1000)
    await outcome(world, exchange)
    expect(world.lookup.calls).toHaveLength(1)
    await world.pass(1)
    await outcome(world, exchange)
    expect(world.lookup.calls).toHaveLength(2)
  })

  it('takes no answer that is older than the route’s bound', async () => {
    const world = await stale()
    await outcome(world, exchangeOf(PRINCIPAL, 'verify', 'GET', 100))
    await world.pass(101)
    await outcome(world, exchangeOf(PRINCIPAL, 'verify', 'GET', 100))
    expect(world.lookup.calls).toHaveLength(2)
  })

  it('keeps tokens apart that differ in anything the answer depends on', async () => {
    const world = await stale()
    for (const change of [
      {},
      { tenant: 'b' },
      { user: 'b' },
      { session: 'b' },
      { tokenId: 'b' },
      { epoch: 7 },
      { issuedAt: 7 },
      { keyId: 'b' },
    ]) {
      await outcome(world, exchangeOf({ ...PRINCIPAL, ...change }, 'verify'))
    }
    expect(world.lookup.calls).toHaveLength(8)
  })

  it('refuses when the store fails, or is too slow', async () => {
    const world = await stale()
    world.lookup.answer = () => Promise.reject(new Error('away'))
    expect(await outcome(world, exchangeOf(PRINCIPAL, 'verify'))).toBe('revocation_unavailable')
    world.lookup.answer = () => new Promise(() => undefined)
    expect(await outcome(world, exchangeOf(PRINCIPAL, 'verify'))).toBe('revocation_unavailable')
    world.lookup.answer = async () => false
    expect(await outcome(world, exchangeOf(PRINCIPAL, 'verify'))).toBe('verified')
    expect(world.told).toEqual(['unknown store', 'unknown store', 'clear store'])
  })

  it('stops asking a store that is down, and tries again after a while', async () => {
    const world = await stale()
    const exchange = exchangeOf(PRINCIPAL, 'verify')
    world.lookup.answer = () => Promise.reject(new Error('away'))
    for (let number = 0; number < 20; number += 1) expect(await outcome(world, exchange)).toBe('revocation_unavailable')
    expect(world.lookup.calls).toHaveLength(5)
    expect(world.told).toContain('breaker open')
    // Whether it is well again no request has to find out.
    await world.pass(500)
    const probes = world.lookup.calls.length
    expect(probes).toBeGreaterThan(5)
    expect(await outcome(world, exchange)).toBe('revocation_unavailable')
    expect(world.lookup.calls).toHaveLength(probes)
    world.lookup.answer = () => new Promise(() => undefined)
    await world.pass(200)
    expect(await outcome(world, exchange)).toBe('revocation_unavailable')
    world.lookup.answer = async () => false
    await world.pass(200)
    expect(await outcome(world, exchange)).toBe('verified')
    expect(world.told.filter((line) => line.startsWith('breaker'))).toEqual(['breaker open', 'breaker closed'])
  })

  it('refuses what became known during the question', async () => {
    const world = await started()
    world.log.mode = 'fails'
    await world.pass(60_000)
    const question = Promise.withResolvers<boolean>()
    world.lookup.answer = () => question.promise
    const waiting = outcome(world, exchangeOf(PRINCIPAL, 'verify'))
    await rest()
    world.log.mode = 'answers'
    world.log.append(TOKEN)
    await rest()
    question.resolve(false)
    expect(await waiting).toBe('token_revoked')
  })
})

describe('listeners', () => {
  it('hear of each revocation once, after it is in force', async () => {
    const world = await started()
    const heard: [string, boolean][] = []
    const end = world.room.onRevoked((revocation) => heard.push([idOf(revocation), world.room.lists(PRINCIPAL)]))
    world.log.append(TOKEN)
    world.log.append(TOKEN)
    world.log.append({ ...TOKEN, id: 't2' })
    await rest()
    expect(heard).toEqual([
      ['t1', true],
      ['t2', true],
    ])
    end()
    world.log.append({ ...TOKEN, id: 't3' })
    await rest()
    expect(heard).toHaveLength(2)
  })

  it('that fail keep neither the others nor the log', async () => {
    const world = await started()
    const heard: string[] = []
    world.room.onRevoked(() => {
      throw new Error('x')
    })
    world.room.onRevoked((revocation) => heard.push(idOf(revocation)))
    world.log.append(TOKEN)
    world.log.append({ ...TOKEN, id: 't2' })
    await rest()
    expect(heard).toEqual(['t1', 't2'])
    expect(world.told.filter((line) => line === 'listener failed')).toHaveLength(2)
    expect(world.room.entries()).toBe(2)
  })
})
