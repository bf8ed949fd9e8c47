/**
 * One count of failed logins for all processes of a gateway: the primary has it, workers ask. A login takes some ten
 * milliseconds for its password alone, so the way there and back is nothing; a count in each process would let whoever
 * guesses try as often at each of them.
 *
 * @module
 */
import type { Config } from './config/config.ts'
import { Problem } from './problem/problem.ts'
import type { LoginThrottle } from './services/accounts/accounts.ts'
import type { Handlers, Wire } from './workers/workers.ts'

const BEGIN = 'login begin'
const END = 'login end'
const ASK_MS = 5_000

type Attempt = Awaited<ReturnType<LoginThrottle['begin']>>
type Locked = Parameters<NonNullable<Parameters<LoginThrottle['begin']>[1]>>[0]

export interface LoginDesk {
  /** For one worker. */
  handlers(life: number): Handlers
  /** The worker is gone: what it had begun counts as failed. */
  left(life: number): void
}

/** @param tenants those of the configuration in force */
export function createLoginDesk(throttle: LoginThrottle, tenants: () => Config['tenants']): LoginDesk {
  const begun = new Map<number, { readonly life: number; readonly attempt: Attempt }>()
  let count = 0
  return { handlers, left }

  function handlers(life: number): Handlers {
    return {
      [BEGIN]: (body) => begin(life, body),
      [END](body) {
        const { attempt: number, outcome } = recordOf(body)
        const one = typeof number === 'number' ? begun.get(number) : undefined
        if (one?.life !== life || typeof number !== 'number') return
        begun.delete(number)
        one.attempt.end(outcome === 'passed' || outcome === 'withdrawn' ? outcome : 'failed')
      },
    }
  }

  async function begin(life: number, body: unknown): Promise<unknown> {
    const { tenant: id, client, subject, device } = recordOf(body)
    const tenant = tenants().get(String(id))
    if (tenant === undefined || typeof client !== 'string' || typeof subject !== 'string')
      throw new TypeError('no attempt to log in')
    const locks: Locked[] = []
    try {
      const whom = { tenant, client, subject, ...(typeof device === 'string' && { device }) }
      const attempt = await throttle.begin(whom, (what) => void locks.push(what))
      count += 1
      begun.set(count, { life, attempt })
      return { attempt: count, locks }
    } catch (error) {
      if (!(error instanceof Problem) || error.kind !== 'rate_limited') throw error
      return { retryAfter: error.facts.headers?.['retry-after'] ?? '1', locks }
    }
  }

  function left(life: number): void {
    for (const [number, one] of begun) {
      if (one.life !== life) continue
      begun.delete(number)
      one.attempt.end('failed')
    }
  }
}

const LOCKS: ReadonlySet<unknown> = new Set<Locked>(['account', 'address', 'anyone'])

/** The throttle of the primary, in a worker. Nobody is let in while the primary does not answer. */
export function createRemoteLoginThrottle(wire: Pick<Wire, 'ask' | 'tell'>): LoginThrottle {
  return {
    async begin({ tenant, client, subject, device }, locked) {
      const said = recordOf(await answerOf(wire, { tenant: tenant.id, client, subject, device }))
      const { attempt, locks, retryAfter } = said
      if (Array.isArray(locks)) for (const what of locks) if (isLock(what)) locked?.(what)
      if (typeof retryAfter === 'string') throw new Problem('rate_limited', { headers: { 'retry-after': retryAfter } })
      if (typeof attempt !== 'number') throw new TypeError('the primary has answered something else')
      return { end: (outcome) => wire.tell(END, { attempt, outcome }) }
    },
  }
}

async function answerOf(wire: Pick<Wire, 'ask'>, body: unknown): Promise<unknown> {
  try {
    return await wire.ask(BEGIN, body, ASK_MS)
  } catch (cause) {
    throw new Problem('overloaded', { cause, headers: { 'retry-after': '1' } })
  }
}

function isLock(value: unknown): value is Locked {
  return LOCKS.has(value)
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {}
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
