/** Gateways with sessions in Redis: one as it is, and one that knows of many revocations. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answers, ask, ended, freePort, pinned } from './processes.ts'
import { startRedis, type BenchRedis } from './redis-server.ts'
import type { Pair, SessionLoad, SessionLoadResult } from './session-load.ts'

export interface SessionGateway {
  readonly url: string
  readonly pid: number
  readonly redis: BenchRedis
  /** `Authorization` of the client of a tenant. */
  authorization(tenant: Tenant): string
  stop(): Promise<void>
}

export interface SessionWorld {
  readonly calm: SessionGateway
  /** Of the calm gateway: sessions of the tenant rs256. */
  live(): Promise<readonly Pair[]>
  /** Newest refresh tokens of the calm gateway, one for each connection. */
  readonly chains: Map<Tenant, readonly string[]>
  /** Another gateway, where many revocations are live, and the tokens that are shown there: one in ten is revoked. */
  revoking(): Promise<Revoking>
  stop(): Promise<void>
}

interface Revoking {
  readonly gateway: SessionGateway
  readonly shown: readonly string[]
}

/** Named by how they sign. */
export type Tenant = 'rs256' | 'es256'

const LIVE_SESSIONS = 10_000
const REVOCATIONS = 10_000
/** Different tokens that are validated in turn. */
export const VALIDATED = 2000
export const CONNECTIONS = 64

/** What takes long to make is made when it is first asked for. */
export async function startSessionWorld(): Promise<SessionWorld> {
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const one of stops.toReversed()) await one()
  }
  try {
    const upstreamPort = await freePort()
    const upstream = pinned(1, ['upstream.ts', String(upstreamPort)])
    stops.push(() => ended(upstream))
    const calm = await startSessionGateway(upstreamPort)
    stops.push(calm.stop)
    const chains = new Map<Tenant, readonly string[]>()
    for (const tenant of ['rs256', 'es256'] as const) {
      chains.set(
        tenant,
        (await create(calm, tenant, CONNECTIONS)).map((pair) => pair.refresh),
      )
    }
    let live: Promise<readonly Pair[]> | undefined
    let revoking: Promise<Revoking> | undefined
    return {
      calm,
      live: () => (live ??= create(calm, 'rs256', LIVE_SESSIONS)),
      chains,
      revoking: () => (revoking ??= startRevoking(upstreamPort, stops)),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startRevoking(upstreamPort: number, stops: (() => Promise<void>)[]): Promise<Revoking> {
  const gateway = await startSessionGateway(upstreamPort)
  stops.push(gateway.stop)
  return { gateway, shown: await revokeMany(gateway) }
}

async function startSessionGateway(upstreamPort: number): Promise<SessionGateway> {
  const redis = await startRedis()
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const port = await freePort()
  const secret = randomBytes(24).toString('base64url')
  writeFileSync(join(folder, 'gateway.yaml'), configuration(port, upstreamPort, redis.url))
  const gateway = pinned(0, ['../../src/main.ts', 'start', '--config', join(folder, 'gateway.yaml')], {
    BENCH_SECRET: secret,
    BENCH_MASTER_KEY: randomBytes(32).toString('base64'),
  })
  const url = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    await ended(gateway)
    await redis.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await answers(`${url}/health`)
  } catch (error) {
    await stop()
    throw error
  }
  const authorization = (tenant: Tenant): string => `Basic ${Buffer.from(`bench-${tenant}:${secret}`).toString('base64')}`
  return { url, pid: gateway.pid ?? 0, redis, authorization, stop }
}

function configuration(port: number, upstreamPort: number, redisUrl: string): string {
  return `
listeners:
  public: { address: 127.0.0.1:${port} }
  admin: { address: 127.0.0.1:0 }
storage: { sessions: '${redisUrl}', directory: ./data }
masterKey: { env: BENCH_MASTER_KEY }
tenants:
  rs256: { signing: RS256, accessToken: { lifetime: 1h } }
  es256: { signing: ES256, accessToken: { lifetime: 1h } }
clients:
  bench-rs256: { tenant: rs256, secret: { env: BENCH_SECRET }, scopes: [sessions:write] }
  bench-es256: { tenant: es256, secret: { env: BENCH_SECRET }, scopes: [sessions:write] }
upstreams:
  small: { targets: [http://127.0.0.1:${upstreamPort}] }
routes:
  - { name: health, match: { path: /health }, service: health }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: api, match: { path: /api/* }, auth: required, stripPrefix: /api, upstream: small }
`
}

/** Sessions of as many users. */
async function create(gateway: SessionGateway, tenant: Tenant, requests: number): Promise<readonly Pair[]> {
  const authorization = gateway.authorization(tenant)
  const { created } = await loaded(gateway, { job: 'create', tenant, requests, authorization, keep: true })
  return created
}

/** Half of the revocations end a session, half a token alone. */
async function revokeMany(gateway: SessionGateway): Promise<readonly string[]> {
  const pairs = await create(gateway, 'es256', REVOCATIONS)
  const tokens = pairs.map((pair, index) => (index % 2 === 0 ? pair.access : pair.refresh))
  await loaded(gateway, { job: 'revoke', tenant: 'es256', requests: tokens.length, tokens })
  const good = await create(gateway, 'rs256', VALIDATED * 0.9)
  const bad = pairs.slice(0, VALIDATED / 10)
  return Array.from({ length: VALIDATED }, (_, index) => {
    const pair = index % 10 === 0 ? bad[index / 10] : good[index - Math.ceil(index / 10)]
    return pair?.access ?? ''
  })
}

async function loaded(gateway: SessionGateway, load: Omit<SessionLoad, 'origin' | 'connections'>): Promise<SessionLoadResult> {
  const result = await ask<SessionLoadResult>(1, 'session-load.ts', { ...load, origin: gateway.url, connections: CONNECTIONS })
  if (result.errors > 0) throw new Error(`${load.job}: ${result.errors} requests failed`)
  return result
}
