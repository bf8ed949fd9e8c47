/** What operators do by the console, in a real Chromium: it asks, takes a reason, and says what came of it. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { bearer, login, postJson } from '../support/gateway.ts'
import { until } from '../support/until.ts'
import { createSession, launch, live, PATIENCE_MS, show, startStage, type Stage } from './console.ts'

const LIMIT = 2 * PATIENCE_MS
const TOKEN = 'the-admin-token-of-this-test-0123456789'

let stage: Stage
let browser: Browser

beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser?.close())
// What one test has revoked, rotated or disabled is nothing to another, or to its second try.
beforeEach(async () => {
  stage = await startStage()
})
afterEach(() => stage.close())

/** A stage of its own whose operators need a token. */
function guard(): { readonly stage: Stage } {
  let guarded: Stage
  beforeEach(async () => {
    guarded = await startStage(TOKEN)
  })
  afterEach(() => guarded.close())
  return {
    get stage() {
      return guarded
    },
  }
}

async function find(page: Page, user: string): Promise<void> {
  await page.locator('#session-tenant option', { hasText: 'default' }).waitFor({ state: 'attached' })
  await page.fill('#session-user', user)
  await page.getByRole('button', { name: 'Find' }).click()
}

async function giveReason(page: Page, reason: string, action: string): Promise<void> {
  await page.fill('#reason', reason)
  await page.locator('dialog').getByRole('button', { name: action }).click()
}

/** Rows of the audit record, which is written a moment later. */
async function recorded(event: string, why: string): Promise<readonly Record<string, unknown>[]> {
  const rows = () => stage.audit(event).filter(({ reason }) => reason === why)
  await until(() => rows().length > 0, `no ${event} was recorded`)
  return rows()
}

const statusOf = async (token: string) => (await fetch(`${stage.gateway.url}/api/x`, { headers: bearer(token) })).status

describe('sessions', () => {
  it(
    'finds them by e-mail address, and revokes one that is chosen',
    async () => {
      const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'sessions')
      const user = await login(stage.gateway.url)
      const other = await fetch(`${stage.gateway.url}/auth/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'A phone' },
        body: JSON.stringify({ email: user.email, password: user.password }),
      })
      const { access_token: phone } = (await other.json()) as { readonly access_token: string }
      await find(page, user.email)
      await page.getByText('2 live sessions').waitFor()
      // One who logs in meanwhile is seen.
      await postJson(
        `${stage.gateway.url}/auth/login`,
        { email: user.email, password: user.password },
        { 'user-agent': 'A tablet' },
      )
      await page.getByText('3 live sessions').waitFor()
      await page.locator('tbody tr', { hasText: 'A tablet' }).getByRole('button').click()
      await giveReason(page, 'not mine', 'Revoke session')
      await page.getByText('2 live sessions').waitFor()
      await page.locator('tbody tr', { hasText: 'A phone' }).getByRole('button').click()
      await page.getByRole('heading', { name: 'Revoke this session?' }).waitFor()
      await giveReason(page, 'phone was lost', 'Revoke session')
      await page.getByText('1 live session', { exact: true }).waitFor()
      expect([await statusOf(phone), await statusOf(user.access_token)]).toEqual([401, 200])
      const [row] = await recorded('session_ended', 'phone was lost')
      expect(row).toMatchObject({ actor: 'admin', tenant_id: 'default', ip: '127.0.0.1' })
      expect(complaints).toEqual([])
      await page.close()
    },
    LIMIT,
  )

  it(
    'revokes all, also of users who have no account here, and says how many',
    async () => {
      const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'sessions')
      const tokens = [
        await createSession(stage.gateway.url, 'auth0|7/x', 'one'),
        await createSession(stage.gateway.url, 'auth0|7/x', 'two'),
      ]
      await find(page, 'auth0|7/x')
      await page.getByText('2 live sessions').waitFor()
      await page.getByRole('button', { name: 'Revoke all' }).click()
      await giveReason(page, 'left the company', 'Revoke all')
      await page.getByText('2 sessions of auth0|7/x revoked.').waitFor()
      await page.getByText('No live session.').waitFor()
      expect(await Promise.all(tokens.map(statusOf))).toEqual([401, 401])
      const [row] = await recorded('sessions_ended', 'left the company')
      expect(row).toMatchObject({ actor: 'admin', user_id: 'auth0|7/x', reason: 'left the company', subject: '2 sessions' })
      expect(complaints).toEqual([])
      await page.close()
    },
    LIMIT,
  )

  it(
    'does nothing without a reason, or when it is called off',
    async () => {
      const { page } = await show(browser, stage.gateway.adminUrl, 'sessions')
      const token = await createSession(stage.gateway.url, 'carol', 'one')
      await find(page, 'carol')
      await page.getByRole('button', { name: 'Revoke all' }).click()
      await page.locator('dialog').getByRole('button', { name: 'Revoke all' }).click()
      await expect.poll(() => page.evaluate("document.querySelector('#reason').validity.valueMissing")).toBe(true)
      await page.getByRole('button', { name: 'Cancel' }).click()
      await page.locator('dialog').waitFor({ state: 'detached' })
      expect(await statusOf(token)).toBe(200)
      await page.close()
    },
    LIMIT,
  )

  it(
    'disables a user for a reason, and enables them again',
    async () => {
      const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'sessions')
      const user = await login(stage.gateway.url)
      const again = () => postJson(`${stage.gateway.url}/auth/login`, { email: user.email, password: user.password })
      await find(page, user.email)
      await page.locator('.named .badge', { hasText: 'Active' }).waitFor()
      await page.getByRole('button', { name: 'Disable user' }).click()
      await page.getByRole('heading', { name: `Disable ${user.email}?` }).waitFor()
      await giveReason(page, 'account was taken over', 'Disable user')
      await page.locator('.named .badge', { hasText: 'Disabled' }).waitFor()
      await page.getByText('No live session.').waitFor()
      await expect.poll(() => page.evaluate('document.activeElement.textContent')).toBe('Enable user')
      expect([await statusOf(user.access_token), (await again()).ok]).toEqual([401, false])
      const [row] = await recorded('user_disabled', 'account was taken over')
      expect(row).toMatchObject({ actor: 'admin', tenant_id: 'default', ip: '127.0.0.1' })
      await page.getByRole('button', { name: 'Enable user' }).click()
      await giveReason(page, 'password was changed', 'Enable user')
      await page.locator('.named .badge', { hasText: 'Active' }).waitFor()
      expect((await again()).status).toBe(200)
      expect(await recorded('user_enabled', 'password was changed')).toHaveLength(1)
      expect(complaints).toEqual([])
      await page.close()
    },
    LIMIT,
  )

  it(
    'shows on what device and in which country each began, and offers nothing to disable where there is no account',
    async () => {
      const { page } = await show(browser, stage.gateway.adminUrl, 'sessions')
      const user = await login(stage.gateway.url)
      const phone =
        'Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36'
      await postJson(
        `${stage.gateway.url}/auth/login`,
        { email: user.email, password: user.password },
        { 'user-agent': phone, 'cf-ipcountry': 'PT', 'x-forwarded-for': '203.0.113.9' },
      )
      await find(page, user.email)
      const row = page.locator('tbody tr', { hasText: 'Chrome on Android' })
      await row.waitFor()
      expect(await row.locator('.agent').textContent()).toBe(phone)
      expect(await row.locator('td[data-label="Country"]').textContent()).toBe('Portugal')
      expect(await row.locator('td[data-label="Address"]').textContent()).toBe('203.0.113.9')
      expect(await row.locator('td[data-label="Ends"]').textContent()).toBe('in 14 d')
      expect(await page.locator('td[data-label="Country"]').allTextContents()).toContain('–')
      await find(page, 'nobody-of-here')
      await page.getByText('no account here').waitFor()
      expect(await page.getByRole('button', { name: /^(Disable|Enable) user$/ }).count()).toBe(0)
      await page.close()
    },
    LIMIT,
  )

  it(
    'shows what devices and users call themselves as text, whatever it is',
    async () => {
      const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'sessions')
      const hostile = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`
      await createSession(stage.gateway.url, hostile, hostile)
      await find(page, hostile)
      await page.getByText('1 live session', { exact: true }).waitFor()
      expect(await page.locator('td.device span').textContent()).toBe(hostile)
      expect(await page.locator('main h2').textContent()).toBe(hostile)
      await page.getByRole('button', { name: 'Revoke all' }).click()
      expect(await page.locator('dialog h2').textContent()).toBe(`Revoke all sessions of ${hostile}?`)
      expect(await page.locator('main img, dialog img, main script').count()).toBe(0)
      expect(await page.title()).toBe('Sessions · Gatehouse')
      expect(complaints).toEqual([])
      await page.close()
    },
    LIMIT,
  )
})

describe('keys', () => {
  it(
    'are rotated for a reason',
    async () => {
      const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'tenants')
      const card = page.locator('section', { has: page.getByRole('heading', { name: 'acme' }) })
      await card.locator('tbody tr').waitFor()
      expect(await card.locator('.badge').allTextContents()).toEqual(['current'])
      expect(await card.locator('.cardhead p').textContent()).toBe('Acme Ltd')
      const today = new Date().getFullYear().toString()
      for (const fact of ['Since', 'Changed'])
        expect(await card.locator('.pairs div', { hasText: fact }).locator('dd').textContent()).toContain(today)
      await card.getByRole('button', { name: 'Rotate the key of acme' }).click()
      await giveReason(page, 'yearly exercise', 'Rotate key')
      await page.getByText(/acme: key .{8} is published and signs in \d+ min\./).waitFor()
      await card.locator('.badge', { hasText: 'next' }).waitFor()
      const [row] = await recorded('sys_key_published', 'yearly exercise')
      expect(row).toMatchObject({ actor: 'admin', tenant_id: 'acme' })
      expect(complaints).toEqual([])
      // The next one is too young: it says so, and can be called off.
      await card.getByRole('button', { name: 'Rotate the key of acme' }).click()
      await giveReason(page, 'again', 'Rotate key')
      await page
        .getByRole('alert')
        .filter({ hasText: /not published long enough.*Try again in \d+ s/ })
        .waitFor()
      await page.keyboard.press('Escape')
      await page.locator('dialog').waitFor({ state: 'detached' })
      await page.close()
    },
    LIMIT,
  )
})

describe('a key that others may have', () => {
  const guarded = guard()

  it(
    'is revoked for a reason, with every token that it signed; another signs from then on',
    async () => {
      const { page, complaints } = await show(browser, guarded.stage.gateway.adminUrl, 'tenants')
      await page.fill('#token', TOKEN)
      await page.keyboard.press('Enter')
      const { access_token: token } = await login(guarded.stage.gateway.url)
      const card = page.locator('section', { has: page.getByRole('heading', { name: 'default', exact: true }) })
      await card.locator('.badge', { hasText: 'current' }).waitFor()
      const kid = String(await card.locator('td.id code').first().textContent())
      await card.getByRole('button', { name: `Revoke key ${kid}` }).click()
      await page.getByRole('heading', { name: 'Revoke the current key of default?' }).waitFor()
      await giveReason(page, 'was in a backup', 'Revoke key')
      const row = card.locator('tbody tr', { hasText: kid })
      await row.locator('.badge', { hasText: 'revoked' }).waitFor()
      expect(await row.locator('td[data-label="State"]').textContent()).toContain('was in a backup')
      await row.getByRole('button').waitFor({ state: 'detached' })
      expect(await card.locator('.badge', { hasText: 'current' }).count()).toBe(1)
      const answer = await fetch(`${guarded.stage.gateway.url}/api/x`, { headers: bearer(token) })
      expect(answer.status).toBe(401)
      expect((await login(guarded.stage.gateway.url)).access_token).not.toBe(token)
      expect(complaints.filter((text) => !text.includes('401'))).toEqual([])
      await page.close()
    },
    LIMIT,
  )
})

describe('everyone of a tenant', () => {
  it(
    'is logged out once the name of the tenant is typed, and not before',
    async () => {
      const { page, complaints } = await show(browser, stage.gateway.adminUrl, 'tenants')
      const { access_token: token } = await login(stage.gateway.url, 'acme')
      const status = async () => (await fetch(`${stage.gateway.url}/auth/me`, { headers: bearer(token) })).status
      expect(await status()).toBe(200)
      await page.getByRole('button', { name: 'Log out everyone of acme' }).click()
      await page.fill('#proof', 'default')
      await giveReason(page, 'database was copied', 'Log out everyone')
      const told = () => page.evaluate("document.querySelector('#proof').validationMessage")
      await expect.poll(told).toBe('That is not acme.')
      expect(await status()).toBe(200)
      await page.fill('#proof', 'acme')
      await page.locator('dialog').getByRole('button', { name: 'Log out everyone' }).click()
      await page.getByText('acme: every token that was issued up to now is refused.').waitFor()
      expect(await status()).toBe(401)
      const [row] = await recorded('tenant_tokens_revoked', 'database was copied')
      expect(row).toMatchObject({ actor: 'admin', tenant_id: 'acme' })
      expect(complaints).toEqual([])
      await page.close()
    },
    LIMIT,
  )
})

describe('with an admin token', () => {
  const guarded = guard()

  it(
    'asks for it, keeps it in the page alone, and forgets it',
    async () => {
      const { page, complaints } = await show(browser, guarded.stage.gateway.adminUrl, 'routes')
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
      await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('token')
      expect(await page.textContent('main')).not.toContain('/orders/')
      await page.fill('#token', 'another-token-altogether')
      await page.keyboard.press('Enter')
      await page.getByText('That is not the token.').waitFor()
      await page.fill('#token', TOKEN)
      await page.keyboard.press('Enter')
      await page.locator('code:text-is("/orders/*")').waitFor()
      await live(page)
      const kept = await page.evaluate(
        'JSON.stringify([localStorage, sessionStorage, document.cookie, location.href, history.state])',
      )
      expect(String(kept)).not.toContain(TOKEN)
      expect(await page.content()).not.toContain(TOKEN)
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
      await page.fill('#token', TOKEN)
      await page.keyboard.press('Enter')
      await live(page)
      await page.reload()
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
      expect(complaints.filter((text) => !text.includes('401'))).toEqual([])
      await page.close()
    },
    LIMIT,
  )

  it(
    'rotates and revokes with it',
    async () => {
      const { page } = await show(browser, guarded.stage.gateway.adminUrl, 'sessions')
      await createSession(guarded.stage.gateway.url, 'dora', 'one')
      await page.fill('#token', TOKEN)
      await page.keyboard.press('Enter')
      await live(page)
      await find(page, 'dora')
      await page.getByRole('button', { name: 'Revoke all' }).click()
      await giveReason(page, 'test', 'Revoke all')
      await page.getByText('1 session of dora revoked.').waitFor()
      await page.close()
    },
    LIMIT,
  )
})
