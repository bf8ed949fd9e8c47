import { inspect } from 'node:util'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { Problem } from '../../../src/problem/problem.ts'
import type { KeyFacts, Tenants } from '../../../src/tenants/tenants.ts'
import { DAY, MINUTE, START, configured, createWorld, memoryStore, tenant } from './world.ts'

const ACT = { actor: 'admin', reason: 'test' }

/** `state` of each key by the day it was made. */
function shown(facts: readonly KeyFacts[]): readonly string[] {
  return facts.map((key) => `${key.state}@${(key.since - START) / DAY}`)
}

function kids(tenants: Tenants): readonly string[] {
  return tenants.publicKeys('acme').map((key) => key.kid)
}

async function signer(tenants: Tenants): Promise<string> {
  return String(decodeProtectedHeader(await tenants.sign('acme', {}, 'at+jwt')).kid)
}

describe('the calendar of a key', () => {
  test('is: published ten minutes, signing ninety days, published still for the life of its tokens and five minutes, over', async () => {
    const world = createWorld()
    const tenants = await world.open(memoryStore(), configured(tenant('acme')))
    const first = await signer(tenants)
    const at = async (seconds: number): Promise<readonly string[]> => {
      world.clock.now = START + seconds
      await tenants.reload()
      return shown(await tenants.keys.list('acme'))
    }
    expect(await at(0)).toEqual(['current@0'])
    expect(await at(90 * DAY - 10 * MINUTE - 1)).toEqual(['current@0'])
    const published = 90 * DAY - 10 * MINUTE
    expect(await at(published)).toEqual([`next@${published / DAY}`, 'current@0'])
    const [, second = ''] = kids(tenants)
    expect([await signer(tenants), kids(tenants)]).toEqual([first, [first, second]])
    expect(await at(90 * DAY - 1)).toEqual([`next@${published / DAY}`, 'current@0'])
    expect(await signer(tenants)).toBe(first)
    expect(await at(90 * DAY)).toEqual(['current@90', 'previous@90'])
    expect([await signer(tenants), kids(tenants)]).toEqual([second, [second, first]])
    // 15 min of life, 2 s of skew, 5 min of JWKS caches.
    expect(await at(90 * DAY + 1201)).toEqual(['current@90', 'previous@90'])
    const over = 90 * DAY + 1202
    expect(await at(over)).toEqual(['current@90', `retired@${over / DAY}`])
    expect(kids(tenants)).toEqual([second])
    expect(JSON.parse(tenants.jwks('acme'))).toEqual({ keys: tenants.publicKeys('acme') })
    expect(
      world.events
        .filter((event) => event.tenant === 'acme')
        .map(({ event, subject, actor, reason }) => [event, subject, actor, reason]),
    ).toEqual([
      ['sys_key_created', first, 'gateway', 'schedule'],
      ['sys_key_published', second, 'gateway', 'schedule'],
      ['sys_key_rotated', second, 'gateway', 'schedule'],
      ['sys_key_retired', first, 'gateway', 'schedule'],
    ])
  })

  test('goes on where the gateway was away: the next key is published as long as ever before it signs', async () => {
    const world = createWorld()
    const store = memoryStore()
    const before = await world.open(store, configured(tenant('acme')))
    const first = await signer(before)
    world.clock.now += 400 * DAY
    const tenants = await world.open(store, configured(tenant('acme')))
    expect((await tenants.keys.list('acme')).map((key) => key.state)).toEqual(['next', 'current'])
    expect(await signer(tenants)).toBe(first)
    world.clock.now += 10 * MINUTE
    await tenants.reload()
    expect(await signer(tenants)).not.toBe(first)
  })

  test('keeps a key for the longest life that was configured while it signed', async () => {
    const world = createWorld()
    const store = memoryStore()
    const long = { accessToken: { lifetimeSeconds: 12 * 3600, jitter: 0 } }
    await world.open(store, configured(tenant('acme', 'ES256', long)))
    const tenants = await world.open(store, configured(tenant('acme')))
    await tenants.keys.rotate('acme', ACT)
    world.clock.now += 10 * MINUTE
    await tenants.reload()
    const previous = (await tenants.keys.list('acme')).find((key) => key.state === 'previous')
    expect(previous?.until).toBe(world.clock.now + 12 * 3600 + 2 + 300)
  })

  test('remembers ten keys that are over, without anything that verifies', async () => {
    const world = createWorld()
    const store = memoryStore()
    const tenants = await world.open(store, configured(tenant('acme')))
    for (let count = 0; count < 14; count++) {
      await tenants.keys.rotate('acme', ACT)
      world.clock.now += 10 * MINUTE
      await tenants.reload()
      world.clock.now += 3600
      await tenants.reload()
    }
    const facts = await tenants.keys.list('acme')
    expect(facts.filter((key) => key.state === 'retired')).toHaveLength(10)
    expect(facts).toHaveLength(11)
    expect((store.sets.get('tenant:acme') ?? '').length).toBeLessThan(5000)
  })

  test('of a passport is the same, with a day of publication', async () => {
    const world = createWorld()
    const tenants = await world.open(memoryStore(), configured(tenant('acme')))
    const { kid } = tenants.passport.publicJwk
    world.clock.now += 89 * DAY
    await tenants.reload()
    expect(JSON.parse(tenants.passport.jwks())).toMatchObject({ keys: [{ kid }, { use: 'sig' }] })
    expect(decodeProtectedHeader(tenants.passport.sign({})).kid).toBe(kid)
    world.clock.now += DAY
    await tenants.reload()
    expect(tenants.passport.publicJwk.kid).not.toBe(kid)
    expect(decodeProtectedHeader(tenants.passport.sign({})).kid).toBe(tenants.passport.publicJwk.kid)
    expect(JSON.parse(tenants.passport.jwks())).toMatchObject({ keys: [{}, { kid }] })
  })
})

describe('another algorithm', () => {
  test('signs once its key was published long enough; tokens of the old one verify on', async () => {
    const world = createWorld()
    const store = memoryStore()
    const before = await world.open(store, configured(tenant('acme', 'ES256')))
    const token = await before.sign('acme', { a: 1 }, 'at+jwt')
    const after = await world.open(store, configured(tenant('acme', 'EdDSA')))
    expect(after.publicKeys('acme').map((key) => key.alg)).toEqual(['ES256', 'EdDSA'])
    expect(decodeProtectedHeader(await after.sign('acme', {}, 'at+jwt')).alg).toBe('ES256')
    world.clock.now += 10 * MINUTE
    await after.reload()
    expect(after.publicKeys('acme').map((key) => key.alg)).toEqual(['EdDSA', 'ES256'])
    expect(decodeProtectedHeader(await after.sign('acme', {}, 'at+jwt')).alg).toBe('EdDSA')
    const jwks = { keys: after.publicKeys('acme').map((key) => ({ ...key })) }
    expect((await jwtVerify(token, createLocalJWKSet(jwks))).payload).toEqual({ a: 1 })
  })
})

describe('a rotation that is asked for', () => {
  test('publishes a key, is refused with the time until that may sign, and then makes it current', async () => {
    const world = createWorld()
    const tenants = await world.open(memoryStore(), configured(tenant('acme')))
    const first = await signer(tenants)
    const published = await tenants.keys.rotate('acme', ACT)
    expect(published).toEqual({ outcome: 'published', kid: kids(tenants)[1], currentAt: START + 600 })
    world.clock.now += 200
    const early = await tenants.keys.rotate('acme', ACT).catch((error: unknown) => error)
    expect(early).toBeInstanceOf(Problem)
    expect(early).toMatchObject({
      kind: 'rotation_too_early',
      status: 409,
      facts: {
        description: `The next key was not published long enough for everyone to know it. Rotate from ${new Date((START + 600) * 1000).toISOString()} on.`,
        headers: { 'retry-after': '400' },
      },
    })
    expect(await signer(tenants)).toBe(first)
    world.clock.now += 400
    expect(await tenants.keys.rotate('acme', ACT)).toEqual({ outcome: 'rotated', kid: published.kid })
    expect(await signer(tenants)).toBe(published.kid)
  })

  test('takes place by itself when the time has come', async () => {
    const world = createWorld()
    const tenants = await world.open(memoryStore(), configured(tenant('acme')))
    const { kid } = await tenants.keys.rotate('acme', ACT)
    world.clock.now += 600
    await tenants.reload()
    expect(await signer(tenants)).toBe(kid)
    expect(world.events.filter((event) => event.subject === kid).map((event) => [event.event, event.actor])).toEqual([
      ['sys_key_published', 'admin'],
      ['sys_key_rotated', 'gateway'],
    ])
  })

  test('of a key that was published for the schedule may come before it is due', async () => {
    const world = createWorld()
    const tenants = await world.open(
      memoryStore(),
      configured(tenant('acme', 'ES256', { keys: { rotateEverySeconds: 90 * DAY, publishBeforeSeconds: DAY } })),
    )
    world.clock.now += 89 * DAY
    await tenants.reload()
    await expect(tenants.keys.rotate('acme', ACT)).rejects.toMatchObject({ kind: 'rotation_too_early' })
  })

  test('is refused for a tenant that is not configured', async () => {
    const tenants = await createWorld().open(memoryStore(), configured(tenant('acme')))
    await expect(tenants.keys.rotate('beta', ACT)).rejects.toMatchObject({ kind: 'tenant_not_found' })
    await expect(tenants.keys.list('beta')).rejects.toMatchObject({ kind: 'tenant_not_found' })
    await expect(tenants.keys.revoke('beta', 'x', ACT)).rejects.toMatchObject({ kind: 'tenant_not_found' })
  })
})

describe('an emergency revocation', () => {
  test('takes the key out of the JWKS at once, writes it to the log and makes a new one', async () => {
    const world = createWorld()
    const tenants = await world.open(memoryStore(), configured(tenant('acme')))
    const changed: string[] = []
    tenants.onKeysChanged((id) => changed.push(id))
    const first = await signer(tenants)
    const { current } = await tenants.keys.revoke('acme', first, { ...ACT, reason: 'leaked', requestId: 'r1' })
    expect(kids(tenants)).toEqual([current])
    expect(current).not.toBe(first)
    expect(await signer(tenants)).toBe(current)
    expect(changed).toEqual(['acme'])
    expect(world.revoked).toEqual([{ tenant: 'acme', kid: first, reason: 'leaked', tokensUntil: START + 902 + 300 }])
    expect(await tenants.keys.list('acme')).toEqual([
      expect.objectContaining({ kid: current, state: 'current' }),
      { kid: first, alg: 'ES256', state: 'revoked', createdAt: START, since: START, reason: 'leaked' },
    ])
    expect(world.events.slice(-2)).toEqual([
      { event: 'sys_key_created', tenant: 'acme', subject: current, actor: 'admin', reason: 'leaked', requestId: 'r1' },
      { event: 'sys_key_revoked', tenant: 'acme', subject: first, actor: 'admin', reason: 'leaked', requestId: 'r1' },
    ])
  })

  test('of the current key lets the next one sign, which others know already', async () => {
    const world = createWorld()
    const tenants = await world.open(memoryStore(), configured(tenant('acme')))
    const [first = ''] = kids(tenants)
    const next = await tenants.keys.rotate('acme', ACT)
    expect(await tenants.keys.revoke('acme', first, ACT)).toEqual({ current: next.kid })
    expect(kids(tenants)).toEqual([next.kid])
  })

  test('of a next or previous key leaves the current one alone', async () => {
    const world = createWorld()
    const tenants = await world.open(memoryStore(), configured(tenant('acme')))
    const [first = ''] = kids(tenants)
    const next = await tenants.keys.rotate('acme', ACT)
    expect(await tenants.keys.revoke('acme', next.kid, ACT)).toEqual({ current: first })
    const second = await tenants.keys.rotate('acme', ACT)
    world.clock.now += 600
    await tenants.reload()
    expect(await tenants.keys.revoke('acme', first, ACT)).toEqual({ current: second.kid })
    expect(kids(tenants)).toEqual([second.kid])
  })

  test('may be said again, when the log could not be written for instance', async () => {
    const world = createWorld()
    const store = memoryStore()
    let fails = true
    const revokeKey = async (): Promise<void> => {
      if (fails) throw new Problem('storage_unavailable')
    }
    const tenants = await createWorldWith(world, revokeKey).open(store, configured(tenant('acme')))
    const first = await signer(tenants)
    await expect(tenants.keys.revoke('acme', first, ACT)).rejects.toMatchObject({ kind: 'storage_unavailable' })
    const [current] = kids(tenants)
    fails = false
    expect(await tenants.keys.revoke('acme', first, ACT)).toEqual({ current })
    expect(kids(tenants)).toEqual([current])
  })

  test.each(['nobody', ''])('of a key that the tenant has not is refused: %j', async (kid) => {
    const world = createWorld()
    const tenants = await world.open(memoryStore(), configured(tenant('acme'), tenant('beta')))
    await expect(tenants.keys.revoke('acme', kid, ACT)).rejects.toMatchObject({ kind: 'key_not_found' })
    const [foreign = ''] = tenants.publicKeys('beta').map((key) => key.kid)
    await expect(tenants.keys.revoke('acme', foreign, ACT)).rejects.toMatchObject({ kind: 'key_not_found' })
    expect(world.revoked).toEqual([])
  })

  test('is seen by another process when it reads again', async () => {
    const world = createWorld()
    const store = memoryStore()
    const [one, two] = [await world.open(store, configured(tenant('acme'))), await world.open(store, configured(tenant('acme')))]
    const changed: string[] = []
    const stop = two.onKeysChanged((id) => changed.push(id))
    const { current } = await one.keys.revoke('acme', await signer(one), ACT)
    await two.reload('acme')
    expect([kids(two), await signer(two), changed]).toEqual([[current], current, ['acme']])
    stop()
    await one.keys.revoke('acme', current, ACT)
    await two.reload()
    expect(changed).toEqual(['acme'])
  })
})

describe('a process that cannot read the stored keys', () => {
  test('verifies on, signs for four minutes more, and signs again when it can', async () => {
    const world = createWorld()
    const store = memoryStore()
    const tenants = await world.open(store, configured(tenant('acme')))
    store.down = true
    world.clock.now += 240
    await tenants.reload()
    await tenants.reload()
    await expect(tenants.sign('acme', {}, 'at+jwt')).resolves.toBeTypeOf('string')
    world.clock.now += 1
    await expect(tenants.sign('acme', {}, 'at+jwt')).rejects.toMatchObject({ kind: 'storage_unavailable' })
    expect(tenants.publicKeys('acme')).toHaveLength(1)
    expect(tenants.passport.sign({})).toBeTypeOf('string')
    store.down = false
    await tenants.reload()
    await expect(tenants.sign('acme', {}, 'at+jwt')).resolves.toBeTypeOf('string')
    expect(world.reachable).toEqual(['down', 'up'])
  })

  test('starts from what an earlier process read while the store is away, and signs no longer than that one might', async () => {
    const world = createWorld()
    const store = memoryStore()
    const [first] = kids(await world.open(store, configured(tenant('acme'))))
    const kept = new Map([...store.sets].map(([owner, sealed]) => [owner, { sealed, heardAt: world.clock.now }]))
    store.down = true
    world.clock.now += 200
    const withCopy = { ...store, load: store.load, kept: async (owner: string) => kept.get(owner) }
    const tenants = await world.open(withCopy, configured(tenant('acme')))
    expect(kids(tenants)).toEqual([first])
    await expect(tenants.sign('acme', {}, 'at+jwt')).resolves.toBeTypeOf('string')
    world.clock.now += 41
    await expect(tenants.sign('acme', {}, 'at+jwt')).rejects.toMatchObject({ kind: 'storage_unavailable' })
    expect(tenants.passport.sign({})).toBeTypeOf('string')
    store.down = false
    await tenants.reload()
    await expect(tenants.sign('acme', {}, 'at+jwt')).resolves.toBeTypeOf('string')
    expect(kids(tenants)).toEqual([first])
  })

  test('signs nothing from a copy that is of a later time than now, and does not start without one', async () => {
    const world = createWorld()
    const store = memoryStore()
    await world.open(store, configured(tenant('acme')))
    const kept = new Map([...store.sets].map(([owner, sealed]) => [owner, { sealed, heardAt: world.clock.now + 1 }]))
    store.down = true
    const tenants = await world.open({ ...store, kept: async (owner) => kept.get(owner) }, configured(tenant('acme')))
    expect(tenants.publicKeys('acme')).toHaveLength(1)
    await expect(tenants.sign('acme', {}, 'at+jwt')).rejects.toMatchObject({ kind: 'storage_unavailable' })
    await expect(world.open({ ...store, kept: async () => undefined }, configured(tenant('acme')))).rejects.toThrow('is down')
    await expect(world.open(store, configured(tenant('acme')))).rejects.toThrow('is down')
  })

  test('puts back what the store lost', async () => {
    const world = createWorld()
    const store = memoryStore()
    const tenants = await world.open(store, configured(tenant('acme')))
    const sets = new Map(store.sets)
    store.sets.clear()
    await tenants.reload()
    expect(store.sets).toEqual(sets)
  })

  test('keeps its keys while the stored ones do not open', async () => {
    const world = createWorld()
    const store = memoryStore()
    const tenants = await world.open(store, configured(tenant('acme')))
    const before = tenants.jwks('acme')
    store.sets.set('tenant:acme', 'rubbish')
    await tenants.reload()
    expect([tenants.jwks('acme'), world.reachable, store.sets.get('tenant:acme')]).toEqual([before, ['down'], 'rubbish'])
  })
})

describe('the clockwork', () => {
  test('reads every second, each process at a moment of its own, until it is stopped', async () => {
    const world = createWorld()
    const tenants = await world.open(memoryStore(), configured(tenant('acme')))
    expect(world.timers).toEqual([])
    tenants.start()
    expect(world.timers.map((timer) => timer.delayMs)).toEqual([1000])
    world.clock.now += 90 * DAY - 10 * MINUTE
    world.timers.pop()?.run()
    await expect.poll(() => world.timers.length).toBe(1)
    expect(kids(tenants)).toHaveLength(2)
    tenants.stop()
    expect(world.timers).toEqual([])
  })
})

test('no private member shows in anything that operators, logs or errors see', async () => {
  const world = createWorld()
  const store = memoryStore()
  const tenants = await world.open(store, configured(tenant('acme', 'RS256')))
  await tenants.keys.rotate('acme', ACT)
  const early = await tenants.keys.rotate('acme', ACT).catch((error: unknown) => error)
  store.sets.set('tenant:acme', 'x.y.z')
  const broken = await world.open(store, configured(tenant('acme'))).catch((error: unknown) => error)
  const all = [tenants, tenants.keys, tenants.passport, tenants.passport.jwks(), world.events, world.revoked, early, broken]
  const printed = [
    JSON.stringify(all),
    ...all.map((one) => inspect(one, { depth: null, showHidden: true, getters: true })),
    String(early),
  ].join('\n')
  expect(printed).not.toMatch(/[{,\s"'](d|p|q|dp|dq|qi|oth|k)["']?:|BEGIN/)
})

function createWorldWith(world: ReturnType<typeof createWorld>, revokeKey: (typeof world.needs)['revokeKey']) {
  Object.assign(world.needs, { revokeKey })
  return world
}
