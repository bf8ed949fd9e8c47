/** Signing keys that change under load: no valid token is refused, and no token of a revoked key gets in. */
import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { createAuthenticator, type Authenticator } from '../../src/authenticator/authenticator.ts'
import type { TenantConfig } from '../../src/config/config.ts'
import { Problem } from '../../src/problem/problem.ts'
import type { KeyStore, Tenants } from '../../src/tenants/tenants.ts'
import { configured, createWorld, memoryStore, MINUTE, tenant, type World } from '../unit/tenants/world.ts'
import { postJson } from '../support/gateway.ts'
import {
  admin,
  callApi,
  createSession,
  kidOf,
  refusedEverywhere,
  report,
  startFleet,
  type Fleet,
  type Pair,
  type Tenant,
} from './fleet.ts'

const LIFETIME = 15 * MINUTE
const ACT = { actor: 'admin', reason: 'test' }

/** The keys and the verifiers of one gateway, wired as it wires them. */
interface Process {
  readonly tenants: Tenants
  readonly authenticator: Authenticator
  /** A token that is good for 15 minutes. */
  mint(): Promise<string>
  /** `ok`, or the reason of the refusal. */
  verify(token: string): Promise<string>
}

async function openProcess(world: World, store: KeyStore, config: ReadonlyMap<string, TenantConfig>): Promise<Process> {
  const tenants = await world.open(store, config)
  const authenticator = createAuthenticator(
    {
      fetch: globalThis.fetch,
      nowMs: () => world.clock.now * 1000,
      random: () => 0,
      schedule: () => () => undefined,
      readFile: async () => '{"keys":[]}',
      ownKeys: tenants.publicKeys,
      reloadOwnKeys: tenants.reload,
      events: { decided() {}, cache() {}, validated() {}, validationSeconds() {}, jwksFetched() {}, keyDropped() {} },
    },
    {
      tenants: config,
      issuers: new Map(),
      listeners: { public: { origin: 'http://localhost:8080' } },
      tokenCache: { entries: 1_000, lifetimeMs: 3_600_000 },
    },
  )
  tenants.onKeysChanged(authenticator.keysChanged)
  await authenticator.start()
  return { tenants, authenticator, mint, verify }

  function mint(): Promise<string> {
    const now = world.clock.now
    const times = { iat: now, nbf: now, exp: now + LIFETIME, auth_time: now }
    const who = { iss: 'http://localhost:8080/t/acme', sub: 'usr_1', aud: 'api', tenant_id: 'acme', client_id: 'gatehouse' }
    const ids = { jti: randomUUID(), sid: 'a'.repeat(32), uv: 0, scope: '', token_type: 'access' }
    return tenants.sign('acme', { ...who, ...times, ...ids }, 'at+jwt')
  }

  async function verify(token: string): Promise<string> {
    try {
      await authenticator.verify(token)
      return 'ok'
    } catch (error) {
      return error instanceof Problem ? (error.facts.detail ?? error.kind) : String(error)
    }
  }
}

test('through every step of five rotations, each gateway accepts all that any other signed, until it expires', async () => {
  const world = createWorld()
  const keys = { rotateEverySeconds: 60 * MINUTE, publishBeforeSeconds: 10 * MINUTE }
  const config = configured(tenant('acme', 'ES256', { keys, accessToken: { lifetimeSeconds: LIFETIME, jitter: 0 } }))
  const store = memoryStore()
  const processes = await Promise.all([0, 1, 2].map(() => openProcess(world, store, config)))
  let tokens: { readonly text: string; readonly until: number }[] = []
  const kids = new Set<string>()
  const refused: string[] = []
  let verified = 0
  for (let step = 0; step < 5 * 120; step += 1) {
    world.clock.now += 30
    // Each in its own rhythm: the first reads at every step, the last at every seventh.
    for (const [index, one] of processes.entries()) if (step % (1 + 3 * index) === 0) await one.tenants.reload()
    for (const one of processes) {
      const text = await one.mint()
      kids.add(kidOf(text))
      tokens.push({ text, until: world.clock.now + LIFETIME })
    }
    tokens = tokens.filter((token) => token.until > world.clock.now)
    for (const one of processes) {
      for (const { text } of tokens) {
        verified += 1
        const answer = await one.verify(text)
        if (answer !== 'ok') refused.push(`${step}: ${answer}`)
      }
    }
  }
  expect(refused).toEqual([])
  expect(kids.size).toBe(6)
  report(`keys: ${kids.size} keys signed one after the other, ${verified} verifications at 3 gateways, 0 refused`)
}, 60_000)

describe('a token whose key is news', () => {
  /** A store that counts how often the keys of the tenant are read. */
  function counted(): KeyStore & { loads: number } {
    const store = memoryStore()
    const counting = {
      loads: 0,
      load(owner: string) {
        if (owner === 'tenant:acme') counting.loads += 1
        return store.load(owner)
      },
      save: store.save,
    }
    return counting
  }

  test('is accepted at once by a gateway that has not heard of the key, which reads the keys again for it', async () => {
    const [world, store, config] = [createWorld(), counted(), configured(tenant('acme'))]
    const [one, other] = [await openProcess(world, store, config), await openProcess(world, store, config)]
    const old = await one.mint()
    expect(await other.verify(old)).toBe('ok')
    await one.tenants.keys.revoke('acme', kidOf(old), ACT)
    const fresh = await one.mint()
    expect(kidOf(fresh)).not.toBe(kidOf(old))
    const before = store.loads
    // Twenty at the same moment wait for one reading.
    const news = await Promise.all(Array.from({ length: 20 }, () => one.mint()))
    expect(await Promise.all(news.map(other.verify))).toEqual(news.map(() => 'ok'))
    expect(store.loads - before).toBe(1)
    expect(await other.verify(fresh)).toBe('ok')
    expect(await other.verify(old)).toBe('unknown_key')
  })

  test('costs the store one reading a second, however many name keys that nobody has', async () => {
    const [world, store, config] = [createWorld(), counted(), configured(tenant('acme'))]
    const [one, stranger] = [
      await openProcess(world, store, config),
      // Of another store: the same tenant with keys of its own.
      await openProcess(world, memoryStore(), config),
    ]
    const before = store.loads
    for (let second = 0; second < 3; second += 1) {
      const forged = await Promise.all(Array.from({ length: 100 }, () => stranger.mint()))
      for (const token of forged) expect(await one.verify(token)).toBe('unknown_key')
      expect(await Promise.all(forged.map(one.verify))).toEqual(forged.map(() => 'unknown_key'))
      expect(store.loads - before).toBe(second + 1)
      world.clock.now += 1
    }
    expect(await one.verify(await one.mint())).toBe('ok')
  })

  test('is refused while the keys cannot be read, and what is known goes on', async () => {
    const [world, store, config] = [createWorld(), memoryStore(), configured(tenant('acme'))]
    const one = await openProcess(world, store, config)
    const stranger = await openProcess(world, memoryStore(), config)
    const [known, news] = [await one.mint(), await stranger.mint()]
    store.down = true
    expect(await one.verify(news)).toBe('unknown_key')
    expect(await one.verify(known)).toBe('ok')
  })
})

describe.each(['redis', 'embedded'] as const)('gateways on %s storage', (storage) => {
  let fleet: Fleet
  beforeAll(async () => {
    fleet = await startFleet(storage, 3)
  }, 30_000)
  afterAll(() => fleet.close())

  const session = (at: number, of: Tenant): Promise<Pair> => createSession(fleet.at(at), of, `user-${randomUUID()}`)
  const revokeKey = (at: number, token: string) => admin(fleet.at(at), `/tenants/rotating/keys/${kidOf(token)}/revoke`)

  /** Calls with the token at every gateway in turn until it is stopped; answers how often, and what went wrong. */
  function underLoad(token: string): { stop(): Promise<{ readonly calls: number; readonly failures: readonly string[] }> } {
    const load = { isStopped: false }
    let calls = 0
    const failures: string[] = []
    const work = Promise.all(
      Array.from({ length: 3 }, async (_, worker) => {
        for (let turn = worker; !load.isStopped; turn += 1) {
          const answer = await callApi(fleet.at(turn), token)
          calls += 1
          if (answer !== '200') failures.push(answer)
        }
      }),
    )
    return {
      async stop() {
        load.isStopped = true
        await work
        return { calls, failures }
      },
    }
  }

  /** Revokes the key of the tenant at one gateway; a token of the next key, used at once, must be good at every other. */
  async function emergency(): Promise<{ readonly lagsMs: readonly number[]; readonly fresh: string }> {
    const old = await session(0, 'rotating')
    const load = underLoad((await session(1, 'acme')).access_token)
    try {
      const { current } = await revokeKey(0, old.access_token)
      const { access_token: fresh } = await session(0, 'rotating')
      const [lagsMs, answers] = await Promise.all([
        refusedEverywhere(fleet.gateways, old.access_token),
        Promise.all(fleet.gateways.map((gateway) => callApi(gateway, fresh))),
      ])
      const { calls, failures } = await load.stop()
      expect({ kid: kidOf(fresh), answers, failures }).toEqual({
        kid: current,
        answers: fleet.gateways.map(() => '200'),
        failures: [],
      })
      expect(calls).toBeGreaterThan(0)
      return { lagsMs, fresh }
    } finally {
      await load.stop()
    }
  }

  it('go over to the key that was published as next, and refuse all of the one that was revoked', async () => {
    const published = await admin(fleet.at(1), '/tenants/rotating/keys/rotate')
    expect(published).toMatchObject({ outcome: 'published' })
    const { lagsMs, fresh } = await emergency()
    expect(kidOf(fresh)).toBe(published['kid'])
    report(`${storage}: a key with a next one revoked, refused after ${lagsMs.map((ms) => ms.toFixed(0)).join(', ')} ms`)
  })

  it('accept tokens of a key that was made in the emergency itself, wherever they come first', async () => {
    for (let round = 0; round < 3; round += 1) {
      // Tokens of unknown keys have the keys read once a second: the last emergency has used this one up.
      await setTimeout(1_050)
      const { lagsMs } = await emergency()
      report(`${storage}: a key without a next one revoked, refused after ${lagsMs.map((ms) => ms.toFixed(0)).join(', ')} ms`)
    }
  })

  it('refuse no session of the tenant for good: a refresh at any of them brings a token of the new key', async () => {
    let pair = await session(0, 'rotating')
    const { current } = await revokeKey(1, pair.access_token)
    const renew = async (): Promise<string> => {
      const response = await postJson(`${fleet.at(2).url}/sessions/refresh`, { refresh_token: pair.refresh_token })
      expect(response.status).toBe(200)
      pair = (await response.json()) as Pair
      return kidOf(pair.access_token)
    }
    // One that has not heard of it yet signs with the old key: such a token is dead, and its holder refreshes again.
    await expect.poll(renew, { timeout: 10_000, interval: 20 }).toBe(current)
    const everywhere = () => Promise.all(fleet.gateways.map((gateway) => callApi(gateway, pair.access_token)))
    await expect.poll(everywhere, { timeout: 10_000, interval: 20 }).toEqual(fleet.gateways.map(() => '200'))
  })
})
