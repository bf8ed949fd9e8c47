/**
 * Looks at what this process may take, and at who is told of its requests.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import type { Config, TracesConfig } from '../config/config.ts'
import { tryExport } from '../traces/traces.ts'
import type { Finding } from './check-up.ts'

/** Files, storage, and what stands between a connection that ends and the next. */
const SPARE = 200

/** A connection of a client may have one to an upstream: each is an open file of the process that has it. */
export async function checkOpenFiles({ listeners, workers, upstreams }: Config): Promise<readonly Finding[]> {
  const check = 'open files'
  const most = await mostOpenFiles()
  // Another system than Linux does not tell.
  if (most === undefined) return []
  const perProcess = Math.ceil(listeners.public.limits.connections / Math.max(workers, 1))
  const behind = [...upstreams.values()].reduce((sum, one) => sum + one.connections * one.targets.length, 0)
  const needed = perProcess + Math.min(behind, perProcess) + SPARE
  const what = `${most} for a process, which may need ${needed}`
  if (most >= needed) return [{ level: 'ok', check, what }]
  const advice = 'raise it (ulimit -n, LimitNOFILE), or lower limits.connections: what comes beyond it is not accepted'
  return [{ level: 'warn', check, what, advice }]
}

async function mostOpenFiles(): Promise<number | undefined> {
  try {
    const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(await readFile('/proc/self/limits', 'utf8')) ?? []
    if (soft === undefined) return undefined
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    // Linux alone has the file.
    return undefined
  }
}

/** An empty export, as OTLP allows it: whether the receiver is there, is who it should be, and takes the headers. */
export async function checkReceiver(traces: TracesConfig): Promise<readonly Finding[]> {
  const check = 'traces'
  const { host } = new URL(traces.url)
  const advice = 'spans are dropped until it takes them: see telemetry.traces; requests go on'
  const outcome = await tryExport(traces)
  if (outcome === true) return [{ level: 'ok', check, what: `${host} takes spans` }]
  if (typeof outcome === 'number') return [{ level: 'warn', check, what: `${host} answers with ${outcome}`, advice }]
  if (outcome === undefined) return [{ level: 'warn', check, what: `${host} does not take spans in time`, advice }]
  return [{ level: 'warn', check, what: `${host} cannot be reached: ${outcome}`, advice }]
}
