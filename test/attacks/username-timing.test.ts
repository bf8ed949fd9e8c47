/**
 * Whether the time of an answer tells what a name is: reserved, asked for by somebody a moment ago, or looked up just now. What is
 * asserted holds on a machine of any speed: no layer answers sooner than the pace, and what a client measures overlaps.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

const PACE_MS = 2
const TIMES = 40

const CONFIG = `
tenants: { default: { throttle: { usernames: 99999/s } } }
routes:${SERVICE_ROUTES}
  - { name: usernames, match: { path: /usernames/* }, service: usernames }
`

const directory = mkdtempSync(join(tmpdir(), 'gatehouse-timing-'))
let gateway: TestGateway

beforeAll(async () => {
  const earlier = await startGateway(CONFIG, { directory })
  for (let index = 0; index < TIMES; index += 1) {
    const fields = { email: `person${index}@example.com`, password: 'correct horse battery staple', username: `person-${index}` }
    expect((await postJson(`${earlier.url}/auth/register`, fields)).status).toBe(201)
  }
  await earlier.close()
  // Another process remembers none of them.
  gateway = await startGateway(CONFIG, { directory })
}, 120_000)

afterAll(async () => {
  await gateway?.close()
  rmSync(directory, { recursive: true, force: true })
})

test('reserved names, names in memory and names that are looked up take equally long', { timeout: 60_000 }, async () => {
  const reserved: number[] = []
  const known: number[] = []
  const first: number[] = []
  for (let index = 0; index < TIMES; index += 1) {
    first.push(await timeOf(`person-${index}`, 'taken'))
    known.push(await timeOf(`person-${index}`, 'taken'))
    reserved.push(await timeOf('admin', 'reserved'))
  }
  for (const times of [reserved, known, first]) expect(Math.min(...times)).toBeGreaterThanOrEqual(PACE_MS)
  const shown = [reserved, known, first].map((times) => `${at(times, 0.25).toFixed(1)}–${at(times, 0.75).toFixed(1)}`)
  process.stdout.write(`[timing] middle half, ms: reserved ${shown[0]}, in memory ${shown[1]}, looked up ${shown[2]}\n`)
  for (const [one, other] of [
    [reserved, known],
    [known, first],
    [reserved, first],
  ] as const) {
    expect(at(one, 0.05)).toBeLessThan(at(other, 0.95))
    expect(at(other, 0.05)).toBeLessThan(at(one, 0.95))
  }
})

async function timeOf(name: string, reason: string): Promise<number> {
  const startedMs = performance.now()
  const response = await fetch(`${gateway.url}/usernames/${name}/availability`)
  const body = (await response.json()) as { reason?: string }
  const ms = performance.now() - startedMs
  expect(body.reason).toBe(reason)
  return ms
}

function at(times: readonly number[], share: number): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * share)] ?? 0
}
