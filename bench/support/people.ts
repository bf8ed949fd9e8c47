/** Who takes part in a measurement: an upstream, a gateway in front of it, and users with tokens. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answers, ended, freePort, pinned } from './processes.ts'

export interface People {
  readonly gatewayUrl: string
  readonly gatewayPid: number
  readonly upstreamUrl: string
  readonly upstreamPid: number
  readonly tokens: readonly string[]
  stop(): Promise<void>
}

/** Sessions whose tokens rotate through a run. */
const SESSIONS = 1000
/** Fewer than the throttle takes for an attack on one account. */
const PARALLEL_LOGINS = 4

export async function startPeople(): Promise<People> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const file = join(folder, 'gateway.yaml')
  const [gatewayPort, upstreamPort] = [await freePort(), await freePort()]
  writeFileSync(file, configuration(gatewayPort, upstreamPort))
  const upstream = pinned(1, ['upstream.ts', String(upstreamPort)])
  const gateway = pinned(0, ['../../src/main.ts', 'start', '--config', file])
  const gatewayUrl = `http://127.0.0.1:${gatewayPort}`
  const upstreamUrl = `http://127.0.0.1:${upstreamPort}`
  try {
    await Promise.all([answers(`${gatewayUrl}/health`), answers(`${upstreamUrl}/small`)])
    const tokens = await logIn(gatewayUrl)
    return { gatewayUrl, gatewayPid: gateway.pid ?? 0, upstreamUrl, upstreamPid: upstream.pid ?? 0, tokens, stop }
  } catch (error) {
    await stop()
    throw error
  }

  async function stop(): Promise<void> {
    await Promise.all([ended(gateway), ended(upstream)])
    rmSync(folder, { recursive: true, force: true })
  }
}

function configuration(gatewayPort: number, upstreamPort: number): string {
  return `
listeners:
  public: { address: 127.0.0.1:${gatewayPort} }
  admin: { address: 127.0.0.1:0 }
tenants:
  default: { accessToken: { lifetime: 1h }, sessionsPerUser: 2000 }
upstreams:
  small: { targets: [http://127.0.0.1:${upstreamPort}] }
routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: health, match: { path: /health }, service: health }
  - { name: echo, match: { path: /echo/* }, auth: required, service: echo }
  - { name: public, match: { path: /public/* }, auth: public, stripPrefix: /public, upstream: small }
  - { name: api, match: { path: /api/* }, auth: required, stripPrefix: /api, upstream: small }
`
}

/** One account with many sessions: each login is a token of its own. */
async function logIn(url: string): Promise<string[]> {
  const account = { email: 'bench@example.com', password: 'correct horse battery staple' }
  await post(`${url}/auth/register`, account)
  const tokens: string[] = []
  while (tokens.length < SESSIONS) {
    const pairs = await Promise.all(Array.from({ length: PARALLEL_LOGINS }, () => post(`${url}/auth/login`, account)))
    for (const pair of pairs) tokens.push(String(pair['access_token']))
  }
  return tokens
}

async function post(url: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  return (await response.json()) as Record<string, unknown>
}
