import { describe, expect, test } from 'vitest'
import { networkOf } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import type { Outcome } from '../../../src/services/accounts/throttle.ts'
import { createThrottle } from '../../../src/services/accounts/throttle.ts'
import { aTenant, openWorld, refusalOf } from './world.ts'

const TENANT = aTenant('default')

function setUp() {
  const clock = { ms: 1_000_000 }
  const throttle = createThrottle({ nowMs: () => clock.ms })
  return { clock, throttle, attempt }

  /** What came of an attempt: its outcome, or the seconds to wait. */
  function attempt(outcome: Outcome, client = '192.0.2.1', subject = 'ann', tenant = TENANT): Outcome | number {
    try {
      throttle.begin(tenant, client, subject).end(outcome)
      return outcome
    } catch (error) {
      if (!(error instanceof Problem) || error.kind !== 'rate_limited') throw error
      expect(error.facts.headers?.['retry-after']).toMatch(/^[1-9][0-9]*$/)
      return Number(error.facts.headers?.['retry-after'])
    }
  }
}

describe('the throttle of logins', () => {
  test('tells of a lock once for each account and address in a quarter of an hour', () => {
    const { clock, throttle } = setUp()
    const told: string[] = []
    const attempt = (client: string, subject: string): void => {
      try {
        throttle.begin(TENANT, client, subject, (what) => told.push(`${what} ${client} ${subject}`)).end('failed')
      } catch {
        // Locked.
      }
    }
    for (let i = 0; i < 50; i++) attempt('192.0.2.1', 'ann')
    expect(told).toEqual(['account 192.0.2.1 ann'])
    for (let i = 0; i < 50; i++) attempt('192.0.2.2', `user${i}`)
    expect(told).toEqual(['account 192.0.2.1 ann', 'address 192.0.2.2 user20'])
    clock.ms += 14 * 60_000
    for (let i = 0; i < 50; i++) attempt('192.0.2.1', 'ann')
    expect(told).toHaveLength(2)
    clock.ms += 60_000
    for (let i = 0; i < 50; i++) attempt('192.0.2.1', 'ann')
    expect(told.slice(2)).toEqual(['account 192.0.2.1 ann'])
  })

  test('lets one address fail twenty times at once, then as often as the tenant says', () => {
    const { clock, attempt } = setUp()
    for (let i = 0; i < 20; i++) expect(attempt('failed', '192.0.2.1', `user${i}`)).toBe('failed')
    expect(attempt('failed', '192.0.2.1', 'another')).toBe(3)
    expect(attempt('failed', '192.0.2.2', 'another')).toBe('failed')
    clock.ms += 3_000
    expect(attempt('failed', '192.0.2.1', 'another')).toBe('failed')
    expect(attempt('failed', '192.0.2.1', 'yet another')).toBe(3)
    clock.ms += 3_600_000
    for (let i = 0; i < 20; i++) expect(attempt('failed', '192.0.2.1', `later${i}`)).toBe('failed')
    expect(attempt('failed', '192.0.2.1', 'even later')).toBe(3)
  })

  test('never slows down who logs in rightly, or was not let to try', () => {
    const { attempt } = setUp()
    for (let i = 0; i < 200; i++) expect(attempt(i % 2 === 0 ? 'passed' : 'withdrawn')).toBe(i % 2 === 0 ? 'passed' : 'withdrawn')
  })

  test('counts for each tenant by itself', () => {
    const { attempt } = setUp()
    for (let i = 0; i < 20; i++) attempt('failed', '192.0.2.1', `user${i}`)
    expect(attempt('failed', '192.0.2.1', 'ann', aTenant('acme'))).toBe('failed')
  })

  test('takes a /64 of IPv6 for one address', () => {
    const { attempt } = setUp()
    for (let i = 0; i < 20; i++) expect(attempt('failed', `2001:db8:1:2::${i}`, `user${i}`)).toBe('failed')
    expect(attempt('failed', '2001:db8:1:2:ffff::1', 'another')).toBe(3)
    expect(attempt('failed', '2001:db8:1:3::1', 'another')).toBe('failed')
  })

  test('makes one address wait longer after each failure with one account, up to a quarter of an hour', () => {
    const { clock, attempt } = setUp()
    for (let i = 0; i < 5; i++) expect(attempt('failed')).toBe('failed')
    for (const seconds of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]) {
      expect(attempt('failed')).toBe(seconds)
      clock.ms += seconds * 1_000 - 1
      expect(attempt('passed')).toBe(1)
      clock.ms += 1
      expect(attempt('failed')).toBe('failed')
    }
    expect(attempt('failed', '192.0.2.9')).toBe('failed')
    expect(attempt('failed', '192.0.2.1', 'bea')).toBe('failed')
  })

  test('forgets the failures of who then logs in, and of who stays away', () => {
    const { clock, attempt } = setUp()
    for (let i = 0; i < 5; i++) attempt('failed')
    clock.ms += 1_000
    expect(attempt('passed')).toBe('passed')
    for (let i = 0; i < 5; i++) expect(attempt('failed')).toBe('failed')
    expect(attempt('failed')).toBe(1)
    clock.ms += 3_600_001
    for (let i = 0; i < 5; i++) expect(attempt('failed')).toBe('failed')
  })

  test('lets no volley of simultaneous attempts go around the wait', () => {
    const { throttle, attempt, clock } = setUp()
    const begun = Array.from({ length: 5 }, () => throttle.begin(TENANT, '192.0.2.1', 'ann'))
    expect(attempt('failed')).toBe(1)
    for (const one of begun) one.end('failed')
    expect(attempt('failed')).toBe(1)
    clock.ms += 1_000
    const single = throttle.begin(TENANT, '192.0.2.1', 'ann')
    expect(attempt('failed')).toBe(1)
    single.end('passed')
    expect(attempt('failed')).toBe('failed')
  })

  test('holds a bounded number of entries', () => {
    const { attempt } = setUp()
    for (let i = 0; i < 5; i++) expect(attempt('failed', '192.0.2.77')).toBe('failed')
    expect(attempt('failed', '192.0.2.77')).toBe(1)
    for (let i = 0; i < 40_000; i++) attempt('failed', `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
    expect(attempt('failed', '192.0.2.77')).toBe(1)
    for (let i = 40_000; i < 60_000; i++) attempt('failed', `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
    expect(attempt('failed', '192.0.2.77')).toBe('failed')
  })

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:c000:201', '192.0.2.1'],
    ['::1:ffff:c000:201', '0:0:0:0::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0DB8:0:0:1:2:3:4', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1:2:3:4::', '1:2:3:4::/64'],
    ['1::8', '1:0:0:0::/64'],
  ])('takes %s for %s', (address, network) => {
    expect(networkOf(address)).toBe(network)
  })

  test('applies to accounts that exist and to those that do not alike, with the seconds to wait', async () => {
    const world = await openWorld()
    const ann = { email: 'ann@example.com', password: 'correct horse' }
    await world.ask({ service: 'accounts', endpoint: 'register', body: ann })
    for (const email of ['ann@example.com', 'nobody@example.com']) {
      const ask = (password: string, client = email) =>
        world.ask({ service: 'accounts', endpoint: 'login', body: { email, password }, client })
      for (let i = 0; i < 5; i++) expect(refusalOf(await ask('wrong')).kind).toBe('bad_credentials')
      const runs = world.hashRuns()
      expect(await ask('correct horse')).toMatchObject({ kind: 'rate_limited', facts: { headers: { 'retry-after': '1' } } })
      expect(world.hashRuns()).toBe(runs)
      world.clock.nowMs += 1_000
    }
    expect(await world.ask({ service: 'accounts', endpoint: 'login', body: ann, client: ann.email })).toMatchObject({
      status: 200,
    })
    world.close()
  })
})
