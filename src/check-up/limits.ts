/**
 * Looks at what this process may take, and at who is told of its requests.
 *
 * @module
 */
import { readFile } from 'node:fs/promises'
import type { Config, TracesConfig } from '../config/config.ts'
import type { Finding } from './check-up.ts'

const RECEIVER_MS = 2_000
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
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

/** An empty export, as OTLP allows it: whether the receiver is there and takes the headers. */
export async function checkReceiver({ url, headers }: TracesConfig): Promise<readonly Finding[]> {
  const check = 'traces'
  const { host } = new URL(url)
  const advice = 'spans are dropped until it takes them: see telemetry.traces; requests go on'
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...Object.fromEntries(headers), 'content-type': 'application/x-protobuf' },
      body: new Uint8Array(0),
      redirect: 'error',
      signal: AbortSignal.timeout(RECEIVER_MS),
    })
    await response.body?.cancel()
    if (response.ok) return [{ level: 'ok', check, what: `${host} takes spans` }]
    return [{ level: 'warn', check, what: `${host} answers with ${response.status}`, advice }]
  } catch {
    // A cause may have the headers in it.
    return [{ level: 'warn', check, what: `${host} cannot be reached`, advice }]
  }
}
