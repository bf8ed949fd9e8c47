import type { UpstreamConfig } from '../config/config.ts'
import type { CircuitState } from './circuit.ts'
import type { Destination } from './destination.ts'

/** An upstream as operators see it. */
export interface ServersState {
  readonly upstream: string
  readonly balance: UpstreamConfig['balance']['kind']
  readonly in_flight: number
  /** Of these, how many have to wait for a connection. */
  readonly pending: number
  readonly breaker: CircuitState | 'none'
  readonly targets: readonly TargetState[]
}

export interface TargetHealth {
  readonly upstream: string
  /** Place in the configuration, from 0. */
  readonly target: number
  readonly healthy: boolean
}

export interface TargetState {
  /** Place in the configuration, from 0. */
  readonly target: number
  readonly url: string
  /** Where the name was found; absent: it was not looked up. */
  readonly address?: string
  readonly weight: number
  readonly state: 'in' | 'unhealthy' | 'ejected' | 'drained'
  readonly in_flight: number
  readonly latency_ms: number
  /** Why it is left out; absent: it is not. */
  readonly why?: string
  /** For how long it has been as it is. */
  readonly state_seconds: number
  readonly failures_in_a_row: number
  readonly ejections: number
}

/** Whether a destination takes requests, as long as there are such. */
export function isIn({ standing }: Destination): boolean {
  return standing.isHealthy && !standing.isEjected
}

/** A destination as operators see it. @param nowMs monotonic */
export function stateOf(one: Destination, nowMs: number): TargetState {
  const { standing, load } = one
  return {
    target: one.target,
    url: one.url.href,
    ...(one.address === undefined ? {} : { address: one.address }),
    weight: one.weight,
    state: nameOfState(one),
    in_flight: load.inFlight,
    latency_ms: Math.round(load.latencyMs * 100) / 100,
    ...(isIn(one) || one.weight === 0 ? {} : { why: standing.why }),
    state_seconds: Math.round((nowMs - standing.sinceMs) / 1000),
    failures_in_a_row: standing.failures,
    ejections: standing.ejections,
  }
}

function nameOfState(one: Destination): TargetState['state'] {
  if (one.weight === 0) return 'drained'
  if (isIn(one)) return 'in'
  return one.standing.isHealthy ? 'ejected' : 'unhealthy'
}
