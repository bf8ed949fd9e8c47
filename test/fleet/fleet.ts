/** Gateways that share one storage, as replicas behind a balancer without affinity do. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { basic } from '../support/clients.ts'
import { bearer, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

export const TENANTS = ['acme', 'globex', 'doomed', 'rotating'] as const
export type Tenant = (typeof TENANTS)[number]

const SECRET = 'the secret of a backend'
const ENVIRONMENT = { SECRET, MASTER_KEY: 'ab'.repeat(32) }
const YAML = `
tenants:
  default: { signing: ES256 }
${TENANTS.map((tenant) => `  ${tenant}: { signing: ES256 }`).join('\n')}
clients:
${TENANTS.map((tenant) => `  ${tenant}: { tenant: ${tenant}, secret: { env: SECRET }, scopes: [sessions:write] }`).join('\n')}
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`

export interface Pair {
  readonly access_token: string
  readonly refresh_token: string
  readonly session_id: string
}

export interface Fleet {
  /** Those that run now. */
  readonly gateways: TestGateway[]
  /** Undefined on embedded storage. */
  readonly redis: RedisServer | undefined
  /** The gateway of that number, from 0; round again past the last. */
  at(number: number): TestGateway
  /** Starts one more. */
  add(): Promise<TestGateway>
  /** Stops one and starts another in its place. */
  restart(number: number): Promise<void>
  close(): Promise<void>
}

/** One gateway on a `storage.sessions` of its own, in a folder that the caller may keep to start it again. */
export function startMember(place: unknown, directory?: string, more = ''): Promise<TestGateway> {
  const storage = `storage: { sessions: ${JSON.stringify(place)}, directory: ./data }`
  const options = { environment: ENVIRONMENT, ...(directory === undefined ? {} : { directory }) }
  return startGateway(`${storage}\nmasterKey: { env: MASTER_KEY }\n${more}${YAML}`, options)
}

/** @param server - a Redis that is there already, and that the caller stops */
export async function startFleet(storage: 'redis' | 'embedded', count: number, server?: RedisServer): Promise<Fleet> {
  // Accounts are in the directory whatever storage sessions have: the members share it.
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-fleet-'))
  const redis = server ?? (storage === 'redis' ? await startRedis() : undefined)
  const sessions = redis === undefined ? 'embedded' : JSON.stringify(redis.url)
  const yaml = `storage: { sessions: ${sessions}, directory: ./data }\nmasterKey: { env: MASTER_KEY }\n${YAML}`
  const start = (): Promise<TestGateway> => startGateway(yaml, { environment: ENVIRONMENT, directory })
  const gateways: TestGateway[] = []
  const fleet: Fleet = {
    gateways,
    redis,
    at(number) {
      const gateway = gateways[number % gateways.length]
      if (gateway === undefined) throw new Error('the fleet is empty')
      return gateway
    },
    async add() {
      const gateway = await start()
      gateways.push(gateway)
      return gateway
    },
    async restart(number) {
      await fleet.at(number).close()
      gateways[number % gateways.length] = await start()
    },
    async close() {
      await Promise.all(gateways.map((gateway) => gateway.close()))
      if (redis !== server) await redis?.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  // Together: whoever is first makes the keys.
  await Promise.all(Array.from({ length: count }, () => fleet.add()))
  return fleet
}

export function asClient(tenant: Tenant): { readonly authorization: string } {
  return { authorization: basic(tenant, SECRET) }
}

export async function createSession(gateway: TestGateway, tenant: Tenant, user: string): Promise<Pair> {
  const response = await postJson(
    `${gateway.url}/sessions`,
    { tenant_id: tenant, user_id: user, scope: 'orders:read' },
    asClient(tenant),
  )
  if (response.status !== 201) throw new Error(`create: ${response.status} ${await response.text()}`)
  return (await response.json()) as Pair
}

/** `200`, or status and code of the refusal. */
export async function callApi(gateway: TestGateway, token: string): Promise<string> {
  const response = await fetch(`${gateway.url}/api/x`, { headers: bearer(token) })
  const body = (await response.json()) as { readonly error?: string }
  return response.status === 200 ? '200' : `${response.status} ${body.error}`
}

/** A call of the admin listener that changes something; its answer. */
export async function admin(gateway: Pick<TestGateway, 'adminUrl'>, path: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${gateway.adminUrl}${path}`, { method: 'POST', headers: { 'x-gatehouse-admin': '1' } })
  const body = (await response.json()) as Record<string, unknown>
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${JSON.stringify(body)}`)
  return body
}

export function kidOf(token: string): string {
  const header: unknown = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
  if (typeof header === 'object' && header !== null && 'kid' in header) return String(header.kid)
  throw new Error('a token without a kid')
}

/** Milliseconds from the call until each gateway refuses the token; rejects when one accepts it after it had refused. */
export async function refusedEverywhere(gateways: readonly TestGateway[], token: string, withinMs = 5_000): Promise<number[]> {
  const startedMs = performance.now()
  return Promise.all(gateways.map((gateway) => refusedAt(gateway, token, startedMs, withinMs)))
}

const CALLS_AFTER = 10

async function refusedAt(gateway: TestGateway, token: string, startedMs: number, withinMs: number): Promise<number> {
  while ((await callApi(gateway, token)) === '200') {
    if (performance.now() - startedMs > withinMs) throw new Error(`a gateway still accepts the token after ${withinMs} ms`)
  }
  const lagMs = performance.now() - startedMs
  for (let call = 0; call < CALLS_AFTER; call += 1) {
    const answer = await callApi(gateway, token)
    if (!answer.startsWith('401 ')) throw new Error(`after a refusal a gateway answered ${answer}`)
  }
  return lagMs
}

/** For the output of a run: what was measured is shown, and is no condition. */
export function report(line: string): void {
  process.stdout.write(`[fleet] ${line}\n`)
}
