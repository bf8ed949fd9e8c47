/**
 * What a second worker brings on a machine of two cores, and what workers cost: throughput, memory, time of a start.
 *
 *     npm run bench -- workers
 *
 * The load generator has the second core to itself beside one process; beside two workers it shares it with them, so what it takes
 * of that core is told: two workers have two cores less that. `perCoreSecond` is what they do in a second of CPU time, whatever else
 * runs. Rounds are interleaved, figures are medians. Writes bench/results/workers.json.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadProgram, runLoad, WRK_SCRIPT, type Measured } from './rig/load.ts'
import { answers, ended, endedSeconds, freePort, pinned } from './support/processes.ts'
import { median, round2, saveResults } from './support/results.ts'

interface Gateway {
  readonly workers: number
  readonly url: string
  /** Its configuration, and a token in each line of `tokens`. */
  readonly folder: string
  readonly startMs: number
  /** Of all its processes. */
  pids(): readonly number[]
  stop(): Promise<void>
}

interface Round extends Measured {
  /** Of a core, by the load generator. */
  readonly loadCores: number
}

const SESSIONS = 40
const CONNECTIONS = 64
const TOKENS = 'tokens'
const SCRIPT = 'load.lua'

export const WORKERS_NAME = 'workers'

export async function benchWorkers(rounds: number, seconds: number): Promise<void> {
  const gateways: Gateway[] = []
  try {
    const idle = new Map<Gateway, readonly number[]>()
    for (const workers of [1, 2]) {
      const gateway = await startGateway(workers)
      gateways.push(gateway)
      idle.set(gateway, memories(gateway))
    }
    const measured = new Map<Gateway, Round[]>(gateways.map((gateway) => [gateway, []]))
    for (let round = 0; round <= rounds; round += 1) {
      for (const gateway of gateways) {
        // Round 0 warms up and is thrown away.
        const result = await run(gateway, round === 0 ? 2 : seconds)
        if (round > 0) measured.get(gateway)?.push(result)
      }
    }
    const rows = gateways.map((gateway) => summarise(gateway, measured.get(gateway) ?? [], idle.get(gateway) ?? []))
    console.table(
      rows.map(({ idleMiB, loadedMiB, ...row }) => ({ ...row, idle: idleMiB.join(' + '), loaded: loadedMiB.join(' + ') })),
    )
    const load = `GET of service echo with a token, by ${loadProgram()} on the second core`
    saveResults('workers.json', {
      setting: { node: process.version, cores: 2, load, connections: CONNECTIONS, seconds, rounds },
      rows,
    })
  } finally {
    for (const gateway of gateways) await gateway.stop()
  }
}

async function run(gateway: Gateway, seconds: number): Promise<Round> {
  const { folder, url } = gateway
  const [pid = 0] = gateway.pids()
  const [before, startedMs] = [endedSeconds(), performance.now()]
  const load = { url: `${url}/echo/small`, seconds, connections: CONNECTIONS, tokenFile: join(folder, TOKENS), pid }
  const result = await runLoad(load, join(folder, SCRIPT))
  return { ...result, loadCores: (endedSeconds() - before) / ((performance.now() - startedMs) / 1000) }
}

function summarise(gateway: Gateway, rounds: readonly Round[], idleMiB: readonly number[]) {
  const of = (read: (round: Round) => number): number => median(rounds.map(read))
  const micros = of((round) => round.cpuMicros)
  return {
    workers: gateway.workers,
    requestsPerSecond: Math.round(of((round) => round.perSecond)),
    p50Ms: round2(of((round) => round.p50Ms)),
    p99Ms: round2(of((round) => round.p99Ms)),
    cpuMicrosPerRequest: round2(micros),
    gatewayCores: round2(of((round) => round.cpuShare)),
    loadGeneratorCores: round2(of((round) => round.loadCores)),
    perCoreSecond: Math.round(1e6 / micros),
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
    startMs: Math.round(gateway.startMs),
    idleMiB,
    loadedMiB: memories(gateway),
  }
}

/** One process on the first core; two workers and their primary on both. */
async function startGateway(workers: number): Promise<Gateway> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const [port, adminPort] = [await freePort(), await freePort()]
  writeFileSync(join(folder, 'gateway.yaml'), configuration(workers, port, adminPort))
  const startedMs = performance.now()
  const child = pinned(workers === 1 ? 0 : '0,1', ['../../src/main.ts', 'start', '--config', join(folder, 'gateway.yaml')])
  const stop = async (): Promise<void> => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await answers(`http://127.0.0.1:${adminPort}/readyz`)
    const startMs = performance.now() - startedMs
    const url = `http://127.0.0.1:${port}`
    writeFileSync(join(folder, TOKENS), (await logIn(url)).join('\n'))
    writeFileSync(join(folder, SCRIPT), WRK_SCRIPT)
    return { workers, url, folder, startMs, pids: () => family(child.pid ?? 0), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function configuration(workers: number, port: number, adminPort: number): string {
  return `
listeners:
  public: { address: 127.0.0.1:${port} }
  admin: { address: 127.0.0.1:${adminPort} }
workers: ${workers}
tenants: { default: { accessToken: { lifetime: 1h } } }
routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: echo, match: { path: /echo/* }, auth: required, service: echo }
`
}

async function logIn(url: string): Promise<string[]> {
  const account = { email: 'bench@example.com', password: 'correct horse battery staple' }
  await post(`${url}/auth/register`, account)
  const tokens: string[] = []
  while (tokens.length < SESSIONS) tokens.push(String((await post(`${url}/auth/login`, account))['access_token']))
  return tokens
}

async function post(url: string, body: unknown): Promise<Record<string, unknown>> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return (await response.json()) as Record<string, unknown>
}

/** The process and its children. */
function family(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
  return [pid, ...children.map(Number)]
}

function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    // It has ended meanwhile.
    return 0
  }
}

/** Resident memory of each process, the primary first. */
function memories(gateway: Gateway): number[] {
  return gateway
    .pids()
    .map((pid) => Math.round(Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024))
}
