import { ask, cpuSeconds } from './processes.ts'

export interface Load {
  readonly url: string
  readonly seconds: number
  /** Stops after so many, in place of `seconds`. */
  readonly requests?: number
  readonly connections: number
  /** Sent in rotation; none: anonymous. */
  readonly tokens: readonly string[]
  /** Posts so many octets each time. */
  readonly bodyBytes?: number
  /** The process whose CPU time is read. */
  readonly pid: number
}

export interface Measured {
  /** Answered with 2xx. */
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMicrosPerRequest: number
  /** Connection errors, timeouts and answers other than 2xx. */
  readonly errors: number
}

/** One run of autocannon in a process of its own, on the second core. */
export async function measure(load: Load): Promise<Measured> {
  const before = cpuSeconds(load.pid)
  const result = await ask<Omit<Measured, 'cpuMicrosPerRequest'>>(1, 'cannon.ts', load)
  const cpu = cpuSeconds(load.pid) - before
  return { ...result, cpuMicrosPerRequest: (cpu * 1e6) / result.requests }
}
