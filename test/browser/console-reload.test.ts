/** What the console shows of a configuration file that changes, in a real Chromium. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startGatewayProcess, type GatewayProcess } from '../support/process.ts'
import { launch, live, PATIENCE_MS, show } from './console.ts'

const ROUTE = '{ name: echo, match: { path: /echo }, auth: public, service: echo }'

let gateway: GatewayProcess
let browser: Browser

beforeAll(async () => {
  gateway = await startGatewayProcess(`reload: { interval: 100ms }\nroutes:\n  - ${ROUTE}\n`)
  browser = await launch()
}, 60_000)
afterAll(async () => {
  await browser?.close()
  await gateway?.end()
}, 60_000)

it(
  'tells from every view that the file has a fault, and shows each fault when it is asked to read it again',
  async () => {
    const { page, complaints } = await show(browser, gateway.adminUrl, 'traffic')
    await live(page)
    expect(await page.locator('#mark-routes').isVisible()).toBe(false)
    const file = join(gateway.folder, 'gateway.yaml')
    const good = readFileSync(file, 'utf8')
    writeFileSync(
      file,
      `${good}  - { name: a, match: { path: /a }, service: echo }\n  - { name: b, match: { path: /b }, auth: public, upstream: c }\n`,
    )
    await page.locator('#mark-routes', { hasText: 'faulty file' }).waitFor()
    await page.click('#view-routes')
    await page.getByText('The configuration file has a fault since it was changed.').waitFor()
    await page.getByRole('button', { name: 'Read the file again' }).click()
    await page.getByRole('alert').filter({ hasText: 'routes.a.auth: is required' }).waitFor()
    expect(await page.locator('.fault .each').count()).toBeGreaterThan(1)
    // What was in force still is.
    expect(await page.locator('tbody code:text-is("/a")').count()).toBe(0)
    writeFileSync(file, `${good}  - { name: a, match: { path: /a }, auth: required, service: echo }\n`)
    await page.locator('tbody code:text-is("/a")').first().waitFor()
    await page.getByText('The configuration file has a fault').waitFor({ state: 'hidden' })
    await page.getByRole('button', { name: 'Read the file again' }).click()
    await page.getByText(/The file was read again\. Configuration [0-9a-f]{8} is in force\./).waitFor()
    expect(await page.locator('.fault').textContent()).toBe('')
    expect(complaints.filter((text) => !text.includes('422'))).toEqual([])
    await page.close()
  },
  2 * PATIENCE_MS,
)
