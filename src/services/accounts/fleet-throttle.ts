import { networkOf } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import { createBudgets } from './budgets.ts'
import type { LoginAttempt, LoginLock, LoginThrottle } from './login-throttle.ts'
import type { Attempt } from './throttle.ts'

/** So much of something that comes back with time, counted by all gateways together. */
export interface FleetCharge {
  /** What keeps it apart from the limits of routes: no route has such a name. */
  readonly route: '~login'
  readonly policy: 'account' | 'day' | 'rate' | 'tenant'
  readonly caller: string
  /** What one costs, and the most that can be owed; microseconds. */
  readonly intervalUs: number
  readonly spanUs: number
}

export interface FleetCounts {
  /** Takes one, and says what is owed then, microseconds. Undefined where nobody can tell now. Never rejects. */
  take(charges: readonly FleetCharge[]): Promise<{ readonly debtsUs: readonly number[] } | undefined> | undefined
}

export interface FleetThrottleNeeds {
  readonly counts: FleetCounts
  /** Monotonic, milliseconds. */
  nowMs(): number
}

const SECOND = 1_000_000
/** Never less than one gateway takes by itself: its waits add up to as much after so many failures. */
const OF_ACCOUNT = { intervalUs: 900 * SECOND, units: 15 }
const OF_DAY = { intervalUs: 864 * SECOND, units: 100 }
const OF_TENANT = { intervalUs: SECOND / 10, units: 600 }
const OF_RATE = 20
/** Who goes on guessing must not be able to fill a record. */
const TOLD = { units: 1, perMs: 15 * 60_000 } as const

/**
 * The same throttle, and beside its own counts those of all gateways: failed logins are told to them, and whoever has failed too
 * often elsewhere waits here. While they cannot be asked the throttle goes by its own. Trusted devices stay out of it.
 */
export function createFleetThrottle(own: LoginThrottle, needs: FleetThrottleNeeds): LoginThrottle {
  const news = createBudgets(needs, TOLD)
  return { begin }

  async function begin(attempt: LoginAttempt, locked?: (what: LoginLock) => void): Promise<Attempt> {
    const first = await own.begin(attempt, locked)
    if (attempt.device !== undefined) return first
    const charges = chargesOf(attempt)
    const [account, day, rate, tenant] = await Promise.all(charges.map(owed))
    const ofTenant = Number(day) > 0 ? waitUs(charges[3], tenant) : 0
    const longest = Math.max(waitUs(charges[0], account), waitUs(charges[1], day), waitUs(charges[2], rate), ofTenant)
    if (longest > 0) {
      first.end('withdrawn')
      if (waitUs(charges[0], account) > 0 && isNews(charges[0].caller)) locked?.('anyone')
      throw new Problem('rate_limited', { headers: { 'retry-after': String(Math.ceil(longest / SECOND)) } })
    }
    return {
      end(outcome) {
        first.end(outcome)
        if (outcome === 'failed') for (const charge of charges) void needs.counts.take([charge])
      },
    }
  }

  /** To ask is to take nothing. */
  async function owed(charge: FleetCharge): Promise<number | undefined> {
    return (await needs.counts.take([{ ...charge, intervalUs: 0 }]))?.debtsUs[0]
  }

  function isNews(caller: string): boolean {
    if (news.waitMs(caller) > 0) return false
    news.take(caller)
    return true
  }
}

type Charges = readonly [account: FleetCharge, day: FleetCharge, rate: FleetCharge, tenant: FleetCharge]

function chargesOf({ tenant, client, subject }: LoginAttempt): Charges {
  const address = `address:${tenant.id}:${networkOf(client)}`
  const rate = { intervalUs: Math.max(1, Math.round((60 * SECOND) / tenant.throttle.loginPerMinute)), units: OF_RATE }
  return [
    charge('account', `account:${tenant.id}:${subject}`, OF_ACCOUNT),
    charge('day', address, OF_DAY),
    charge('rate', address, rate),
    charge('tenant', `tenant:${tenant.id}`, OF_TENANT),
  ]
}

function charge(
  policy: FleetCharge['policy'],
  caller: string,
  { intervalUs, units }: { readonly intervalUs: number; readonly units: number },
): FleetCharge {
  return { route: '~login', policy, caller, intervalUs, spanUs: intervalUs * units }
}

/** Not above 0: there is room for one more, or nobody knows. */
function waitUs({ intervalUs, spanUs }: FleetCharge, debtUs: number | undefined): number {
  return debtUs === undefined ? 0 : debtUs + intervalUs - spanUs
}
