/** A service beside the gateway that learns of revocations from the gateway itself, over HTTP. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createClient, type Client, type TokenPair } from '../../src/client/client.ts'
import { createValidator, type FedRevocations, type Validator, type ValidatorEvent } from '../../src/validator/validator.ts'
import { basic } from '../support/clients.ts'
import { SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const ORIGIN = 'http://gateway.test'
/** Whatever gateway is there at the moment. */
const REACHED = 'http://localhost:1'
const SECRET = 'a secret of thirty-two characters'
const YAML = `
tenants:
  default: {}
  acme: { signing: ES256 }
clients:
  maker: { tenant: default, secret: { env: SECRET }, scopes: [sessions:write] }
  maker-acme: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write] }
  orders: { tenant: default, secret: { env: SECRET }, scopes: [revocations:read] }
  orders-acme: { tenant: acme, secret: { env: SECRET }, scopes: [revocations:read] }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
  - { name: revocations, match: { path: /revocations }, service: revocations }
`
const environment = { SECRET, KEY: Buffer.alloc(32, 7).toString('base64') }
const FEED = { clientId: 'orders', clientSecret: SECRET }

let gate: Validator | undefined
let asked: URL[] = []
const events: ValidatorEvent[] = []
afterEach(async () => {
  await gate?.close()
  gate = undefined
  asked = []
  events.length = 0
})

interface Opening extends Partial<Omit<FedRevocations, 'feed'>> {
  readonly feed?: FedRevocations['feed']
  readonly tenants?: readonly string[]
}

/** @param reach - where the next question goes */
function open(reach: () => string, { tenants, ...more }: Opening = {}): Validator {
  gate = createValidator({
    origin: ORIGIN,
    reachAt: REACHED,
    tokens: { revocations: { feed: FEED, ...more } },
    ...(tenants === undefined ? {} : { tenants }),
    onEvent: (event) => void events.push(event),
    fetch(input, init) {
      const url = new URL(new Request(input).url)
      if (url.pathname === '/revocations') asked.push(url)
      return fetch(`${reach()}${url.pathname}${url.search}`, init)
    },
  })
  return gate
}

function pairFor(client: Client): Promise<TokenPair> {
  return client.createSession({ userId: crypto.randomUUID(), scope: '' })
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'none'
  } catch (error) {
    const { code, reason } = error as { readonly code?: string; readonly reason?: string }
    return `${code} ${reason ?? '-'}`
  }
}

function becomes(validator: Validator, { accessToken }: TokenPair, what: string): Promise<void> {
  return until(async () => (await refusal(validator.verifyToken(accessToken))) === what, `it did not become «${what}»`)
}

describe('beside one gateway on embedded storage', () => {
  let gateway: TestGateway
  let client: Client
  let acme: Client
  beforeAll(async () => {
    gateway = await startGateway(YAML, { environment })
    client = createClient({ origin: gateway.url, credentials: { id: 'maker', secret: SECRET } })
    acme = createClient({ origin: gateway.url, tenant: 'acme', credentials: { id: 'maker-acme', secret: SECRET } })
  })
  afterAll(async () => gateway.close())
  const reach = (): string => gateway.url

  it('refuses tokens, sessions and users as they are revoked, and asks the gateway about none of them', async () => {
    const validator = open(reach)
    await validator.ready()
    const [one, two, three] = await Promise.all([pairFor(client), pairFor(client), pairFor(client)])
    const { userId } = await validator.verifyToken(three.accessToken)
    const before = validator.state().revocations?.entries ?? 0
    await client.revoke(one.accessToken)
    await client.revoke(two.refreshToken)
    expect(await client.revokeAll({ userId })).toBe(1)
    for (const pair of [one, two, three]) await becomes(validator, pair, 'token_revoked -')
    expect(validator.state().revocations).toEqual({ entries: before + 3, stalenessMs: expect.any(Number) })
    const renewed = await client.refresh(one.refreshToken)
    expect(await validator.verifyToken(renewed.accessToken)).toMatchObject({ sessionId: one.sessionId })
    expect(asked.filter(({ search }) => search === '')).toHaveLength(1)
    expect(events.filter(({ kind }) => kind === 'revocations')).toEqual([])
  })

  it('knows at its start what was revoked before', async () => {
    const pair = await pairFor(client)
    await client.revoke(pair.refreshToken)
    expect(await refusal(open(reach).verifyToken(pair.accessToken))).toBe('token_revoked -')
  })

  it('learns of its own tenant alone, and takes no token of a tenant that nobody tells of', async () => {
    const validator = open(reach, { tenants: ['default', 'acme'] })
    await validator.ready()
    const [ours, theirs] = await Promise.all([pairFor(client), pairFor(acme)])
    const { entries } = validator.state().revocations ?? { entries: -1 }
    await acme.revoke(theirs.refreshToken)
    await client.revoke(ours.refreshToken)
    await becomes(validator, ours, 'token_revoked -')
    expect(validator.state().revocations?.entries).toBe(entries + 1)
    expect(await refusal(validator.verifyToken(theirs.accessToken))).toBe('revocation_unavailable tenant_not_covered')
  })

  it('follows several tenants with a client of each, and lets one that fails hurt its own tenant only', async () => {
    const both = [FEED, { clientId: 'orders-acme', clientSecret: SECRET }]
    const validator = open(reach, { tenants: ['default', 'acme'], feed: both })
    const [ours, theirs] = await Promise.all([pairFor(client), pairFor(acme)])
    expect(await validator.verifyToken(theirs.accessToken)).toMatchObject({ tenantId: 'acme' })
    await acme.revoke(theirs.refreshToken)
    await becomes(validator, theirs, 'token_revoked -')
    expect(await refusal(validator.verifyToken(ours.accessToken))).toBe('none')
    await gate?.close()
    const half = open(reach, { tenants: ['default', 'acme'], feed: [FEED, { clientId: 'orders-acme', clientSecret: 'wrong' }] })
    expect(await refusal(half.verifyToken((await pairFor(acme)).accessToken))).toBe('revocation_unavailable stale')
    expect(await refusal(half.verifyToken(ours.accessToken))).toBe('none')
  })

  it.each([
    ['deny', 'revocation_unavailable stale'],
    ['allow', 'none'],
  ] as const)(
    'with whenStale: %s, answers «%s» while the gateway is gone, and goes on when it is there again',
    async (whenStale, what) => {
      const directory = mkdtempSync(join(tmpdir(), 'gatehouse-feed-'))
      let current = await startGateway(YAML, { environment, directory })
      try {
        const validator = open(() => current.url, { maxStalenessMs: 600, whenStale })
        await validator.ready()
        const maker = createClient({ origin: current.url, credentials: { id: 'maker', secret: SECRET } })
        const [good, bad] = await Promise.all([pairFor(maker), pairFor(maker)])
        await maker.revoke(bad.refreshToken)
        await becomes(validator, bad, 'token_revoked -')
        await current.close()
        await until(() => (validator.state().revocations?.stalenessMs ?? 0) > 600)
        expect(await refusal(validator.verifyToken(good.accessToken))).toBe(what)
        expect(await refusal(validator.verifyToken(bad.accessToken))).toBe('token_revoked -')
        // A gateway that stops takes no new connections and still answers over one that is kept, so it may be down twice.
        expect(events.findLast(({ kind }) => kind === 'revocations')).toEqual({
          kind: 'revocations',
          state: 'down',
          cause: expect.any(Error),
        })
        current = await startGateway(YAML, { environment, directory })
        await until(() => (validator.state().revocations?.stalenessMs ?? 1_000) < 600)
        expect(await refusal(validator.verifyToken(good.accessToken))).toBe('none')
        await createClient({ origin: current.url }).revoke(good.refreshToken)
        await becomes(validator, good, 'token_revoked -')
        expect(events.findLast(({ kind }) => kind === 'revocations')).toEqual({ kind: 'revocations', state: 'up' })
        expect(asked.filter(({ search }) => search === '')).toHaveLength(1)
      } finally {
        await current.close()
        rmSync(directory, { recursive: true })
      }
    },
  )

  it('is told of thousands, whole at the start and by the batch later', async () => {
    const now = Math.floor(Date.now() / 1000)
    const userId = crypto.randomUUID()
    const pairs = await Promise.all(Array.from({ length: 60 }, () => client.createSession({ userId, scope: '' })))
    const validator = open(reach)
    await validator.ready()
    const before = validator.state().revocations?.entries ?? 0
    await Promise.all(pairs.map((pair) => client.revoke(pair.refreshToken)))
    await until(() => validator.state().revocations?.entries === before + 60)
    expect(asked.length).toBeLessThan(60)
    const response = await fetch(`${gateway.url}/revocations`, { headers: { authorization: basic('orders', SECRET) } })
    const lines = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(lines[0]).toEqual({
      kind: 'whole',
      tenant: 'default',
      position: expect.stringMatching(/^[\w-]+$/),
      complete: true,
      lag_ms: expect.any(Number),
    })
    expect(lines.slice(1, -1)).toContainEqual(['session', pairs[0]?.sessionId, expect.any(Number)])
    expect(lines.slice(1, -1).every((line) => Array.isArray(line) && Number(line.at(-1)) >= now)).toBe(true)
    expect(lines.at(-1)).toEqual({ end: before + 60 })
  })
})

describe('beside two gateways on one Redis, one of which answers each time', () => {
  it('goes on at either where the other left off, and is stale when neither can read on', async () => {
    const redis = await startRedis()
    const yaml = `storage: { sessions: ${redis.url}, directory: ./data }\nmasterKey: { env: KEY }\n${YAML}`
    const gateways = await Promise.all([startGateway(yaml, { environment }), startGateway(yaml, { environment })])
    try {
      let turn = 0
      const validator = open(() => gateways[turn++ % 2]?.url ?? '', { maxStalenessMs: 1_500 })
      await validator.ready()
      const clients = gateways.map(({ url }) => createClient({ origin: url, credentials: { id: 'maker', secret: SECRET } }))
      const pairs: TokenPair[] = []
      for (let index = 0; index < 20; index += 1) {
        const client = clients[index % 2]
        if (client === undefined) continue
        const pair = await pairFor(client)
        pairs.push(pair)
        await client.revoke(pair.refreshToken)
        await becomes(validator, pair, 'token_revoked -')
      }
      expect(asked.filter(({ search }) => search === '')).toHaveLength(1)
      const good = await pairFor(clients[0] ?? createClient({ origin: ORIGIN }))
      redis.pause()
      try {
        await becomes(validator, good, 'revocation_unavailable stale')
      } finally {
        redis.resume()
      }
      await becomes(validator, good, 'none')
      // A feed that was emptied cannot be read on: the whole is loaded again, and nothing that is known is forgotten.
      await redis.admin.flushall()
      await until(() => asked.filter(({ search }) => search === '').length > 1)
      for (const { accessToken } of pairs) expect(await refusal(validator.verifyToken(accessToken))).toBe('token_revoked -')
    } finally {
      await gate?.close()
      await Promise.all(gateways.map((one) => one.close()))
      await redis.stop()
    }
  }, 60_000)
})
