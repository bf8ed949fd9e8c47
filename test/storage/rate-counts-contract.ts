/** Counts of rate limits that gateways share. */
import { describe, expect, test } from 'vitest'
import type { Charged, SharedCounts, Taken } from '../../src/quota/quota.ts'
import { withBackend } from './contract.ts'
import type { Backend, Open } from './contract.ts'

interface Counting extends Backend {
  readonly counts: SharedCounts
}

const SECOND = 1_000_000

function charge(more: Partial<Charged> = {}): Charged {
  // An hour for one: nothing comes back while a test runs.
  return {
    route: 'orders',
    policy: 'ip',
    caller: 'ip:192.0.2.1',
    intervalUs: 3_600 * SECOND,
    spanUs: 5 * 3_600 * SECOND,
    ...more,
  }
}

export function rateCountsContract(open: Open<Counting>): void {
  describe('counts of rate limits', () => {
    const { backend } = withBackend(open)

    function take(...charges: readonly Charged[]): Promise<Taken> {
      const { counts } = backend()
      return counts.take(counts.partOf(charges), charges)
    }

    async function admitted(times: number, ...charges: readonly Charged[]): Promise<number> {
      const taken = await Promise.all(Array.from({ length: times }, () => take(...charges)))
      return taken.filter(({ isAdmitted }) => isAdmitted).length
    }

    test('admit as many as the burst, of however many at once, and say what each owes', async () => {
      expect(await take(charge())).toEqual({ isAdmitted: true, debtsUs: [3_600 * SECOND] })
      expect(await admitted(200, charge())).toBe(4)
      const { isAdmitted, debtsUs } = await take(charge())
      expect(isAdmitted).toBe(false)
      expect(debtsUs[0]).toBeGreaterThan(4.9 * 3_600 * SECOND)
      expect(debtsUs[0]).toBeLessThan(5 * 3_600 * SECOND)
    })

    test('give back with time, to the microsecond of the server', async () => {
      const fast = charge({ intervalUs: 20_000, spanUs: 40_000 })
      const began = performance.now()
      let count = 0
      while (performance.now() - began < 400) if ((await take(fast)).isAdmitted) count += 1
      const atMost = 2 + (performance.now() - began) / 20
      expect(count).toBeLessThanOrEqual(Math.ceil(atMost))
      expect(count).toBeGreaterThan(4)
    })

    test('count exactly where the interval has a fraction', async () => {
      const odd = charge({ intervalUs: 3_600 * SECOND + 1 / 16, spanUs: 7 * (3_600 * SECOND + 1 / 16) })
      expect(await admitted(20, odd)).toBe(7)
    })

    test('take from all limits of a request or from none', async () => {
      const wide = charge({ policy: 'user', caller: 'user:acme:alice', spanUs: 10 * 3_600 * SECOND })
      expect(await admitted(20, charge(), wide)).toBe(5)
      // Of the wide one 5 are left: the 15 that were refused took nothing.
      expect(await admitted(20, charge({ caller: 'ip:192.0.2.2' }), wide)).toBe(5)
      expect(await admitted(20, charge({ caller: 'ip:192.0.2.3' }), wide)).toBe(0)
      expect(await admitted(20, charge({ caller: 'ip:192.0.2.3' }), { ...wide, caller: 'user:acme:bob' })).toBe(5)
    })

    test('tell routes, limits and callers apart, whatever they are called', async () => {
      const names = ['a', 'a:b', 'b', 'a:ip', '{0}', 'GET,POST api.example.com/a:b/*', 'é 😀', '%3A', ':']
      const callers = [
        'ip:192.0.2.1',
        'ip:2001:db8:0:1::/64',
        'user:acme:a',
        'user:acme:a:b',
        'user:acme:',
        'user:acme:a\u0000',
        'tenant:',
      ]
      const long = ['x', 'y'].map((end) => `user:acme:${'u'.repeat(3_000)}${end}`)
      const tokens = ['token:gateway:acme:1', 'token:gateway:acme:2', 'token:corporate:acme:1']
      const outcomes: boolean[] = []
      for (const route of names) {
        for (const policy of ['ip', 'ip-2', 'user']) {
          for (const caller of [...callers, ...long, ...tokens]) {
            outcomes.push((await take(charge({ route, policy, caller, spanUs: 3_600 * SECOND }))).isAdmitted)
          }
        }
      }
      expect(outcomes).toEqual(Array(names.length * 3 * 12).fill(true))
    })

    test('owe no more than the limit that is in force now can', async () => {
      expect(await admitted(5, charge())).toBe(5)
      const { isAdmitted, debtsUs } = await take(charge({ intervalUs: SECOND, spanUs: 2 * SECOND }))
      expect({ isAdmitted, debtsUs }).toEqual({ isAdmitted: false, debtsUs: [2 * SECOND] })
    })

    test('leave nothing behind for who owes nothing, and change nothing for who only asks', async () => {
      expect(await take(charge({ intervalUs: 0 }))).toEqual({ isAdmitted: true, debtsUs: [0] })
      await take(charge())
      const [before] = (await take(charge({ intervalUs: 0 }))).debtsUs
      expect(before).toBeGreaterThan(3_599 * SECOND)
      expect(before).toBeLessThanOrEqual(3_600 * SECOND)
    })

    test('say whether they are there', async () => {
      const { counts } = backend()
      for (let part = 0; part < counts.parts; part += 1) await counts.look(part)
    })
  })
}
