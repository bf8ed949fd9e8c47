import type { TenantConfig } from '../../config/config.ts'
import { networkOf } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import { createBudgets } from './budgets.ts'
import { createFailures } from './failures.ts'
import type { Attempt, Lock, Outcome } from './throttle.ts'
import { createThrottle } from './throttle.ts'

export interface LoginAttempt {
  readonly tenant: TenantConfig
  /** IP address. */
  readonly client: string
  /** Whom the client wants to be, folded; it counts whether or not there is such an account. */
  readonly subject: string
  /** Id of a device from which this very account logged in before, proved by its token. */
  readonly device?: string | undefined
}

/** What is made to wait: as {@link Lock} says, or an account for everyone who does not come from a trusted device. */
export type LoginLock = Lock | 'anyone'

/** Slows down guessing of passwords: by account, by address, and for a whole tenant. Counts failures only. */
export interface LoginThrottle {
  /**
   * Begins an attempt; it must be ended.
   *
   * A device that is trusted has a count of its own and no other, so that nobody's failures keep the owner of an account out;
   * when that count is spent, it is a device like any other.
   *
   * @param locked - told before the throw, at most once in a quarter of an hour for each of them
   * @throws Problem `rate_limited` with the seconds to wait
   */
  begin(attempt: LoginAttempt, locked?: (what: LoginLock) => void): Attempt | Promise<Attempt>
}

/** One that has its counts in this process, and answers at once. */
export interface LocalLoginThrottle extends LoginThrottle {
  begin(attempt: LoginAttempt, locked?: (what: LoginLock) => void): Attempt
}

/** Failures with one account, from wherever they come, that cost nothing. */
const FREE_OF_ACCOUNT = 5
const FREE_OF_DEVICE = 10
/** Failures of one address in a day. */
const OF_ADDRESS = { units: 100, perMs: 86_400_000 } as const
/** Failures of all addresses with all accounts of a tenant. */
const OF_TENANT = { units: 600, perMs: 60_000 } as const
/** Who goes on guessing must not be able to fill a record. */
const TOLD = { units: 1, perMs: 15 * 60_000 } as const

/** State is in this process: each gateway counts what it sees itself. */
export function createLoginThrottle(needs: { nowMs(): number }): LocalLoginThrottle {
  const byAddress = createThrottle(needs)
  const accounts = createFailures(needs, { free: FREE_OF_ACCOUNT })
  const devices = createFailures(needs, { free: FREE_OF_DEVICE })
  const days = createBudgets(needs, OF_ADDRESS)
  const tenants = createBudgets(needs, OF_TENANT)
  const news = createBudgets(needs, TOLD)
  return { begin }

  function begin(attempt: LoginAttempt, locked?: (what: LoginLock) => void): Attempt {
    const { tenant, client, subject, device } = attempt
    const deviceKey = device === undefined ? undefined : `${tenant.id} ${device}`
    if (deviceKey !== undefined && devices.waitMs(deviceKey) <= 0) return { end: devices.begin(deviceKey) }
    const address = `${tenant.id} ${networkOf(client)}`
    const account = `${tenant.id} ${subject}`
    const waitMs = Math.max(accounts.waitMs(account), days.waitMs(address), waitOfTenant(tenant.id, address))
    // Asked all the same, so that a lock of the address is told of.
    const first = byAddress.begin(tenant, client, subject, locked)
    if (waitMs > 0) {
      first.end('withdrawn')
      if (accounts.waitMs(account) > 0 && isNews(account)) locked?.('anyone')
      throw new Problem('rate_limited', { headers: { 'retry-after': String(Math.ceil(waitMs / 1_000)) } })
    }
    const end = accounts.begin(account)
    // Taken at once, so that a volley of simultaneous attempts does not go around the limits.
    days.take(address)
    tenants.take(tenant.id)
    return {
      end(outcome: Outcome) {
        first.end(outcome)
        end(outcome)
        if (outcome === 'failed') return
        days.giveBack(address)
        tenants.giveBack(tenant.id)
      },
    }
  }

  function isNews(account: string): boolean {
    if (news.waitMs(account) > 0) return false
    news.take(account)
    return true
  }

  /** When so many guess, an address that has failed before waits; one that has not may try, as its owner may have to. */
  function waitOfTenant(tenant: string, address: string): number {
    const waitMs = tenants.waitMs(tenant)
    return waitMs > 0 && !days.isWhole(address) ? Math.max(waitMs, 1_000) : 0
  }
}
