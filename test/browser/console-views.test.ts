/** What the console shows, live, in a real Chromium. */
import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { bearer, login } from '../support/gateway.ts'
import { createSession, launch, live, PATIENCE_MS, show, startStage, VIEWS, type Stage } from './console.ts'

const LIMIT = 2 * PATIENCE_MS

let stage: Stage
let browser: Browser

beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser?.close())
beforeEach(async () => {
  stage = await startStage()
})
afterEach(() => stage.close())

it.each(VIEWS)(
  'shows %s under its link, and breaks no policy of its own',
  async (view) => {
    const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'traffic')
    await live(page)
    await page.click(`#view-${view}`)
    await page.locator(`#view-${view}[aria-current="page"]`).waitFor()
    const title = await page.textContent(`#view-${view}`)
    await expect.poll(() => page.textContent('h1')).toBe(title)
    await expect.poll(() => page.title()).toBe(`${title} · Gatehouse`)
    expect(new URL(page.url()).hash).toBe(`#${view}`)
    expect(complaints).toEqual([])
    await page.close()
  },
  LIMIT,
)

it(
  'counts requests, errors and times of each route while they happen',
  async () => {
    const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'traffic')
    await live(page)
    const { access_token: token } = await login(stage.gateway.url)
    const headers = bearer(token)
    for (let count = 0; count < 12; count += 1) await (await fetch(`${stage.gateway.url}/api/x`, { headers })).arrayBuffer()
    for (let count = 0; count < 3; count += 1) await (await fetch(`${stage.gateway.url}/api/x`)).arrayBuffer()
    const row = page.locator('tbody tr', { hasText: 'demo.below' })
    await row.locator('td[data-label="15 min"]', { hasText: /^15$/ }).waitFor()
    expect(await row.locator('td[data-label="4xx"]').textContent()).toBe('3')
    expect(await row.locator('td[data-label="p50"]').textContent()).toMatch(/^\d+(\.\d)? ms$/)
    await page.locator('figure path.line').first().waitFor({ state: 'attached' })
    await row.getByRole('button', { name: 'demo.below' }).click()
    await page.getByText('Route demo.below alone').waitFor()
    await page.getByText('Show all routes').click()
    await expect.poll(() => row.getByRole('button').getAttribute('aria-pressed')).toBe('false')
    expect(complaints).toEqual([])
    await page.close()
  },
  LIMIT,
)

it(
  'reads a plot out by arrow keys',
  async () => {
    const { page } = await show(browser, stage.gateway.adminUrl, 'traffic')
    await live(page)
    const plot = page.locator('svg.plot').first()
    await page.locator('figure path.line').first().waitFor({ state: 'attached' })
    await plot.focus()
    await page.keyboard.press('ArrowLeft')
    const label = 'Requests per second, the last 15 minutes. '
    await expect.poll(() => plot.getAttribute('aria-label')).toMatch(new RegExp(`^${label}\\d\\d:\\d\\d:\\d\\d · all `))
    await expect
      .poll(() => page.locator('figure [aria-live]').first().textContent())
      .toMatch(/^\d\d:\d\d:\d\d · all [\d.]+ · 4xx [\d.]+ · 5xx [\d.]+$/)
    await page.keyboard.press('Tab')
    await expect.poll(() => plot.getAttribute('aria-label')).toContain(`${label}now`)
    await page.close()
  },
  LIMIT,
)

it(
  'marks what is public, and what each route asks for',
  async () => {
    const { page } = await show(browser, stage.gateway.adminUrl, 'routes')
    await live(page)
    const whoMay = (path: string) =>
      page
        .locator('tbody tr', { has: page.locator(`code:text-is("${path}")`) })
        .locator('.badge')
        .textContent()
    await page.locator('code:text-is("/orders/*")').waitFor()
    expect(await whoMay('/orders/*')).toBe('Token required')
    expect(await whoMay('/catalogue/*')).toBe('Public')
    expect(await whoMay('/sessions/refresh')).toBe('Holder')
    expect(await page.locator('tbody tr', { hasText: '/orders/*' }).locator('.chip').allTextContents()).toEqual([
      'scopes orders:read',
    ])
    await page.check('#route-open')
    await expect.poll(async () => new Set(await page.locator('tbody .badge').allTextContents())).toEqual(new Set(['Public']))
    await page.fill('#route-search', 'catalogue')
    await expect.poll(() => page.locator('tbody tr').count()).toBe(1)
    await page.locator('summary', { hasText: 'catalogue' }).click()
    expect(await page.locator('pre').textContent()).toContain('"upstream": "orders"')
    await page.close()
  },
  LIMIT,
)

it(
  'sees an upstream go down',
  async () => {
    const { page } = await show(browser, stage.gateway.adminUrl, 'upstreams')
    await live(page)
    await page.getByText('1 of 2 take requests').waitFor()
    await page.getByText('Breaker closed').waitFor()
    const states = page.locator('tbody td[data-label="State"] .badge')
    await expect.poll(() => states.allTextContents()).toEqual(['Takes requests', 'Unhealthy'])
    await expect.poll(() => page.locator('tbody td[data-label="State"] .detail').allTextContents()).toEqual(['ECONNREFUSED'])
    expect(await page.locator('tbody td[data-label="In this state"]').last().textContent()).toMatch(/^\d+ (s|min)$/)
    await expect.poll(() => page.textContent('#mark-upstreams')).toBe('1 impaired')
    expect(await page.locator('tbody td[data-label="Weight"]').allTextContents()).toEqual(['1', '2'])
    const { port } = stage.server.address() as { readonly port: number }
    stage.server.closeAllConnections()
    stage.server.close()
    await page.getByText('0 of 2 take requests').waitFor()
    await page.getByText('No server is well. All of them are tried all the same.').waitFor()
    // Seen from every view.
    await page.click('#view-traffic')
    await page.locator('#mark-upstreams', { hasText: '1 down' }).waitFor()
    await page.click('#view-upstreams')
    await page.getByText('0 of 2 take requests').waitFor()
    await expect.poll(() => states.allTextContents()).toEqual(['Unhealthy', 'Unhealthy'])
    stage.server.listen(port, '127.0.0.1')
    await page.getByText('1 of 2 take requests').waitFor()
    await page.close()
  },
  LIMIT,
)

it(
  'counts a revocation as soon as it is made',
  async () => {
    const { page } = await show(browser, stage.gateway.adminUrl, 'revocation')
    await live(page)
    const entries = page.locator('.tile', { hasText: 'Live revocations' }).locator('.value')
    await entries.filter({ hasText: /^\d+$/ }).waitFor()
    const before = Number(await entries.textContent())
    const token = await createSession(stage.gateway.url, 'ada', 'test')
    await fetch(`${stage.gateway.url}/sessions/revoke`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    })
    await entries.filter({ hasText: new RegExp(`^${before + 1}$`) }).waitFor()
    expect(await page.locator('.tile', { hasText: 'Age of the local copy' }).textContent()).toContain('bound 10 s')
    expect(await page.locator('tbody tr', { hasText: 'Look-ups in the revocation store' }).locator('.badge').textContent()).toBe(
      'Closed',
    )
    expect(await page.locator('tbody tr', { hasText: 'Sessions and revocations' }).locator('.badge').textContent()).toBe(
      'Embedded',
    )
    await page.close()
  },
  LIMIT,
)

it(
  'shows refusals as they come, without tokens and queries, and holds still when asked to',
  async () => {
    const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'refusals')
    await live(page)
    const secret = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.'
    await fetch(`${stage.gateway.url}/orders/7?access_token=${secret}`, { headers: bearer(secret) })
    const token = await createSession(stage.gateway.url, 'bob', 'test')
    await fetch(`${stage.gateway.url}/nowhere/${secret}`, { headers: bearer(token) })
    const row = page.locator('tbody tr', { hasText: 'GET /orders/7' }).first()
    await row.waitFor()
    expect(await row.textContent()).toContain('401 invalid_token')
    expect(await row.textContent()).toContain('route orders')
    expect(await row.locator('[title="Request id"]').textContent()).toMatch(/^[0-9a-f-]{36}$/)
    await page.locator('tbody tr', { hasText: '/nowhere/[jwt]' }).waitFor()
    expect(await page.content()).not.toContain('eyJ')
    await page.selectOption('#refusal-kind', 'no_route')
    await expect.poll(() => page.locator('tbody .reason').allTextContents()).toEqual(['no_route'])
    await page.selectOption('#refusal-kind', '')
    await row.waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    const held = await page.locator('tbody tr').count()
    await fetch(`${stage.gateway.url}/later`)
    await page.getByText(', paused').waitFor()
    expect(await page.locator('tbody tr').count()).toBe(held)
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.locator('tbody tr', { hasText: 'GET /later' }).waitFor()
    await page.fill('#refusal-search', '/later')
    await expect.poll(() => page.locator('tbody tr').count()).toBe(1)
    expect(complaints).toEqual([])
    await page.close()
  },
  LIMIT,
)

it(
  'leads from a refusal to its explanation, and to the sessions of its user',
  async () => {
    const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'refusals')
    await live(page)
    const token = await createSession(stage.gateway.url, 'erin', 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Firefox/145.0')
    await fetch(`${stage.gateway.url}/nowhere/erin`, { method: 'DELETE', headers: bearer(token) })
    await fetch(`${stage.gateway.url}/auth/password`, {
      method: 'POST',
      headers: { ...bearer(token), 'content-type': 'application/json' },
      body: JSON.stringify({ current_password: 'wrong horse battery', new_password: 'another horse battery' }),
    })
    const lost = page.locator('tbody tr', { hasText: 'DELETE /nowhere/erin' })
    await lost.waitFor()
    expect(await lost.locator('td[data-label="Reason"]').textContent()).toContain('No route of this gateway matches')
    await lost.getByRole('button', { name: /^Explain request/ }).click()
    await page.getByRole('heading', { name: 'Explain' }).waitFor()
    await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('explain-token')
    expect(await page.inputValue('#explain-method')).toBe('DELETE')
    expect(await page.inputValue('#explain-url')).toMatch(/^http:\/\/127\.0\.0\.1\/nowhere\/erin$/)
    expect(await page.inputValue('#explain-ip')).toBe('127.0.0.1')
    await page.getByRole('button', { name: 'Explain' }).click()
    await page.getByText('Refused: 404 no_route').waitFor()
    await page.goBack()
    const wrong = page.locator('tbody tr', { hasText: 'POST /auth/password' })
    await wrong.getByRole('button', { name: 'erin', exact: true }).click()
    await page.getByText('1 live session', { exact: true }).waitFor()
    expect(await page.locator('main h2').first().textContent()).toBe('erin')
    expect(await page.locator('td.device span').first().textContent()).toBe('Firefox on Linux')
    expect(new URL(page.url()).hash).toBe('#sessions')
    expect(complaints).toEqual([])
    await page.close()
  },
  LIMIT,
)

it(
  'explains a request, step by step, and repeats no token',
  async () => {
    const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'explain')
    const { access_token: token } = await login(stage.gateway.url)
    await page.fill('#explain-url', '/orders/1')
    await page.fill('#explain-token', `Bearer ${token}`)
    await page.fill('#explain-headers', 'x-beta: 1\n')
    await page.getByRole('button', { name: 'Explain' }).click()
    await page.getByText('Refused: 403 insufficient_scope').waitFor()
    expect(await page.locator('.steps .room').allTextContents()).toEqual(
      expect.arrayContaining(['router', 'authenticator', 'policy']),
    )
    expect(await page.locator('.steps .bad').textContent()).toContain('orders:read')
    expect(await page.locator('.steps').textContent()).not.toContain(token)
    await page.fill('#explain-url', 'no url')
    await page.getByRole('button', { name: 'Explain' }).click()
    await page.getByRole('alert').filter({ hasText: /./ }).waitFor()
    expect(complaints.filter((text) => !text.includes('400'))).toEqual([])
    await page.close()
  },
  LIMIT,
)

it(
  'says so when the gateway is gone',
  async () => {
    const other = await startStage()
    const { page } = await show(browser, other.gateway.adminUrl, 'traffic')
    await live(page)
    await other.close()
    await page.getByText('No connection, trying again').waitFor()
    await page.close()
  },
  LIMIT,
)
