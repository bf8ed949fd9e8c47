/** The operators' GraphQL page in a real Chromium: its policy lets it run, and lets it run nothing else. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../support/browser.ts'
import { SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

const TOKEN = 'a-token-of-the-operators-long-enough'

let open: TestGateway
let guarded: TestGateway
let browser: Browser

beforeAll(async () => {
  const rest = `tenants: { default: { signing: ES256 } }\nroutes:${SERVICE_ROUTES}`
  open = await startGateway(rest)
  guarded = await startGateway(
    `listeners:
  public:
    {{public}}
  admin: { address: 127.0.0.1:0, token: { env: ADMIN_TOKEN } }
${rest}`,
    { environment: { ADMIN_TOKEN: TOKEN } },
  )
  browser = await launchChromium()
}, 60_000)
afterAll(async () => {
  await browser?.close()
  await open?.close()
  await guarded?.close()
})

/** What the page shows for a query, and what the browser had against it. */
async function run(gateway: TestGateway, query: string, token?: string) {
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(`${gateway.adminUrl}/graphql`)
  await page.fill('#query', query)
  if (token !== undefined) await page.fill('#token', token)
  await page.click('#run')
  await page.locator('#result', { hasText: /./ }).waitFor({ timeout: 20_000 })
  const shown = (await page.textContent('#result')) ?? ''
  await page.close()
  return { status: shown.slice(0, 3), shown, complaints: complaints.filter((text) => !text.includes('favicon')) }
}

it('shows the answer to a query, and the schema', async () => {
  const { status, shown, complaints } = await run(open, '{ __type(name: "User") { fields { name } } }')
  expect([status, complaints]).toEqual(['200', []])
  expect(shown).toContain('"displayName"')
}, 60_000)

it('asks with the token of the operators, and not without', async () => {
  const query = '{ checkUsernameAvailability(username: "a") { reason } }'
  expect((await run(guarded, query)).status).toBe('401')
  const { status, shown, complaints } = await run(guarded, query, TOKEN)
  expect([status, complaints]).toEqual(['200', []])
  expect(shown).toContain('"reason": "invalid"')
}, 60_000)
