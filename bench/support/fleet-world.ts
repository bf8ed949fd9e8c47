/** Gateways on one Redis. */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answers, ask, ended, freePort, pinned } from './processes.ts'
import { startRedis, type BenchRedis } from './redis-server.ts'
import type { Pair, SessionLoadResult } from './session-load.ts'

export interface FleetGateway {
  readonly url: string
  readonly adminUrl: string
  readonly pid: number
  /** From the start of the process to its first answer. */
  readonly startMs: number
  stop(): Promise<void>
}

export interface FleetWorld {
  readonly redis: BenchRedis
  /** Starts one more gateway. */
  add(): Promise<FleetGateway>
  /** Sessions of as many users of the tenant `fleet`. */
  sessions(gateway: FleetGateway, requests: number): Promise<readonly Pair[]>
  stop(): Promise<void>
}

export const TENANT = 'fleet'
const CONNECTIONS = 64

/** @param cores - of the gateways, as for {@link pinned}; Redis, the upstream and what asks are on the second one */
export async function startFleetWorld(cores: string): Promise<FleetWorld> {
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const one of stops.toReversed()) await one()
  }
  try {
    const upstreamPort = await freePort()
    const upstream = pinned(1, ['upstream.ts', String(upstreamPort)])
    stops.push(() => ended(upstream))
    const redis = await startRedis()
    stops.push(() => redis.stop())
    const secrets = { BENCH_SECRET: randomUUID(), BENCH_MASTER_KEY: randomBytes(32).toString('base64') }
    return {
      redis,
      async add() {
        const gateway = await startGateway({ upstreamPort, redisUrl: redis.url, cores }, secrets)
        stops.push(gateway.stop)
        return gateway
      },
      async sessions(gateway, requests) {
        const authorization = `Basic ${Buffer.from(`bench:${secrets.BENCH_SECRET}`).toString('base64')}`
        const load = { job: 'create', tenant: TENANT, requests, authorization, keep: true, connections: CONNECTIONS }
        const result = await ask<SessionLoadResult>(1, 'session-load.ts', { ...load, origin: gateway.url })
        if (result.errors > 0) throw new Error(`${result.errors} sessions were not made`)
        return result.created
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Setting {
  readonly upstreamPort: number
  readonly redisUrl: string
  readonly cores: string
}

async function startGateway({ upstreamPort, redisUrl, cores }: Setting, secrets: Record<string, string>): Promise<FleetGateway> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const [port, adminPort] = [await freePort(), await freePort()]
  writeFileSync(join(folder, 'gateway.yaml'), configuration({ port, adminPort, upstreamPort, redisUrl }))
  const startedMs = performance.now()
  const child = pinned(cores, ['../../src/main.ts', 'start', '--config', join(folder, 'gateway.yaml')], secrets)
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await answers(`${url}/health`)
  } catch (error) {
    await stop()
    throw error
  }
  const startMs = performance.now() - startedMs
  return { url, adminUrl: `http://127.0.0.1:${adminPort}`, pid: child.pid ?? 0, startMs, stop }
}

interface Places {
  readonly port: number
  readonly adminPort: number
  readonly upstreamPort: number
  readonly redisUrl: string
}

function configuration({ port, adminPort, upstreamPort, redisUrl }: Places): string {
  return `
listeners:
  # One for all: tokens name it, and each gateway takes those of the others.
  public: { address: 127.0.0.1:${port}, origin: http://gateway.bench }
  admin: { address: 127.0.0.1:${adminPort} }
storage: { sessions: '${redisUrl}', directory: ./data }
masterKey: { env: BENCH_MASTER_KEY }
tenants:
  ${TENANT}: { signing: RS256, accessToken: { lifetime: 1h } }
clients:
  bench: { tenant: ${TENANT}, secret: { env: BENCH_SECRET }, scopes: [sessions:write] }
upstreams:
  small: { targets: [http://127.0.0.1:${upstreamPort}] }
routes:
  - { name: health, match: { path: /health }, service: health }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: api, match: { path: /api/* }, auth: required, stripPrefix: /api, upstream: small, revocation: { whenStale: allow, maxStaleness: 1s } }
`
}
