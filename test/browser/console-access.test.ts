/** The console for everyone: by keyboard alone, light and dark, on a phone, without motion. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSession, launch, live, PATIENCE_MS, show, startStage, VIEWS, type Stage } from './console.ts'

const LIMIT = 2 * PATIENCE_MS
const PHONE = { viewport: { width: 360, height: 740 } } as const

let stage: Stage
let browser: Browser

beforeAll(async () => {
  stage = await startStage()
  browser = await launch()
  await createSession(
    stage.gateway.url,
    'ada',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140',
  )
  for (const path of ['/orders/1', '/catalogue/2', `/nowhere/${'long'.repeat(50)}`])
    await (await fetch(stage.gateway.url + path)).arrayBuffer()
}, 60_000)
afterAll(async () => {
  await browser?.close()
  await stage?.close()
})

/** With everything in it that the view can show. */
async function fill(page: Page, view: (typeof VIEWS)[number]): Promise<void> {
  await live(page)
  if (view === 'sessions') {
    await page.locator('#session-tenant option').first().waitFor({ state: 'attached' })
    await page.fill('#session-user', 'ada')
    await page.getByRole('button', { name: 'Find' }).click()
  }
  if (view === 'explain') {
    await page.fill('#explain-url', '/orders/1')
    await page.getByRole('button', { name: 'Explain' }).click()
  }
  const shown = {
    traffic: 'tbody tr',
    routes: 'tbody tr',
    upstreams: 'tbody tr',
    revocation: 'tbody tr',
    tenants: 'tbody tr',
    sessions: 'tbody tr',
    refusals: 'tbody tr',
    explain: '.steps li',
  }
  await page.locator(shown[view]).first().waitFor()
}

/** Texts that stand out less than 4.5 to 1 from their ground (WCAG 2.2, 1.4.3). */
const FAINT = `(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number)
  const luminance = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
  const groundOf = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor)
      if (a === 1) return [r, g, b]
      if (a !== 0) return undefined
    }
    return [255, 255, 255]
  }
  const faint = []
  let seen = 0
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement
    if (node.data.trim() === '' || !element.checkVisibility({ visibilityProperty: true })) continue
    if (element.closest('.unseen, .skip, noscript, option')) continue
    const style = getComputedStyle(element)
    const color = parse(element instanceof SVGElement ? style.fill : style.color)
    const ground = groundOf(element)
    if (ground === undefined) continue
    const [light, dark] = [luminance(color), luminance(ground)].sort((one, other) => other - one)
    const ratio = (light + 0.05) / (dark + 0.05)
    seen += 1
    if (ratio < 4.5) faint.push(node.data.trim().slice(0, 40) + ' ' + ratio.toFixed(2))
  }
  return { faint: [...new Set(faint)], seen }
})()`

describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
  it.each(VIEWS)(
    'every text of %s stands out from its ground',
    async (view) => {
      const { page } = await show(browser, stage.gateway.adminUrl, view, { colorScheme })
      await fill(page, view)
      const { faint, seen } = await page.evaluate<{ faint: string[]; seen: number }>(FAINT)
      expect(faint).toEqual([])
      expect(seen).toBeGreaterThan(20)
      await page.close()
    },
    LIMIT,
  )

  it(
    'has a ground of its own',
    async () => {
      const { page } = await show(browser, stage.gateway.adminUrl, 'traffic', { colorScheme })
      const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
      expect(ground).toBe(colorScheme === 'light' ? 'rgb(246, 247, 249)' : 'rgb(13, 17, 23)')
      await page.close()
    },
    LIMIT,
  )
})

it.each(VIEWS)(
  'fits %s on a phone, without scrolling sideways',
  async (view) => {
    const { page, complaints } = await show(browser, stage.gateway.adminUrl, view, PHONE)
    await fill(page, view)
    expect(await page.evaluate('[document.documentElement.scrollWidth, innerWidth]')).toEqual([360, 360])
    const outside = await page.evaluate<string[]>(
      `[...document.querySelectorAll('main *')].filter((one) => one.checkVisibility() && !one.closest('.unseen, pre, thead, caption') && one.getBoundingClientRect().right > 361).map((one) => one.outerHTML.slice(0, 80))`,
    )
    expect(outside).toEqual([])
    expect(complaints).toEqual([])
    await page.close()
  },
  LIMIT,
)

it(
  'keeps still for those who want it',
  async () => {
    const { page } = await show(browser, stage.gateway.adminUrl, 'sessions', { reducedMotion: 'reduce' })
    await page.locator('main button').first().waitFor()
    expect(await page.evaluate("getComputedStyle(document.querySelector('main button')).transitionDuration")).toBe('0s')
    await page.close()
  },
  LIMIT,
)

/** What has the focus: its id, else its text. */
const FOCUSED =
  "document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"

async function press(page: Page, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await page.keyboard.press(key)
}

/** The focus moves there, a moment after the key. */
function focus(page: Page) {
  return expect.poll(() => page.evaluate<string>(FOCUSED))
}

it(
  'is used by keyboard alone, and shows where one is',
  async () => {
    const user = `keyboard-${crypto.randomUUID()}`
    await createSession(stage.gateway.url, user, 'one')
    const { page } = await show(browser, stage.gateway.adminUrl, 'traffic')
    await live(page)
    await press(page, 'Tab')
    await focus(page).toBe('Skip to content')
    await expect.poll(() => page.evaluate('document.activeElement.getBoundingClientRect().width > 50')).toBe(true)
    await press(page, 'Enter')
    await focus(page).toBe('main')
    await page.evaluate('document.activeElement.blur()')
    await page.goto(`${stage.gateway.adminUrl}/#traffic`)
    await page.reload()
    await live(page)
    await press(page, 'Tab', 'Tab')
    await focus(page).toBe('Gatehouse')
    for (const view of VIEWS) {
      await press(page, 'Tab')
      await focus(page).toBe(`view-${view}`)
    }
    expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid')
    await press(page, 'Shift+Tab', 'Shift+Tab', 'Enter')
    await page.locator('#session-tenant option').first().waitFor({ state: 'attached' })
    await focus(page).toBe('main')
    await press(page, 'Tab', 'Tab')
    await focus(page).toBe('session-user')
    await page.keyboard.type(user)
    await press(page, 'Enter')
    await page.getByText('1 live session', { exact: true }).waitFor()
    await press(page, 'Tab', 'Tab')
    await focus(page).toBe('Revoke all')
    await press(page, 'Enter')
    await focus(page).toBe('reason')
    await press(page, 'Escape')
    await focus(page).toBe('Revoke all')
    await press(page, 'Tab')
    await focus(page).toMatch(/^Revoke session [0-9a-f]{32}$/)
    await press(page, 'Enter')
    await focus(page).toBe('reason')
    await page.keyboard.type('by keyboard')
    await press(page, 'Enter')
    await page.getByText('No live session.').waitFor()
    await page.close()
  },
  LIMIT,
)

it(
  'names every control, and tells of changes',
  async () => {
    for (const view of VIEWS) {
      const { page } = await show(browser, stage.gateway.adminUrl, view)
      await live(page)
      const nameless = await page.evaluate<string[]>(
        `[...document.querySelectorAll('input, select, textarea, button, a, svg[role]')].filter((one) => !one.labels?.length && !one.getAttribute('aria-label') && one.textContent.trim() === '').map((one) => one.outerHTML)`,
      )
      expect(nameless).toEqual([])
      expect(await page.locator('h1').count()).toBe(1)
      expect(await page.locator('#notices[aria-live="polite"]').count()).toBe(1)
      await page.close()
    }
  },
  LIMIT,
)
