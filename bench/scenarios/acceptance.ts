import { readFileSync } from 'node:fs'
import { ask } from '../support/processes.ts'
import { round2 } from '../support/results.ts'
import type { Measured } from '../support/measure.ts'
import type { Table } from '../scenarios.ts'
import { startGateway } from '../rig/subjects.ts'
import type { Rig } from '../rig/rig.ts'

const LOAD = { requests: 10_000, connections: 100 } as const

/** 10,000 requests over 100 connections with bearer tokens to a protected route, by autocannon: warmed up, and right after the start. */
export async function acceptance(rig: Rig): Promise<Table> {
  const { port } = await startGateway(rig)
  const url = `http://127.0.0.1:${port}/api/small`
  const tokens = readFileSync(rig.warmTokens, 'utf8').trimEnd().split('\n')
  const run = async () => {
    const result = await ask<Omit<Measured, 'cpuMicrosPerRequest'>>(1, 'cannon.ts', { url, ...LOAD, tokens, seconds: 0, pid: 0 })
    const { requests, requestsPerSecond, p50Ms, p99Ms, errors } = result
    return { requests, perSecond: Math.round(requestsPerSecond), p50Ms: round2(p50Ms), p99Ms: round2(p99Ms), errors }
  }
  const afterStart = await run()
  return { 'after the start': afterStart, again: await run(), 'once more': await run() }
}
