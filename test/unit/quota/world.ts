import type { Identified, Principal, RateLimit, RateLimits, Route, Routed, Uncounted } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createQuota, type Quota, type QuotaConfig, type Reply, type SharedCounts } from '../../../src/quota/quota.ts'
import { ADMITTED } from '../telemetry/world.ts'

export const ALICE: Identified = {
  kind: 'identified',
  issuer: 'gateway',
  tenant: 'acme',
  user: 'alice',
  scopes: [],
  tokenId: 'jti-1',
  expiresAt: 1_800_000_300,
  skewSeconds: 2,
  tokenType: 'at+jwt',
  algorithm: 'ES256',
  claims: {},
}

/** `100/60 ip`, with `burst 5` behind it where it is not the same. */
export function limitsOf(...texts: readonly string[]): RateLimits {
  const limits = texts.map((text, index): RateLimit => {
    const [, requests = '', per = '', by = 'ip', burst = requests] = /^(\d+)\/(\d+) (\w+)(?: burst (\d+))?$/.exec(text) ?? []
    const same = texts.slice(0, index).filter((other) => other.includes(` ${by}`)).length
    return {
      route: 'orders',
      policy: same === 0 ? by : `${by}-${same + 1}`,
      by: by as RateLimit['by'],
      requests: Number(requests),
      perSeconds: Number(per),
      burst: Number(burst),
    }
  })
  return { when: limits.every(({ by }) => by === 'ip') ? 'arrival' : 'admission', limits }
}

export interface Asked {
  readonly rateLimit: RateLimits
  readonly client?: string
  readonly principal?: Principal
  readonly tenant?: string | undefined
  readonly caller?: Route['caller']
  readonly rawHeaders?: readonly string[]
  readonly replay?: 'once'
}

export function routedOf({ rateLimit, client = '192.0.2.1', caller, rawHeaders = [], replay }: Asked): Routed {
  const route: Route = {
    ...ADMITTED.route,
    name: 'orders',
    rateLimit,
    ...(caller !== undefined && { caller }),
    ...(replay !== undefined && { replay }),
  }
  const { admitted: _, ...rest } = ADMITTED
  return { ...rest, route, client, rawHeaders }
}

export function uncountedOf(asked: Asked): Uncounted {
  const { revocation } = ADMITTED
  const principal = asked.principal ?? ALICE
  const tenant = 'tenant' in asked ? asked.tenant : 'acme'
  return { ...routedOf(asked), revocation, principal, tenant, uncounted: true }
}

export interface Answered {
  /** `200`, or the code of the refusal. */
  readonly outcome: string
  readonly remaining: string | undefined
  readonly policy: string | undefined
  readonly retryAfter: string | undefined
}

export interface World {
  readonly quota: Quota
  /** Milliseconds; what is put here is the time. */
  nowMs: number
  readonly limited: string[]
  readonly counted: string[]
  readonly breakers: string[]
  /** What is due goes on, in its order. */
  pass(ms: number): Promise<void>
  /** One request. */
  ask(asked: Asked): Promise<Answered>
  /** So many requests one after the other, and how many were let in. */
  many(count: number, asked: Asked): Promise<number>
}

export function createWorld(counts?: SharedCounts, config: Partial<QuotaConfig> = {}): World {
  const timers: { readonly atMs: number; readonly run: () => void }[] = []
  const [limited, counted, breakers]: [string[], string[], string[]] = [[], [], []]
  const quota = createQuota(
    {
      monotonicMs: () => world.nowMs,
      seed: [0x01234567, 0x89abcdef],
      ...(counts !== undefined && { counts }),
      schedule(delayMs, run) {
        const timer = { atMs: world.nowMs + delayMs, run }
        timers.push(timer)
        return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1))
      },
      endOfTurn: (run) => run(),
      limited: (route, by) => limited.push(`${route} ${by}`),
      counted: (where) => counted.push(where),
      breaker: (state) => breakers.push(state),
    },
    { entries: 1_024, timeoutMs: 50, ...config },
  )
  const world: World = {
    quota,
    nowMs: 1_000,
    limited,
    counted,
    breakers,
    async pass(ms) {
      const untilMs = world.nowMs + ms
      for (;;) {
        await settled()
        const [next] = timers.filter(({ atMs }) => atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs)
        if (next === undefined) break
        timers.splice(timers.indexOf(next), 1)
        world.nowMs = Math.max(world.nowMs, next.atMs)
        next.run()
      }
      world.nowMs = untilMs
    },
    async ask(asked) {
      const reply: Reply = { announced: undefined }
      try {
        if (asked.rateLimit.when === 'arrival') await quota.arrive(routedOf(asked), reply)
        else await quota.spend(uncountedOf(asked), reply)
      } catch (error) {
        if (!(error instanceof Problem)) throw error
        const headers = error.facts.headers ?? {}
        const { ratelimit, 'ratelimit-policy': policy, 'retry-after': retryAfter } = headers
        return { outcome: error.kind, remaining: ratelimit, policy, retryAfter }
      }
      const fields = fieldsOf(reply)
      return {
        outcome: '200',
        remaining: fields['ratelimit'],
        policy: fields['ratelimit-policy'],
        retryAfter: fields['retry-after'],
      }
    },
    async many(count, asked) {
      let admitted = 0
      for (let number = 0; number < count; number += 1) if ((await world.ask(asked)).outcome === '200') admitted += 1
      return admitted
    },
  }
  return world
}

/** What the answer says, by name. */
export function fieldsOf({ announced = [] }: Reply): Record<string, string> {
  const fields: Record<string, string> = {}
  for (let index = 0; index < announced.length; index += 2) fields[announced[index] ?? ''] = announced[index + 1] ?? ''
  return fields
}

/** All promises that can be settled now are. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}
