import { describe, expect, it } from 'vitest'
import { createCounts } from '../../../../src/quota/quota.ts'
import { createFleetThrottle, createLoginThrottle, type LoginThrottle } from '../../../../src/services/accounts/accounts.ts'
import { testConfig } from '../../../support/config.ts'

const config = testConfig('tenants: { default: {}, acme: { throttle: { login: 60/m } } }')
const [tenant, other] = ['acme', 'default'].map((id) => config.tenants.get(id))

/** Two gateways that count in one place, with one clock. */
function fleet() {
  const clock = { nowMs: 1_000, isAway: false }
  const counts = createCounts({ monotonicMs: () => clock.nowMs, seed: [1, 2] }, 1_024)
  const needs = { nowMs: () => clock.nowMs }
  const shared = {
    take: (charges: Parameters<typeof counts.take>[0]) => (clock.isAway ? undefined : Promise.resolve(counts.take(charges))),
  }
  const gateway = (): LoginThrottle => createFleetThrottle(createLoginThrottle(needs), { ...needs, counts: shared })
  return { clock, gateways: [gateway(), gateway(), gateway()] as const, alone: () => createLoginThrottle(needs) }
}

interface Try {
  readonly client?: string
  readonly subject?: string
  readonly device?: string
  readonly outcome?: 'passed' | 'failed' | 'withdrawn'
  readonly tenant?: typeof tenant
}

/** `let in`, or the seconds to wait. */
async function attempt(throttle: LoginThrottle, more: Try = {}, locks: string[] = []): Promise<string | number> {
  const { client = '192.0.2.1', subject = 'mail ann@example.com', device, outcome = 'failed' } = more
  const of = more.tenant ?? tenant
  if (of === undefined) throw new Error('no tenant')
  try {
    const begun = await throttle.begin({ tenant: of, client, subject, device }, (what) => void locks.push(what))
    begun.end(outcome)
    // What is told to the others is told now.
    await new Promise((resolve) => setImmediate(resolve))
    return 'let in'
  } catch (error) {
    if (!(error instanceof Error) || !('facts' in error)) throw error
    return Number((error as { facts: { headers: Record<string, string> } }).facts.headers['retry-after'])
  }
}

describe('failed logins of a fleet', () => {
  it('count together for an account: fifteen of all gateways, then one in a quarter of an hour', async () => {
    const { gateways, clock } = fleet()
    const locks: string[] = []
    let failed = 0
    for (let round = 0; round < 40; round += 1) {
      // From ever new addresses, and slowly enough for each gateway by itself.
      for (const gateway of gateways)
        if ((await attempt(gateway, { client: `198.51.${round}.1` }, locks)) === 'let in') failed += 1
      clock.nowMs += 1_100
    }
    expect(failed).toBe(15)
    expect(locks.filter((what) => what === 'anyone').length).toBeGreaterThan(0)
    expect(locks.length).toBeLessThanOrEqual(gateways.length * 2)
    expect(await attempt(gateways[0], { client: '203.0.113.1' })).toBeGreaterThan(60)
    expect(await attempt(gateways[0], { client: '203.0.113.1', subject: 'mail bob@example.com' })).toBe('let in')
    expect(await attempt(gateways[0], { client: '203.0.113.1', tenant: other })).toBe('let in')
  })

  it('count together for an address, at the rate of the tenant', async () => {
    const { gateways } = fleet()
    let failed = 0
    for (let number = 0; number < 90; number += 1) {
      const [one, two, three] = gateways
      const gateway = [one, two, three][number % 3] ?? one
      if ((await attempt(gateway, { subject: `mail ${number}@example.com` })) === 'let in') failed += 1
    }
    expect(failed).toBe(20)
    expect(await attempt(gateways[1], { subject: 'mail new@example.com' })).toBe(1)
    expect(await attempt(gateways[1], { subject: 'mail new@example.com', client: '192.0.2.2' })).toBe('let in')
  })

  it('are failures alone: who logs in rightly is never slowed down', async () => {
    const { gateways } = fleet()
    for (let number = 0; number < 300; number += 1) {
      expect(await attempt(gateways[number % 2 === 0 ? 0 : 1], { outcome: number % 3 === 0 ? 'withdrawn' : 'passed' })).toBe(
        'let in',
      )
    }
  })

  it('do not keep a trusted device out', async () => {
    const { gateways, clock } = fleet()
    for (let number = 0; number < 60; number += 1) {
      await attempt(gateways[number % 2 === 0 ? 0 : 1], { client: `198.51.100.${number}` })
      clock.nowMs += 100_000
    }
    expect(await attempt(gateways[2], { device: 'hers', outcome: 'passed' })).toBe('let in')
  })

  it('are never counted more strictly for one gateway than it counts by itself', async () => {
    const { gateways, alone, clock } = fleet()
    const own = alone()
    const [one] = gateways
    for (let number = 0; number < 3_000; number += 1) {
      expect([number, typeof (await attempt(one))]).toEqual([number, typeof (await attempt(own))])
      clock.nowMs += 7_000
    }
  })

  it('are counted by each gateway while the others cannot be asked', async () => {
    const { gateways, clock } = fleet()
    clock.isAway = true
    const [one, two] = gateways
    const outcomes: (string | number)[] = []
    for (const gateway of [one, two]) for (let number = 0; number < 6; number += 1) outcomes.push(await attempt(gateway))
    expect(outcomes).toEqual([...Array(5).fill('let in'), 1, ...Array(5).fill('let in'), 1])
  })
})
