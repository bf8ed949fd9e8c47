import { isIP } from 'node:net'
import type { RetryReason, TargetConfig, UpstreamConfig } from '../config/config.ts'
import type { Admitted } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { createBalancer } from './balance.ts'
import { createCircuit, type CircuitState } from './circuit.ts'
import { openDestination, type Counts, type Destination, type Judge, type Shared } from './destination.ts'
import { createHealthCheck, type HealthCheck, type HealthWatch } from './health.ts'
import { MAX_STREAMS } from './http2-session.ts'
import { createOutliers, type Outliers } from './outliers.ts'
import { followName, type Names } from './resolve.ts'
import { createRetries, type Retries } from './retries.ts'
import { isIn, stateOf, type ServersState, type TargetHealth } from './state.ts'

/** The servers of one upstream: which there are, which are well, and which one is next. */
export interface Servers {
  /** Name of the upstream. */
  readonly name: string
  readonly timeouts: UpstreamConfig['timeouts']
  /** Absent: a request is sent once. */
  readonly retries: Retries | undefined
  /** @throws Problem `overloaded` or `upstream_resting` where it is asked too much, or to be left alone */
  admit(): void
  /** `not`: a destination that failed this request already. */
  pick(exchange: Admitted, not: Destination | undefined): Destination
  /** Begins to look how they are, and where. Resolves when each was asked once, or did not answer soon. */
  start(): Promise<void>
  describe(): ServersState
  /** Whether each target takes requests, at one of its addresses at least. */
  targets(): readonly TargetHealth[]
  /** Cuts what is under way. */
  close(): Promise<void>
}

export interface ServersNeeds {
  monotonicMs(): number
  /** From 0, below 1. */
  random(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
  /** Runs once after what came in with this turn of the event loop. */
  endOfTurn(run: () => void): void
  readonly names: Names
  readonly events: ServersEvents
}

/** What operators should hear of. */
export interface ServersEvents {
  /** A request was sent again, or would have been, had there been a budget. */
  retried(upstream: string, reason: RetryReason | 'over_budget'): void
  breaker(upstream: string, state: CircuitState): void
  /**
   * A target takes requests again, or does not any more.
   *
   * @param target its place in the configuration
   * @param why what it answered to the health check
   */
  target(upstream: string, target: number, state: 'in' | 'unhealthy' | 'ejected', why?: string): void
  /** Every target is out, and so all are used. */
  allOut(upstream: string): void
  /** The name of a target is at other addresses now. */
  moved(upstream: string, target: number, addresses: number): void
}

/** How long a start waits for the first answers to health checks. */
const FIRST_ANSWERS_MS = 2000
const BUSY = { headers: { 'retry-after': '1' }, detail: 'breaker.maxRequests or breaker.maxPending of the upstream' } as const

export function createServers(needs: ServersNeeds, config: UpstreamConfig): Servers {
  const { name, breaker } = config
  const counts: Counts = { active: 0 }
  const placesPerTarget = config.connections * (config.protocol === 'http2' ? MAX_STREAMS : 1)
  const balancer = createBalancer(needs, config.balance)
  const circuit =
    breaker === undefined
      ? undefined
      : createCircuit(
          {
            monotonicMs: needs.monotonicMs,
            underWay: () => counts.active,
            changed: (state) => needs.events.breaker(name, state),
          },
          breaker,
        )
  const outliers: Outliers | undefined =
    config.outliers === undefined ? undefined : createOutliers({ ...needs, members: () => takers, changed }, config.outliers)
  const health: HealthCheck | undefined =
    config.health === undefined ? undefined : createHealthCheck({ ...needs, changed }, config.health)
  const retries =
    config.retries === undefined
      ? undefined
      : createRetries({ ...needs, retried: (reason) => needs.events.retried(name, reason) }, config.retries)
  const judge = createJudge()
  const shared: Shared = { needs, upstream: config, counts, judge }
  const checks = new Map<Destination, HealthWatch>()
  const follows: (() => void)[] = []
  const retired = new Set<Destination>()
  let members = config.targets.map((target, index) => openDestination(target, index, shared))
  let takers: readonly Destination[] = []
  let used: readonly Destination[] = []
  let only: Destination | undefined
  let isStarted = false
  refresh()
  return { name, timeouts: config.timeouts, retries, admit, pick, start, describe, targets, close }

  function createJudge(): Judge | undefined {
    if (outliers === undefined && circuit === undefined && balancer.observe === undefined) return undefined
    const { connectMs } = config.timeouts
    return function judged(to, isGood, latencyMs) {
      // A server that fails fast is not a fast one.
      balancer.observe?.(to, isGood ? latencyMs : Math.max(latencyMs, connectMs))
      circuit?.judge(isGood, latencyMs)
      outliers?.judge(to, isGood)
    }
  }

  function admit(): void {
    if (breaker === undefined || circuit === undefined) return
    const isFull = counts.active >= breaker.maxRequests || pendingOf(counts.active + 1) > breaker.maxPending
    if (isFull) throw new Problem('overloaded', BUSY)
    circuit.admit()
  }

  /** Of so many requests, those for which there cannot be a connection. */
  function pendingOf(requests: number): number {
    return Math.max(0, requests - placesPerTarget * used.length)
  }

  function pick(exchange: Admitted, not: Destination | undefined): Destination {
    return only ?? balancer.next(exchange, not)
  }

  async function start(): Promise<void> {
    isStarted = true
    if (circuit !== undefined) needs.events.breaker(name, circuit.state())
    for (const member of members) check(member)
    for (const [index, target] of config.targets.entries()) {
      const { hostname } = target.url
      if (!isKnownToDns(hostname)) continue
      follows.push(followName(needs, hostname, (addresses) => move(target, index, addresses)))
    }
    if (checks.size > 0) await firstAnswers()
  }

  async function firstAnswers(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const cancel = needs.schedule(FIRST_ANSWERS_MS, resolve)
    await Promise.race([late, Promise.all([...checks.values()].map(({ asked }) => asked))])
    cancel()
  }

  function check(member: Destination): void {
    if (isStarted && health !== undefined && member.weight > 0) checks.set(member, health.watch(member))
  }

  /** A target has these addresses from now on. What is under way at others goes on there. */
  function move(target: TargetConfig, index: number, addresses: readonly string[]): void {
    const wanted = new Set(addresses)
    const before = members.filter((member) => member.target === index)
    const kept = before.filter(({ address }) => address !== undefined && wanted.delete(address))
    const opened = [...wanted].map((address) => openDestination(target, index, shared, address))
    const others = members.filter((member) => member.target !== index)
    members = [...others, ...kept, ...opened].toSorted((a, b) => a.target - b.target)
    for (const member of opened) check(member)
    for (const member of before) if (!kept.includes(member)) retire(member)
    refresh()
    needs.events.moved(name, index, addresses.length)
  }

  function retire(member: Destination): void {
    checks.get(member)?.stop()
    checks.delete(member)
    retired.add(member)
    member.uploads?.letAll()
    const forget = (): void => void retired.delete(member)
    // Rejects only where it was cut meanwhile.
    member.pool.close().then(forget, forget)
  }

  function changed(to: Destination, why?: string): void {
    if (!members.includes(to)) return
    const { standing, target } = to
    standing.sinceMs = needs.monotonicMs()
    if (!isIn(to)) standing.why = why ?? `${standing.failures} failures in a row`
    needs.events.target(name, target, standing.isHealthy ? (standing.isEjected ? 'ejected' : 'in') : 'unhealthy', why)
    refresh()
  }

  function refresh(): void {
    takers = members.filter(({ weight }) => weight > 0)
    const well = takers.filter(isIn)
    // None is well: one that only looks ill is better than none.
    if (well.length === 0) needs.events.allOut(name)
    used = well.length === 0 ? takers : well
    only = used.length === 1 ? used[0] : undefined
    balancer.use(used)
  }

  function describe(): ServersState {
    return {
      upstream: name,
      balance: config.balance.kind,
      in_flight: counts.active,
      pending: pendingOf(counts.active),
      breaker: circuit?.state() ?? 'none',
      targets: members.map((one) => stateOf(one, needs.monotonicMs())),
    }
  }

  function targets(): readonly TargetHealth[] {
    return config.targets.map((_, target) => ({
      upstream: name,
      target,
      healthy: members.some((member) => member.target === target && isIn(member)),
    }))
  }

  async function close(): Promise<void> {
    for (const { stop } of checks.values()) stop()
    for (const leaveOff of follows) leaveOff()
    if (follows.length > 0) needs.names.stop()
    checks.clear()
    outliers?.stop()
    const left = [...members, ...retired]
    for (const { uploads } of left) uploads?.letAll()
    await Promise.all(left.map(({ pool }) => pool.destroy()))
  }
}

/** Whether a host is a name that DNS is asked for: no address, and not this machine (RFC 6761 §6.3). */
function isKnownToDns(hostname: string): boolean {
  if (hostname.startsWith('[') || isIP(hostname) !== 0) return false
  return hostname !== 'localhost' && !hostname.endsWith('.localhost')
}
