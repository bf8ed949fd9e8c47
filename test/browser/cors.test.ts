/** Pages of other origins in a real Chromium: what `cors` of a route lets them do, and what it does not. */
import { createServer, type Server } from 'node:http'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { launchChromium, listen, stop } from '../support/browser.ts'
import { postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'

const USER = { email: 'ada@example.com', password: 'correct horse battery staple' }

/** Requests as the upstream got them. */
const seen: string[] = []
let upstream: Server
let pages: Server
let gateway: TestGateway
let browser: Browser
/** The page that routes name, on the same site as the gateway; and one of another site. */
let app: Page
let evil: Page
/** The gateway as pages call it. */
let origin: string
let token: string

beforeAll(async () => {
  upstream = createServer((req, res) => {
    seen.push(`${req.method} ${req.url}`)
    // An upstream that thinks of no page but its own.
    res.setHeader('access-control-allow-origin', 'https://old.example')
    res.setHeader('etag', '"7"')
    res.end('orders')
  })
  pages = createServer((_, res) => {
    res.setHeader('content-type', 'text/html')
    res.end('<!doctype html><title>page</title>')
  })
  const [upstreamPort, port, pagesPort] = [await listen(upstream), await freePort(), await listen(pages)]
  origin = `http://localhost:${port}`
  const page = `http://localhost:${pagesPort}`
  gateway = await startGateway(`listeners:
  public: { address: "127.0.0.1:${port}", origin: "${origin}" }
  admin: { address: 127.0.0.1:0 }
upstreams: { app: { targets: ["http://127.0.0.1:${upstreamPort}"] } }
routes:${SERVICE_ROUTES.replace('service: accounts', `service: accounts, cors: { origins: ["${page}"], credentials: true }`)}
  - { name: orders, match: { path: /orders/* }, auth: required, upstream: app, cors: { origins: ["${page}"], methods: [GET, PUT], headers: [authorization, x-if], exposedHeaders: [etag], credentials: true } }
  - { name: private, match: { path: /private/* }, auth: required, upstream: app }
  - { name: news, match: { path: /news/* }, auth: public, upstream: app, cors: { origins: ["*"] } }
`)
  await postJson(`${gateway.url}/auth/register`, USER)
  token = ((await (await postJson(`${gateway.url}/auth/login`, USER)).json()) as { access_token: string }).access_token
  browser = await launchChromium()
  const context = await browser.newContext()
  app = await context.newPage()
  await app.goto(`${page}/`)
  evil = await context.newPage()
  await evil.goto(`http://127.0.0.1:${pagesPort}/`)
}, 60_000)

afterAll(async () => {
  await browser?.close()
  await gateway?.close()
  await Promise.all([upstream, pages].map(stop))
})

beforeEach(() => {
  seen.length = 0
})

interface Init {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly credentials?: 'include'
  readonly body?: string
}

/** What a script of the page learns: status, body and what it may read of two fields. */
function call(from: Page, path: string, init: Init = {}): Promise<unknown[]> {
  return from.evaluate(
    async ([url, options]) => {
      try {
        const response = await fetch(url, options)
        const text = await response.text()
        const { error = text }: { error?: string } = text.startsWith('{') ? JSON.parse(text) : {}
        return [response.status, error, response.headers.get('etag'), response.headers.get('x-request-id') !== null]
      } catch {
        return ['blocked']
      }
    },
    [`${origin}${path}`, init] as const,
  )
}

const bearer = () => ({ authorization: `Bearer ${token}` })

describe('a page that a route names', () => {
  it('calls with a token, and reads the answer and what is exposed of it', async () => {
    expect(await call(app, '/orders/7', { headers: bearer() })).toEqual([200, 'orders', '"7"', false])
    expect(await call(app, '/orders/7', { method: 'PUT', headers: { ...bearer(), 'x-if': '1' }, body: '{}' })).toEqual([
      200,
      'orders',
      '"7"',
      false,
    ])
    // The preflights never came to it.
    expect(seen).toEqual(['GET /orders/7', 'PUT /orders/7'])
  })

  it('reads why it is refused', async () => {
    expect(await call(app, '/orders/7')).toEqual([401, 'unauthorized', null, false])
    expect(await call(app, '/orders/7', { headers: { authorization: 'Bearer x' } })).toEqual([401, 'invalid_token', null, false])
    expect(seen).toEqual([])
  })

  it('sends no method and no header that are not named', async () => {
    expect(await call(app, '/orders/7', { method: 'DELETE', headers: bearer() })).toEqual(['blocked'])
    expect(await call(app, '/orders/7', { headers: { ...bearer(), 'x-other': '1' } })).toEqual(['blocked'])
    expect(seen).toEqual([])
  })

  it('calls nothing with a token on a route that names nobody', async () => {
    expect(await call(app, '/private/7', { headers: bearer() })).toEqual(['blocked'])
    expect(seen).toEqual([])
  })

  it('logs in by cookie, and acts with it', async () => {
    const body = JSON.stringify({ ...USER, cookie: true })
    const headers = { 'content-type': 'application/json' }
    expect((await call(app, '/auth/login', { method: 'POST', credentials: 'include', headers, body }))[0]).toBe(200)
    expect(await call(app, '/orders/8', { method: 'PUT', credentials: 'include', body: 'x', headers: { 'x-if': '1' } })).toEqual([
      200,
      'orders',
      '"7"',
      false,
    ])
    expect((await call(app, '/auth/logout', { method: 'POST', credentials: 'include' }))[0]).toBe(204)
    expect(seen).toEqual(['PUT /orders/8'])
  })
})

describe('a page of another site', () => {
  it('sends no token, and reads nothing', async () => {
    expect(await call(evil, '/orders/7', { headers: bearer() })).toEqual(['blocked'])
    expect(await call(evil, '/orders/7', { method: 'PUT', headers: bearer() })).toEqual(['blocked'])
    expect(await call(evil, '/orders/7')).toEqual(['blocked'])
    expect(seen).toEqual([])
  })

  it('reads what is for every page, without cookies', async () => {
    expect(await call(evil, '/news/1')).toEqual([200, 'orders', null, true])
    expect(await call(evil, '/news/1', { credentials: 'include' })).toEqual(['blocked'])
  })
})
