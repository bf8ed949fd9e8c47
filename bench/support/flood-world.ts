/** A gateway on the first core, and tokens of two tenants that an issuer made, good and forged. */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answers, ended, freePort, pinned } from './processes.ts'

export interface FloodWorld {
  readonly url: string
  readonly pid: number
  /** 99th percentile of the delay of its event loop since the last time, milliseconds. */
  lagP99Ms(): Promise<number>
  /** So many good tokens of a tenant. */
  tokens(tenant: 'acme' | 'globex', count: number): readonly string[]
  /** So many tokens of `acme` that name its key and are not signed with it. */
  forged(count: number): readonly string[]
  stop(): Promise<void>
}

const TENANTS = ['acme', 'globex'] as const

/** @param overload - the keys of `listeners.public.overload` */
export async function startFloodWorld(overload: string): Promise<FloodWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  const keys = new Map(TENANTS.map((tenant) => [tenant, generateKeyPairSync('rsa', { modulusLength: 2048 })]))
  for (const [tenant, { publicKey }] of keys) {
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: tenant, alg: 'RS256', use: 'sig' }
    writeFileSync(join(folder, `${tenant}.json`), JSON.stringify({ keys: [jwk] }))
  }
  // Takes connections and says nothing: what is sent there stays in flight.
  const mute = createServer((socket) => socket.on('error', () => undefined))
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  const address = mute.address()
  const mutePort = typeof address === 'object' && address !== null ? address.port : 0
  const [port, adminPort, upstreamPort] = [await freePort(), await freePort(), await freePort()]
  const file = join(folder, 'gateway.yaml')
  writeFileSync(file, configuration({ port, adminPort, mutePort, upstreamPort, overload }))
  const upstream = pinned(1, ['upstream.ts', String(upstreamPort)])
  const gateway = pinned(0, ['../../src/main.ts', 'start', '--config', file])
  const url = `http://127.0.0.1:${port}`
  try {
    await answers(`${url}/health`)
  } catch (error) {
    await stop()
    throw error
  }
  return { url, pid: gateway.pid ?? 0, lagP99Ms, tokens, forged, stop }

  async function lagP99Ms(): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
    return Number(/^gatehouse_event_loop_lag_seconds (\S+)$/m.exec(text)?.[1]) * 1000
  }

  function tokens(tenant: (typeof TENANTS)[number], count: number): readonly string[] {
    const key = keys.get(tenant)?.privateKey
    if (key === undefined) throw new Error(`no key of ${tenant}`)
    return Array.from({ length: count }, () => tokenOf(tenant, key))
  }

  function forged(count: number): readonly string[] {
    return Array.from({ length: count }, () => tokenOf('acme', undefined))
  }

  async function stop(): Promise<void> {
    await Promise.all([ended(gateway), ended(upstream)])
    mute.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function tokenOf(tenant: string, key: KeyObject | undefined): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: `https://${tenant}.test/`, sub: 'user', aud: 'api', iat: now, exp: now + 3600, jti: crypto.randomUUID() }
  const data = `${segment({ alg: 'RS256', kid: tenant, typ: 'at+jwt' })}.${segment(claims)}`
  const signature = key === undefined ? randomBytes(256) : sign('sha256', Buffer.from(data), key)
  return `${data}.${signature.toString('base64url')}`
}

interface Settings {
  readonly port: number
  readonly adminPort: number
  readonly mutePort: number
  readonly upstreamPort: number
  readonly overload: string
}

function segment(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function configuration({ port, adminPort, mutePort, upstreamPort, overload }: Settings): string {
  const issuers = TENANTS.map(
    (tenant) =>
      `  ${tenant}: { issuer: "https://${tenant}.test/", tenant: ${tenant}, audiences: [api], algorithms: [RS256], jwks: { file: ${tenant}.json } }`,
  )
  return `
listeners:
  public: { address: 127.0.0.1:${port}, overload: ${overload} }
  admin: { address: 127.0.0.1:${adminPort} }
tenants: { acme: {}, globex: {} }
issuers:
${issuers.join('\n')}
upstreams:
  small: { targets: [http://127.0.0.1:${upstreamPort}] }
  mute: { targets: [http://127.0.0.1:${mutePort}], timeouts: { response: 10m } }
routes:
  - { name: health, match: { path: /health }, service: health }
  - { name: echo, match: { path: /echo/* }, auth: required, service: echo }
  - { name: mute, match: { path: /mute/* }, auth: required, upstream: mute }
  - { name: front, match: { path: /front/* }, auth: public, upstream: small }
`
}
