/** The console of a gateway in a real Chromium, and what the browser has against it. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { startGateway, type TestGateway } from '../support/gateway.ts'

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const QUIET = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-sync',
]

export const VIEWS = ['traffic', 'routes', 'upstreams', 'revocation', 'tenants', 'sessions', 'refusals', 'explain'] as const
/** On a machine that does much else. */
export const PATIENCE_MS = 30_000

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, args: QUIET })
}

export interface Stage {
  readonly gateway: TestGateway
  /** The first server of the upstream `orders`; the second does not exist. */
  readonly server: Server
  /** Rows of the audit record with this event. */
  audit(event: string): readonly Record<string, unknown>[]
  close(): Promise<void>
}

/** A gateway with some of everything that the console shows. */
export async function startStage(token?: string): Promise<Stage> {
  const server = createServer((_, res) => res.end('ok'))
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const gateway = await startGateway(
    `listeners:
  public:
    {{public}}
    trustedProxies: [127.0.0.1/32]
  admin: { address: 127.0.0.1:0${token === undefined ? '' : ', token: { env: ADMIN_TOKEN }'} }
geography: { header: cf-ipcountry }
tenants:
  default: { signing: ES256 }
  acme: { name: Acme Ltd, signing: ES256, hosts: [acme.localhost] }
clients:
  billing: { tenant: default, secret: { env: BILLING_SECRET }, scopes: [sessions:write] }
upstreams:
  orders:
    targets: ["http://127.0.0.1:${port}", { url: "http://127.0.0.1:1", weight: 2 }]
    health: { path: /healthz, interval: 1s, timeout: 1s, unhealthyAfter: 1 }
    breaker: { maxRequests: 64 }
routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: demo, match: { path: /api/* }, auth: required, service: echo }
  - { name: orders, match: { path: /orders/* }, auth: required, scopes: [orders:read], upstream: orders }
  - { name: catalogue, match: { path: /catalogue/* }, auth: public, upstream: orders }
`,
    { environment: { ADMIN_TOKEN: token ?? '', BILLING_SECRET: 'a-secret-of-billing-that-is-long-enough' } },
  )
  return { gateway, server, audit, close }

  function audit(event: string): readonly Record<string, unknown>[] {
    const file = new DatabaseSync(`${gateway.directory}/data/audit.db`, { readOnly: true })
    try {
      return file.prepare('SELECT * FROM audit WHERE event = ?').all(event)
    } finally {
      file.close()
    }
  }

  async function close(): Promise<void> {
    await gateway.close()
    server.closeAllConnections()
    server.close()
  }
}

export interface Shown {
  readonly page: Page
  /** Errors, and breaches of its policy. */
  readonly complaints: string[]
}

/** Opens a view and waits until the stream has brought what it shows. */
export async function show(
  browser: Browser,
  adminUrl: string,
  view: string,
  options: BrowserContextOptions = {},
): Promise<Shown> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options })
  const complaints: string[] = []
  page.setDefaultTimeout(PATIENCE_MS)
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.addInitScript(
    "addEventListener('securitypolicyviolation', (event) => console.error('policy', event.violatedDirective))",
  )
  await page.goto(`${adminUrl}/#${view}`)
  return { page, complaints }
}

/** Waits until the stream has brought what is shown. */
export async function live(page: Page): Promise<void> {
  await page.locator('#standing-text', { hasText: /Ready|Degraded/ }).waitFor()
}

/** A session of a user whom somebody else knows, made by a client. */
export async function createSession(url: string, user: string, device: string): Promise<string> {
  const basic = Buffer.from('billing:a-secret-of-billing-that-is-long-enough').toString('base64')
  const response = await fetch(`${url}/sessions`, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}`, 'content-type': 'application/json', 'user-agent': device },
    body: JSON.stringify({ tenant_id: 'default', user_id: user, scope: 'orders:read' }),
  })
  if (response.status !== 201) throw new Error(`sessions: ${response.status} ${await response.text()}`)
  const { access_token: token } = (await response.json()) as { readonly access_token: string }
  return token
}
