import { describe, expect, it } from 'vitest'
import type { Admitted, Unspent } from '../../../src/exchange/exchange.ts'
import type { Reply } from '../../../src/quota/quota.ts'
import { ADMITTED } from '../telemetry/world.ts'
import { ALICE, createWorld, fieldsOf, limitsOf, routedOf, uncountedOf } from './world.ts'

const ANONYMOUS = { kind: 'anonymous' } as const

describe('a limit of a route', () => {
  it('lets a burst in, and says what is left', async () => {
    const world = createWorld()
    const rateLimit = limitsOf('3/60 ip')
    const answers = [await world.ask({ rateLimit }), await world.ask({ rateLimit }), await world.ask({ rateLimit })]
    expect(answers.map(({ outcome, remaining }) => `${outcome} ${remaining}`)).toEqual([
      '200 "ip";r=2;t=20',
      '200 "ip";r=1;t=40',
      '200 "ip";r=0;t=60',
    ])
    expect(answers.map(({ policy }) => policy)).toEqual(Array(3).fill('"ip";q=3;w=60'))
    expect(answers.every(({ retryAfter }) => retryAfter === undefined)).toBe(true)
  })

  it('refuses the next one with the seconds to wait', async () => {
    const world = createWorld()
    const rateLimit = limitsOf('3/60 ip')
    await world.many(3, { rateLimit })
    expect(await world.ask({ rateLimit })).toEqual({
      outcome: 'rate_limited',
      remaining: '"ip";r=0;t=60',
      policy: '"ip";q=3;w=60',
      retryAfter: '20',
    })
    expect(world.limited).toEqual(['orders ip'])
  })

  it('lets one in to the millisecond at which Retry-After was exact, and not before', async () => {
    const world = createWorld()
    const rateLimit = limitsOf('3/60 ip')
    await world.many(3, { rateLimit })
    world.nowMs += 19_999
    expect(await world.ask({ rateLimit })).toMatchObject({ outcome: 'rate_limited', retryAfter: '1' })
    world.nowMs += 1
    expect(await world.ask({ rateLimit })).toMatchObject({ outcome: '200', remaining: '"ip";r=0;t=60' })
    expect(await world.ask({ rateLimit })).toMatchObject({ outcome: 'rate_limited', retryAfter: '20' })
  })

  it('gives back as much as time has passed, and never more than the burst', async () => {
    const world = createWorld()
    const rateLimit = limitsOf('10/1 ip')
    expect(await world.many(20, { rateLimit })).toBe(10)
    world.nowMs += 300
    expect(await world.many(20, { rateLimit })).toBe(3)
    world.nowMs += 3_600_000
    expect(await world.many(20, { rateLimit })).toBe(10)
  })

  it('takes nothing for what it refuses', async () => {
    const world = createWorld()
    const rateLimit = limitsOf('1/10 ip')
    await world.ask({ rateLimit })
    expect(await world.many(50, { rateLimit })).toBe(0)
    world.nowMs += 10_000
    expect(await world.ask({ rateLimit })).toMatchObject({ outcome: '200' })
  })

  it('takes a burst of its own, smaller and larger than the rate', async () => {
    const world = createWorld()
    expect(await world.many(50, { rateLimit: limitsOf('10/1 ip burst 2') })).toBe(2)
    expect(await world.many(50, { rateLimit: limitsOf('10/1 ip burst 25'), client: '192.0.2.9' })).toBe(25)
    expect(await world.ask({ rateLimit: limitsOf('10/1 ip burst 25'), client: '192.0.2.9' })).toMatchObject({
      policy: '"ip";q=25;w=3',
      retryAfter: '1',
    })
  })

  it.each(['7/60', '3/1', '9/7', '1000000/1', '999983/1', '1/2592000', '333333/86400'])(
    'lets exactly the burst in where the interval of %s is no whole number',
    async (rate) => {
      const world = createWorld()
      const burst = Number(rate.split('/')[0]) > 1_000 ? 500 : Number(rate.split('/')[0])
      const rateLimit = limitsOf(`${rate} ip burst ${burst}`)
      expect(await world.many(burst + 5, { rateLimit })).toBe(burst)
    },
  )

  it('counts those that it tells apart each for itself', async () => {
    const world = createWorld()
    const rateLimit = limitsOf('2/60 ip')
    expect(await world.many(3, { rateLimit, client: '192.0.2.1' })).toBe(2)
    expect(await world.many(3, { rateLimit, client: '192.0.2.2' })).toBe(2)
  })

  it('goes on counting where a changed file has it again, by its name in the route', async () => {
    const world = createWorld()
    await world.many(5, { rateLimit: limitsOf('5/60 ip') })
    expect(await world.many(5, { rateLimit: limitsOf('5/60 ip') })).toBe(0)
    // Less is owed than before at the most: the burst of what is in force now.
    expect(await world.ask({ rateLimit: limitsOf('1/1 ip') })).toMatchObject({ outcome: 'rate_limited', retryAfter: '1' })
  })
})

describe('several limits of a route', () => {
  const rateLimit = limitsOf('10/60 user', '3/1 ip')

  it('all hold, and the answer says all', async () => {
    const world = createWorld()
    expect(await world.ask({ rateLimit })).toEqual({
      outcome: '200',
      remaining: '"user";r=9;t=6, "ip";r=2;t=1',
      policy: '"user";q=10;w=60, "ip";q=3;w=1',
      retryAfter: undefined,
    })
    expect(await world.many(9, { rateLimit })).toBe(2)
    world.nowMs += 3_600_000
    let admitted = 0
    for (let second = 0; second < 5; second += 1) {
      admitted += await world.many(10, { rateLimit })
      world.nowMs += 1_000
    }
    expect(admitted).toBe(10)
    expect(world.limited.at(-1)).toBe('orders user')
  })

  it('take nothing from any when one refuses', async () => {
    const world = createWorld()
    expect(await world.many(30, { rateLimit })).toBe(3)
    world.nowMs += 1_000
    const after = await world.ask({ rateLimit })
    expect(after.remaining).toBe('"user";r=6;t=23, "ip";r=2;t=1')
  })

  it('make the client wait for the slowest of those that refuse', async () => {
    const world = createWorld()
    const both = limitsOf('1/60 user', '1/10 ip')
    await world.ask({ rateLimit: both })
    expect(await world.ask({ rateLimit: both })).toMatchObject({
      retryAfter: '60',
      remaining: '"user";r=0;t=60, "ip";r=0;t=10',
    })
    expect(world.limited).toEqual(['orders user'])
  })

  it('of one kind are told apart', async () => {
    const world = createWorld()
    const both = limitsOf('2/1 ip', '3/60 ip')
    expect(await world.many(9, { rateLimit: both })).toBe(2)
    world.nowMs += 1_000
    expect(await world.many(9, { rateLimit: both })).toBe(1)
    expect(await world.ask({ rateLimit: both })).toMatchObject({
      policy: '"ip";q=2;w=1, "ip-2";q=3;w=60',
      retryAfter: '19',
    })
  })
})

describe('whom a request is counted with', () => {
  const who = async (by: string, one: object, other: object): Promise<'together' | 'apart'> => {
    const world = createWorld()
    const rateLimit = limitsOf(`1/60 ${by}`)
    await world.ask({ rateLimit, ...one })
    return (await world.ask({ rateLimit, ...other })).outcome === '200' ? 'apart' : 'together'
  }
  const bob = { principal: { ...ALICE, user: 'bob', tokenId: 'jti-2' } }
  const elsewhere = { client: '198.51.100.7' }

  it('by address: IPv4 each, IPv6 by /64, and IPv4 in IPv6 as IPv4', async () => {
    expect(await who('ip', { client: '192.0.2.1' }, { client: '192.0.2.2' })).toBe('apart')
    expect(await who('ip', { client: '2001:db8::1' }, { client: '2001:db8:0:0:ffff::1' })).toBe('together')
    expect(await who('ip', { client: '2001:db8::1' }, { client: '2001:db8:0:1::1' })).toBe('apart')
    expect(await who('ip', { client: '192.0.2.1' }, { client: '::ffff:192.0.2.1' })).toBe('together')
  })

  it('by user: wherever it comes from and with whatever token, but not across tenants', async () => {
    expect(await who('user', elsewhere, { principal: { ...ALICE, tokenId: 'jti-9', issuer: 'corporate' } })).toBe('together')
    expect(await who('user', {}, bob)).toBe('apart')
    expect(await who('user', {}, { principal: { ...ALICE, tenant: 'beta' } })).toBe('apart')
  })

  it('by user without a user: by address', async () => {
    expect(await who('user', { principal: ANONYMOUS }, { principal: ANONYMOUS })).toBe('together')
    expect(await who('user', { principal: ANONYMOUS }, { principal: ANONYMOUS, ...elsewhere })).toBe('apart')
    expect(await who('user', { principal: ANONYMOUS }, {})).toBe('apart')
  })

  it('by tenant: all of a tenant, and all without one', async () => {
    expect(await who('tenant', {}, { ...bob, ...elsewhere })).toBe('together')
    expect(await who('tenant', {}, { tenant: 'beta' })).toBe('apart')
    expect(await who('tenant', { tenant: undefined }, { tenant: undefined, ...elsewhere })).toBe('together')
  })

  it('by token: its id and issuer; without an id, by user', async () => {
    expect(await who('token', {}, elsewhere)).toBe('together')
    expect(await who('token', {}, { principal: { ...ALICE, tokenId: 'jti-9' } })).toBe('apart')
    expect(await who('token', {}, { principal: { ...ALICE, issuer: 'corporate' } })).toBe('apart')
    const { tokenId: _, ...nameless } = ALICE
    expect(await who('token', { principal: nameless }, { principal: nameless, ...elsewhere })).toBe('together')
    expect(await who('token', { principal: nameless }, { principal: { ...nameless, user: 'bob' } })).toBe('apart')
  })

  it('by client: client_id, else azp; a login has none and counts by user', async () => {
    const of = (claims: object, more: object = {}) => ({ principal: { ...ALICE, claims, ...more } })
    expect(await who('client', of({ client_id: 'billing' }), of({ client_id: 'billing' }, { user: 'bob' }))).toBe('together')
    expect(await who('client', of({ client_id: 'billing' }), of({ client_id: 'crm' }))).toBe('apart')
    expect(await who('client', of({ azp: 'spa' }), of({ client_id: 'spa' }, { user: 'bob' }))).toBe('together')
    expect(await who('client', of({ client_id: 'gatehouse' }), of({ client_id: 'gatehouse' }, { user: 'bob' }))).toBe('apart')
    expect(await who('client', of({}), of({}, { user: 'bob' }))).toBe('apart')
    expect(await who('client', of({ client_id: 7 }), of({ client_id: 7 }, { user: 'bob' }))).toBe('apart')
    expect(await who('client', of({ client_id: 'x' }), of({ client_id: 'x' }, { issuer: 'corporate' }))).toBe('apart')
  })
})

describe('a client that proves itself to a service', () => {
  const rateLimit = limitsOf('2/60 client')
  const calls = { rateLimit, principal: ANONYMOUS, tenant: undefined, caller: 'client' } as const
  const billing = { id: 'billing', tenant: 'acme' }

  it('is counted when it has, whichever address it comes from', async () => {
    const world = createWorld()
    const proveFrom = async (client: string): Promise<unknown> => {
      const reply: Reply = { announced: undefined }
      const admitted = await world.quota.spend(uncountedOf({ ...calls, client }), reply)
      expect(reply.announced).toBeUndefined()
      try {
        await world.quota.proved(admitted as Admitted, billing)
        return fieldsOf(reply)
      } catch (error) {
        return error
      }
    }
    expect(await proveFrom('192.0.2.1')).toEqual({ ratelimit: '"client";r=1;t=30', 'ratelimit-policy': '"client";q=2;w=60' })
    expect(await proveFrom('192.0.2.2')).toEqual({ ratelimit: '"client";r=0;t=60', 'ratelimit-policy': '"client";q=2;w=60' })
    expect(await proveFrom('192.0.2.3')).toMatchObject({ kind: 'rate_limited', facts: { headers: { 'retry-after': '30' } } })
    expect(world.limited).toEqual(['orders client'])
  })

  it('is counted with the tokens that it has', async () => {
    const world = createWorld()
    const admitted = await world.quota.spend(uncountedOf(calls))
    await world.quota.proved(admitted as Admitted, billing)
    const principal = { ...ALICE, claims: { client_id: 'billing' } }
    expect(await world.ask({ rateLimit, principal })).toMatchObject({ remaining: '"client";r=0;t=60' })
  })

  it('is counted by the other limits at once, and the answer says all', async () => {
    const world = createWorld()
    const reply: Reply = { announced: undefined }
    const both = limitsOf('5/60 ip', '2/60 client')
    const admitted = await world.quota.spend(uncountedOf({ ...calls, rateLimit: both }), reply)
    expect(fieldsOf(reply)['ratelimit']).toBe('"ip";r=4;t=12')
    await world.quota.proved(admitted as Admitted, billing)
    expect(fieldsOf(reply)['ratelimit']).toBe('"ip";r=4;t=12, "client";r=1;t=30')
  })

  it('is expected where others may call too only if it says so by HTTP Basic', async () => {
    const world = createWorld()
    const perhaps = { ...calls, caller: 'holder or client' as const }
    expect(await world.many(5, perhaps)).toBe(2)
    expect(await world.many(5, { ...perhaps, rawHeaders: ['Authorization', 'Basic YTpi'] })).toBe(5)
    expect(await world.many(5, { ...perhaps, rawHeaders: ['X-Other', 'Basic YTpi'] })).toBe(0)
    expect(await world.many(5, { ...calls, caller: 'holder' })).toBe(0)
  })

  it('is nobody’s concern on other routes', () => {
    const world = createWorld()
    expect(world.quota.proved(ADMITTED, billing)).toBeUndefined()
  })
})

describe('the step of the path', () => {
  it('hands a request without limits on as it is, at once', () => {
    const world = createWorld()
    expect(world.quota.arrive(ADMITTED)).toBe(ADMITTED)
    expect(world.quota.spend(ADMITTED)).toBe(ADMITTED)
    expect(world.counted).toEqual([])
  })

  it('counts limits by address alone on arrival, others after the policy', () => {
    const world = createWorld()
    const onAdmission = routedOf({ rateLimit: limitsOf('1/60 ip', '1/60 user') })
    expect(world.quota.arrive(onAdmission)).toBe(onAdmission)
    expect(world.counted).toEqual([])
    void world.quota.arrive(routedOf({ rateLimit: limitsOf('1/60 ip') }))
    expect(world.counted).toEqual(['here'])
  })

  it('admits what is within the limits, or leaves it to be spent where each token is taken once', () => {
    const world = createWorld()
    const rateLimit = limitsOf('9/60 user')
    expect(world.quota.spend(uncountedOf({ rateLimit }))).toMatchObject({ admitted: true, tenant: 'acme' })
    const unspent = world.quota.spend(uncountedOf({ rateLimit, replay: 'once' })) as Unspent
    expect(unspent).toMatchObject({ principal: ALICE, tenant: 'acme' })
    expect('admitted' in unspent).toBe(false)
    expect(() => world.quota.spend(uncountedOf({ rateLimit, replay: 'once', principal: ANONYMOUS }))).toThrow('unauthorized')
  })
})
