import { describe, expect, test } from 'vitest'
import { Problem } from '../../../../src/problem/problem.ts'
import { createLoginThrottle } from '../../../../src/services/accounts/login-throttle.ts'
import type { Outcome } from '../../../../src/services/accounts/throttle.ts'
import { aTenant } from '../world.ts'

const TENANT = aTenant('default')

function setUp() {
  const clock = { ms: 1_000_000 }
  const throttle = createLoginThrottle({ nowMs: () => clock.ms })
  return { clock, throttle, attempt }

  /** What came of an attempt: its outcome, or the seconds to wait. */
  function attempt(outcome: Outcome, client: string, subject = 'ann', device?: string): Outcome | number {
    try {
      throttle.begin({ tenant: TENANT, client, subject, device }).end(outcome)
      return outcome
    } catch (error) {
      if (!(error instanceof Problem) || error.kind !== 'rate_limited') throw error
      return Number(error.facts.headers?.['retry-after'])
    }
  }
}

describe('the throttle of logins', () => {
  test('makes an account wait longer after each failure, wherever the next one comes from', () => {
    const { clock, attempt } = setUp()
    for (let i = 0; i < 5; i++) expect(attempt('failed', `192.0.2.${i}`)).toBe('failed')
    for (const [index, seconds] of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900].entries()) {
      expect(attempt('failed', `198.51.100.${index}`)).toBe(seconds)
      clock.ms += seconds * 1_000
      expect(attempt('failed', `198.51.100.${index}`)).toBe('failed')
    }
    expect(attempt('failed', '203.0.113.1', 'bea')).toBe('failed')
  })

  test('tells once in a quarter of an hour that an account waits', () => {
    const { clock, throttle, attempt } = setUp()
    const told: string[] = []
    const begin = (client: string) => {
      try {
        throttle.begin({ tenant: TENANT, client, subject: 'ann' }, (what) => told.push(what)).end('failed')
      } catch {
        // Refused, as it is meant to be.
      }
    }
    for (let i = 0; i < 50; i++) begin(`192.0.2.${i}`)
    expect(told).toEqual(['anyone'])
    clock.ms += 15 * 60_000
    begin('198.51.100.1')
    for (let i = 0; i < 50; i++) begin(`198.51.100.${i}`)
    expect(told).toEqual(['anyone', 'anyone'])
    expect(attempt('passed', '203.0.113.1', 'bea')).toBe('passed')
  })

  test('never keeps out a device from which the owner has logged in before', () => {
    const { attempt } = setUp()
    for (let i = 0; i < 60; i++) attempt('failed', `192.0.2.${i}`)
    for (let i = 0; i < 40; i++) attempt('failed', '203.0.113.7', `user${i}`)
    expect(attempt('passed', '203.0.113.7')).not.toBe('passed')
    expect(attempt('passed', '203.0.113.7', 'ann', 'device')).toBe('passed')
  })

  test('gives a trusted device ten failures, and then takes it for any other', () => {
    const { clock, attempt } = setUp()
    for (let i = 0; i < 5; i++) attempt('failed', '192.0.2.9')
    for (let i = 0; i < 10; i++) expect(attempt('failed', '192.0.2.1', 'ann', 'device')).toBe('failed')
    expect(attempt('failed', '192.0.2.1', 'ann', 'device')).toBe(1)
    clock.ms += 1_000
    expect(attempt('passed', '192.0.2.1', 'ann', 'device')).toBe('passed')
    for (let i = 0; i < 10; i++) expect(attempt('failed', '192.0.2.1', 'ann', 'device')).toBe('failed')
  })

  test('lets no volley of simultaneous attempts go around the wait of an account', () => {
    const { throttle, attempt } = setUp()
    const begun = Array.from({ length: 5 }, (_, i) => throttle.begin({ tenant: TENANT, client: `192.0.2.${i}`, subject: 'ann' }))
    expect(attempt('failed', '192.0.2.200')).toBe(1)
    for (const one of begun) one.end('withdrawn')
    expect(attempt('failed', '192.0.2.200')).toBe('failed')
  })

  test('takes a hundred failures of an address in a day', () => {
    const { clock, attempt } = setUp()
    for (let i = 0; i < 100; i++) {
      clock.ms += 3_000
      expect(attempt('failed', '192.0.2.1', `user${i}`)).toBe('failed')
    }
    clock.ms += 60_000
    expect(attempt('failed', '192.0.2.1', 'another')).toBeGreaterThan(300)
    expect(attempt('failed', '192.0.2.2', 'another')).toBe('failed')
    clock.ms += 86_400_000
    expect(attempt('failed', '192.0.2.1', 'another')).toBe('failed')
  })

  test('while hundreds of logins of a tenant fail, an address has one failure, and an honest one may still try', () => {
    const { attempt } = setUp()
    for (let i = 0; i < 600; i++) expect(attempt('failed', `10.0.${i >> 8}.${i & 255}`, `user${i}`)).toBe('failed')
    expect(attempt('failed', '10.0.0.1', 'yet another')).toBe(1)
    expect(attempt('passed', '192.0.2.1', 'ann')).toBe('passed')
    expect(attempt('failed', '192.0.2.1', 'ann')).toBe('failed')
    expect(attempt('failed', '192.0.2.1', 'ann')).toBe(1)
  })

  test('holds a bounded number of accounts', () => {
    const { attempt } = setUp()
    for (let i = 0; i < 5; i++) attempt('failed', `192.0.2.${i}`)
    expect(attempt('passed', '192.0.2.200')).toBe(1)
    for (let i = 0; i < 60_000; i++) attempt('failed', `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, `user${i}`)
    expect(attempt('failed', '192.0.2.201')).toBe('failed')
  })
})
