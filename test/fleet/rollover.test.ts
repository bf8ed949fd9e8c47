/** Signing keys that change by schedule under load: hours pass in seconds, everything else is real. */
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { WORLD, type World } from '../../src/world.ts'
import { basic } from '../support/clients.ts'
import { postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { callApi, kidOf, report } from './fleet.ts'

const SPEED = 400
/** Timers run faster too, so that the keys are read as often as they need be; those of the storage stay as they are. */
const TIMERS = 10
const SECRET = 'the secret of a backend'
const YAML = `
masterKey: { env: MASTER_KEY }
tenants:
  acme: { signing: ES256, accessToken: { lifetime: 10m }, keys: { rotateEvery: 1h, publishBefore: 10m } }
clients: { billing: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write] } }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** One clock for all gateways, as NTP gives them. */
function fastWorld(): World {
  const startedMs = WORLD.nowMs()
  const nowMs = (): number => startedMs + (WORLD.nowMs() - startedMs) * SPEED
  return {
    nowMs,
    nowSeconds: () => Math.floor(nowMs() / 1000),
    random: WORLD.random,
    schedule: (delayMs, run) => WORLD.schedule(delayMs / TIMERS, run),
  }
}

async function startThree(storage: 'redis' | 'embedded', world: World): Promise<readonly TestGateway[]> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-fleet-'))
  closers.push(() => rmSync(directory, { recursive: true, force: true }))
  const redis = storage === 'redis' ? await startRedis() : undefined
  closers.push(() => redis?.stop())
  const yaml = `storage: { sessions: ${JSON.stringify(redis?.url ?? 'embedded')}, directory: ./data }${YAML}`
  const environment = { SECRET, MASTER_KEY: 'ab'.repeat(32) }
  const gateways = await Promise.all([1, 2, 3].map(() => startGateway(yaml, { environment, directory, world })))
  closers.push(() => Promise.all(gateways.map((gateway) => gateway.close())))
  return gateways
}

interface Issued {
  readonly token: string
  readonly kid: string
  /** Milliseconds of the fast clock. */
  readonly expiresMs: number
}

/** Tokens are made all the time, each is used at each gateway until it expires, and the published keys are read. */
function createLoad(gateways: readonly TestGateway[], world: World) {
  const kids: string[] = []
  const seen = { calls: 0, issued: 0, jwks: 0, notIssued: 0, isStopped: false, published: new Set<string>() }
  const failures: string[] = []
  let live: readonly Issued[] = []
  const at = (turn: number): TestGateway => gateways[turn % gateways.length] ?? expect.fail('no gateway')
  const valid = (): readonly Issued[] => (live = live.filter((one) => one.expiresMs > world.nowMs()))
  return { kids, seen, failures, run }

  async function run(isDone: () => boolean): Promise<void> {
    const work = [issue(), publish(), ...[0, 1, 2, 3].map(use)]
    const deadline = performance.now() + 75_000
    while (!isDone() && performance.now() < deadline) await pause(50)
    seen.isStopped = true
    await Promise.all(work)
  }

  async function issue(): Promise<void> {
    for (let turn = 0; !seen.isStopped; turn += 1) {
      const body = { tenant_id: 'acme', user_id: `user-${randomUUID()}`, scope: '' }
      const response = await postJson(`${at(turn).url}/sessions`, body, { authorization: basic('billing', SECRET) })
      const answer = (await response.json()) as { readonly access_token: string }
      if (response.status === 201) {
        const { access_token: token } = answer
        const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { readonly exp: number }
        live = [...live, { token, kid: kidOf(token), expiresMs: exp * 1000 }]
        seen.issued += 1
        if (!kids.includes(kidOf(token))) {
          kids.push(kidOf(token))
          // The first token of a key goes everywhere at once.
          await Promise.all(gateways.map((_, gateway) => call(gateway, { token, kid: kidOf(token), expiresMs: exp * 1000 })))
        }
      } else {
        // One that has not read the keys for minutes of its clock makes no tokens: on a machine that stood still for a second.
        seen.notIssued += 1
      }
      await pause(20)
    }
  }

  async function use(worker: number): Promise<void> {
    for (let turn = worker; !seen.isStopped; turn += 1) {
      const one = valid().at(turn % Math.max(1, live.length))
      if (one === undefined) {
        await pause(5)
        continue
      }
      await call(Math.floor(Math.random() * gateways.length), one)
    }
  }

  async function call(gateway: number, one: Issued): Promise<void> {
    const answer = await callApi(at(gateway), one.token)
    seen.calls += 1
    // Whatever is refused while it has not expired, also after the answer, was refused wrongly.
    if (answer !== '200' && world.nowMs() < one.expiresMs) failures.push(`gateway ${gateway}: ${answer}`)
  }

  async function publish(): Promise<void> {
    for (let turn = 0; !seen.isStopped; turn += 1) {
      const before = valid()
      const response = await fetch(`${at(turn).url}/t/acme/.well-known/jwks.json`)
      const { keys } = (await response.json()) as { readonly keys: readonly { readonly kid: string }[] }
      seen.published = new Set(keys.map((key) => key.kid))
      seen.jwks += 1
      const now = world.nowMs()
      const missing = before.filter((one) => one.expiresMs > now && !seen.published.has(one.kid))
      if (missing.length > 0) failures.push(`gateway ${turn % gateways.length}: the published keys lack one of a live token`)
      await pause(20)
    }
  }
}

describe.each(['redis', 'embedded'] as const)('three gateways on %s storage', (storage) => {
  it('refuse no valid token while keys are published, sign, and retire by schedule', async () => {
    const world = fastWorld()
    const gateways = await startThree(storage, world)
    const { kids, seen, failures, run } = createLoad(gateways, world)
    // Two roll-overs, and the first key is over.
    await run(() => kids.length >= 3 && !seen.published.has(kids[0] ?? ''))
    report(
      `${storage}: ${kids.length - 1} roll-overs by schedule, ${seen.issued} tokens (${seen.notIssued} not made), ` +
        `${seen.calls} calls and ${seen.jwks} readings of the keys: ${failures.length} wrong`,
    )
    expect(failures).toEqual([])
    expect(kids.length).toBeGreaterThanOrEqual(3)
    expect(seen.published.has(kids[0] ?? '')).toBe(false)
    expect(seen.calls).toBeGreaterThan(100)
  }, 120_000)
})
