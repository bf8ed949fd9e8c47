/** Browser mode in a real Chromium: what a page can do with a session that it never sees, and what other pages cannot. */
import { createServer, type Server } from 'node:http'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { launchChromium, listen, stop } from '../support/browser.ts'
import { bearer, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'

const USER = { email: 'ada@example.com', password: 'correct horse battery staple' }
const THIEF = { email: 'thief@example.com', password: 'correct horse battery staple' }

/** A request as the upstream got it. */
interface Seen {
  readonly line: string
  readonly cookie: string | undefined
  readonly user: string | string[] | undefined
}

const seen: Seen[] = []
const sockets = new WebSocketServer({ noServer: true })
let upstream: Server
let elsewhere: Server
let gateway: TestGateway
let browser: Browser
let context: BrowserContext
let page: Page
/** Where the page of the gateway is, and pages of others: on another site, and on the same site at another port. */
let origin: string
let others: { readonly 'another site': string; readonly 'a neighbour': string }

beforeAll(async () => {
  upstream = createServer((req, res) => {
    seen.push({ line: `${req.method} ${req.url}`, cookie: req.headers.cookie, user: req.headers['x-user-id'] })
    res.setHeader('set-cookie', ['theme=dark; Path=/', '__Host-gw_at=planted; Path=/; Secure'])
    res.setHeader('content-type', 'text/html')
    res.end('<!doctype html><title>app</title>')
  })
  upstream.on('upgrade', (req, socket, head) => {
    seen.push({ line: `UPGRADE ${req.url}`, cookie: req.headers.cookie, user: req.headers['x-user-id'] })
    sockets.handleUpgrade(req, socket, head, (client) => client.send('hello'))
  })
  elsewhere = createServer((_, res) => {
    res.setHeader('content-type', 'text/html')
    res.end('<!doctype html><title>elsewhere</title>')
  })
  const [port, upstreamPort, otherPort] = [await freePort(), await listen(upstream), await listen(elsewhere)]
  origin = `http://localhost:${port}`
  others = { 'another site': `http://127.0.0.1:${otherPort}`, 'a neighbour': `http://localhost:${otherPort}` }
  gateway = await startGateway(`listeners:
  public: { address: "127.0.0.1:${port}", origin: "${origin}" }
  admin: { address: 127.0.0.1:0 }
upstreams: { app: { targets: ["http://127.0.0.1:${upstreamPort}"] } }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: pages, match: { path: /page/* }, auth: public, upstream: app }
  - { name: app, match: { path: /app/* }, auth: required, upstream: app, websocket: true }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`)
  for (const user of [USER, THIEF]) await postJson(`${gateway.url}/auth/register`, user)
  browser = await launchChromium()
}, 60_000)

afterAll(async () => {
  await browser?.close()
  await gateway?.close()
  for (const socket of sockets.clients) socket.terminate()
  await Promise.all([upstream, elsewhere].map(stop))
})

beforeEach(async () => {
  context = await browser.newContext()
  page = await context.newPage()
  await page.goto(`${origin}/page/`)
  seen.length = 0
})
afterEach(() => context.close())

describe('a page of the gateway', () => {
  it('logs in and calls with cookies that no script sees', async () => {
    const answer = await login()
    expect(answer).toEqual({
      status: 200,
      body: { expires_in: 900, refresh_expires_in: 1_209_600, session_id: expect.any(String), scope: '' },
    })
    expect(await page.evaluate('document.cookie')).toBe('theme=dark')
    const flags = { httpOnly: true, secure: true, domain: 'localhost' }
    expect(await ours()).toEqual([
      expect.objectContaining({ name: '__Host-gw_at', path: '/', sameSite: 'Lax', ...flags }),
      expect.objectContaining({ name: '__Secure-gw_rt', path: '/sessions/refresh', sameSite: 'Strict', ...flags }),
    ])
    const called = await call('/api/orders')
    expect(called).toMatchObject({ status: 200, body: { identity: { user: expect.stringMatching(/^usr_/) } } })
    expect(JSON.stringify(called.body)).not.toContain('gw_')
  })

  it('changes things behind the gateway, whose upstream receives the user and no cookie of ours, and sets none', async () => {
    await login()
    const before = await ours()
    expect((await call('/app/orders', { method: 'POST' })).status).toBe(200)
    expect(seen).toEqual([{ line: 'POST /app/orders', cookie: 'theme=dark', user: expect.stringMatching(/^usr_/) }])
    expect(await ours()).toEqual(before)
  })

  it('opens a WebSocket', async () => {
    await login()
    expect(await openSocket(page)).toBe('hello')
    expect(seen).toMatchObject([{ line: 'UPGRADE /app/socket', cookie: 'theme=dark', user: expect.stringMatching(/^usr_/) }])
  })

  it('cannot overwrite the cookies, nor read them after a navigation', async () => {
    await login()
    const before = await ours()
    await page.evaluate("document.cookie = '__Host-gw_at=x; Path=/; Secure'")
    await page.evaluate("document.cookie = '__Secure-gw_rt=x; Path=/sessions/refresh; Secure'")
    expect(await ours()).toEqual(before)
    await page.goto(`${origin}/app/home`)
    expect(await page.evaluate('document.cookie')).toBe('theme=dark')
    expect(seen).toMatchObject([{ line: 'GET /app/home', user: expect.stringMatching(/^usr_/) }])
  })

  it('refreshes by cookie: both are new, no token is told, and the calls go on', async () => {
    const first = await login()
    const before = await ours()
    const refreshed = await call('/sessions/refresh', { method: 'POST' })
    expect(refreshed).toEqual(first)
    const after = await ours()
    expect(after.map(({ name }) => name)).toEqual(['__Host-gw_at', '__Secure-gw_rt'])
    for (const [at, cookie] of after.entries()) expect(cookie.value).not.toBe(before[at]?.value)
    expect((await call('/api/orders')).status).toBe(200)
  })

  it('refreshes when the access token is over and its cookie with it', async () => {
    await login()
    await context.clearCookies({ name: '__Host-gw_at' })
    expect(await call('/api/orders')).toMatchObject({ status: 401, body: { error: 'unauthorized' } })
    expect((await call('/sessions/refresh', { method: 'POST' })).status).toBe(200)
    expect((await call('/api/orders')).status).toBe(200)
  })

  it('logs out: cookies and storage are gone, and the token is refused wherever it is', async () => {
    await login()
    await page.evaluate(() => localStorage.setItem('draft', 'secret'))
    const [access, refresh] = await ours()
    expect((await call('/auth/logout', { method: 'POST' })).status).toBe(204)
    expect(await context.cookies()).toEqual([])
    expect(await page.evaluate(() => localStorage.getItem('draft'))).toBeNull()
    expect(await call('/api/orders')).toMatchObject({ status: 401, body: { error: 'unauthorized' } })
    expect((await call('/sessions/refresh', { method: 'POST' })).status).toBe(400)
    const stolen = await fetch(`${gateway.url}/api/orders`, { headers: bearer(access?.value ?? '') })
    expect([stolen.status, ((await stolen.json()) as { error: string }).error]).toEqual([401, 'token_revoked'])
    const renewed = await postJson(`${gateway.url}/sessions/refresh`, { refresh_token: refresh?.value })
    expect([renewed.status, ((await renewed.json()) as { error: string }).error]).toEqual([401, 'invalid_token'])
  })
})

describe.each(['another site', 'a neighbour'] as const)('a page of %s', (place) => {
  let evil: Page
  beforeEach(async () => {
    await login()
    evil = await context.newPage()
    await evil.goto(`${others[place]}/`)
  })

  it('posts a form that is refused', async () => {
    await evil.setContent(`<form method="post" action="${origin}/app/transfer"><button>win</button></form>`)
    const [answer] = await Promise.all([evil.waitForResponse(`${origin}/app/transfer`), evil.click('button')])
    const { cookie = '' } = await answer.request().allHeaders()
    // From another site the browser keeps the cookie to itself; a neighbour's page sends it, and the gateway refuses.
    const expected = place === 'another site' ? [401, false] : [403, true]
    expect([answer.status(), cookie.includes('__Host-gw_at=')]).toEqual(expected)
    expect(seen).toEqual([])
  })

  it('fetches with credentials and changes nothing', async () => {
    for (const path of ['/app/transfer', '/auth/logout', '/auth/logout-all', '/sessions/refresh', '/sessions/revoke-others']) {
      for (const mode of ['cors', 'no-cors'] as const) await attempt(evil, `${origin}${path}`, { mode, method: 'POST' })
    }
    await attempt(evil, `${origin}/app/transfer`, { mode: 'cors', method: 'DELETE' })
    expect(seen).toEqual([])
    expect((await call('/api/orders')).status).toBe(200)
  })

  it('reads nothing with credentials', async () => {
    expect(await attempt(evil, `${origin}/auth/me`, { mode: 'cors', method: 'GET' })).toBe('blocked')
    expect(await attempt(evil, `${origin}/auth/me`, { mode: 'no-cors', method: 'GET' })).toBe('opaque 0 ')
  })

  it('opens no WebSocket', async () => {
    expect(await openSocket(evil)).toBe('refused')
    expect(seen).toEqual([])
  })

  it('logs nobody in as its own user', async () => {
    const before = await ours()
    const body = JSON.stringify({ ...THIEF, cookie: true })
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
      for (const mode of ['cors', 'no-cors'] as const) {
        await attempt(evil, `${origin}/auth/login`, { mode, method: 'POST', body, headers: { 'content-type': type } })
      }
    }
    expect(await ours()).toEqual(before)
  })

  it('may link to us: the user is logged in there', async () => {
    await evil.setContent(`<a href="${origin}/app/home">go</a>`)
    await Promise.all([evil.waitForURL(`${origin}/app/home`), evil.click('a')])
    expect(seen).toMatchObject([{ line: 'GET /app/home', user: expect.stringMatching(/^usr_/) }])
  })
})

interface Init {
  readonly method?: string
  readonly mode?: 'cors' | 'no-cors'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

interface Told {
  readonly status: number
  readonly body: unknown
}

function login(): Promise<Told> {
  const body = JSON.stringify({ ...USER, cookie: true })
  return call('/auth/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
}

/** A fetch by the page of the gateway, as its script would do it. */
function call(path: string, init: Init = {}): Promise<Told> {
  return page.evaluate(
    async ([url, options]) => {
      const response = await fetch(url, options)
      const text = await response.text()
      return { status: response.status, body: text.startsWith('{') ? (JSON.parse(text) as unknown) : text }
    },
    [`${origin}${path}`, init] as const,
  )
}

/** A fetch by somebody else's page, with all that the browser would send along. */
function attempt(from: Page, url: string, init: Init): Promise<string> {
  return from.evaluate(
    async ([address, options]) => {
      try {
        const response = await fetch(address, { ...options, credentials: 'include' })
        return `${response.type} ${response.status} ${await response.text()}`
      } catch {
        return 'blocked'
      }
    },
    [url, init] as const,
  )
}

/** What a WebSocket to the upstream says first. */
function openSocket(from: Page): Promise<string> {
  return from.evaluate(
    (url) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(url)
        socket.addEventListener('message', ({ data }) => {
          resolve(String(data))
          socket.close()
        })
        socket.addEventListener('error', () => resolve('refused'))
      }),
    `${origin.replace('http', 'ws')}/app/socket`,
  )
}

/** The two cookies of the gateway that the browser holds, in the order of their names. */
async function ours() {
  const cookies = await context.cookies([origin, `${origin}/sessions/refresh`])
  const two = cookies.filter(({ name }) => name.includes('gw_')).toSorted((a, b) => a.name.localeCompare(b.name))
  return two.map(({ name, value, path, domain, httpOnly, secure, sameSite }) => {
    return { name, value, path, domain, httpOnly, secure, sameSite }
  })
}
