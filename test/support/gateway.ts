/** A whole gateway on free loopback ports, with storage of its own in a temporary folder. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, restartRemarks, type Config } from '../../src/config/config.ts'
import { findRouteFaultsOf, openGateway, type Gateway, type GatewayNeeds } from '../../src/gateway.ts'
import { readFileSync } from 'node:fs'

export interface TestGateway {
  readonly url: string
  readonly port: number
  readonly adminUrl: string
  /** Log lines so far, parsed. */
  lines(): Record<string, unknown>[]
  /** Everything logged so far, as written. */
  log(): string
  readonly directory: string
  readonly gateway: Gateway
  /** Writes another configuration, of the form of the first, and puts it in force. Rejects when it is refused. */
  reload(yaml: string): Promise<void>
  close(): Promise<void>
}

export interface GatewayOptions {
  readonly environment?: Readonly<Record<string, string>>
  /** Kept by the caller, to start again on the same storage. */
  readonly directory?: string
  /** Further files beside the configuration. */
  readonly files?: Readonly<Record<string, string>>
  /** A clock that runs faster, say. */
  readonly world?: NonNullable<GatewayNeeds['world']>
}

/** The services at their usual places. */
export const SERVICE_ROUTES = `
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: discovery, match: { path: /.well-known/* }, service: discovery }
  - { name: discovery-tenants, match: { path: /t/* }, service: discovery }
  - { name: health, match: { path: /health }, service: health }`

/** `yaml` is what follows `listeners:`; ports, origin and the directory of the storage are filled in. */
export async function startGateway(yaml: string, options: GatewayOptions = {}): Promise<TestGateway> {
  const folder = options.directory ?? mkdtempSync(join(tmpdir(), 'gatehouse-'))
  const file = join(folder, 'gateway.yaml')
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(folder, name), text)
  writeFileSync(file, withListeners(yaml))
  const config = load()
  let written = ''
  const gateway = await openGateway(config, {
    write(lines) {
      written += lines
    },
    ...(options.world && { world: options.world }),
  })
  const addresses = await gateway.listen()
  /** Once: a test that fails between its own call and that of its `finally` says why, and does not hang. */
  let closing: Promise<void> | undefined
  return {
    url: `http://127.0.0.1:${addresses.public.port}`,
    port: addresses.public.port,
    adminUrl: `http://127.0.0.1:${addresses.admin.port}`,
    log: () => written,
    lines: () => written.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>])),
    directory: folder,
    gateway,
    async reload(next) {
      writeFileSync(file, withListeners(next))
      await gateway.reload(load(gateway.config))
    },
    close: () => (closing ??= close()),
  }

  async function close(): Promise<void> {
    await gateway.close()
    if (options.directory === undefined) rmSync(folder, { recursive: true, force: true })
  }

  function load(running?: Config): Config {
    return loadConfig(file, {
      environment: options.environment ?? {},
      readFile: (path) => readFileSync(path, 'utf8'),
      inspect: (config) => [...findRouteFaultsOf(config), ...(running === undefined ? [] : restartRemarks(running, config))],
    })
  }
}

/** Adds the listeners unless the text begins with its own; `{{public}}` in those stands for the usual lines of the public one. */
function withListeners(yaml: string): string {
  const scheme = /^ {4}tls:/m.test(yaml) ? 'https' : 'http'
  const own = `address: 127.0.0.1:0\n    origin: ${scheme}://gateway.test`
  const storage = yaml.includes('storage:') ? '' : 'storage: { directory: ./data }\n'
  if (yaml.trimStart().startsWith('listeners:')) return `${storage}${yaml.replace('{{public}}', own)}`
  return `listeners:\n  public:\n    ${own}\n  admin: { address: 127.0.0.1:0 }\n${storage}${yaml}`
}

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly session_id: string
}

/** Registers a new user and logs in. */
export async function login(
  url: string,
  tenant?: string,
): Promise<Tokens & { readonly email: string; readonly password: string }> {
  const email = `user-${crypto.randomUUID()}@example.com`
  const password = 'correct horse battery staple'
  const named = tenant === undefined ? {} : { tenant_id: tenant }
  const registered = await postJson(`${url}/auth/register`, { email, password, ...named })
  if (registered.status !== 201) throw new Error(`register: ${registered.status} ${await registered.text()}`)
  const response = await postJson(`${url}/auth/login`, { email, password, ...named })
  if (response.status !== 200) throw new Error(`login: ${response.status} ${await response.text()}`)
  return { ...((await response.json()) as Tokens), email, password }
}

export function postJson(url: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
}

export function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` }
}
