/** A stolen copy of all that is stored: it holds nothing that gets anyone in, and nothing in it can be made into that. */
import { createHmac, randomUUID } from 'node:crypto'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createRefreshTokens } from '../../src/tenants/refresh-token.ts'
import { basic } from '../support/clients.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway, type Tokens } from '../support/gateway.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const MASTER_KEY = '5f'.repeat(32)
const SECRETS = { billing: `billing-${randomUUID()}`, reports: `reports-${randomUUID()}` }
const YAML = `
masterKey: { env: MASTER_KEY }
tenants:
  default: { signing: ES256 }
  acme: { signing: RS256 }
  globex: { signing: EdDSA }
clients:
  billing: { tenant: acme, secret: { env: BILLING }, scopes: [sessions:write, tokens:introspect] }
  reports: { tenant: globex, secret: { env: REPORTS }, scopes: [sessions:write] }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`

/** All that was given to somebody and gets in, or did. */
interface Given {
  readonly live: Tokens
  readonly session: Tokens
  readonly email: string
  readonly secrets: ReadonlyMap<string, string>
}

interface Stolen {
  /** Every byte, as latin1. */
  readonly bytes: string
  /** Every value on its own: keys, members, cells, and the words in them. */
  readonly strings: ReadonlySet<string>
}

describe.each(['redis', 'embedded'] as const)('a copy of %s storage', (storage) => {
  let redis: RedisServer | undefined
  let gateway: TestGateway
  let given: Given
  let stolen: Stolen
  beforeAll(async () => {
    redis = storage === 'redis' ? await startRedis() : undefined
    const sessions = redis === undefined ? 'embedded' : JSON.stringify(redis.url)
    gateway = await startGateway(`storage: { sessions: ${sessions}, directory: ./data }\n${YAML}`, {
      environment: { MASTER_KEY, BILLING: SECRETS.billing, REPORTS: SECRETS.reports },
    })
    given = await use(gateway)
    // What happened is written into the audit record within a tenth of a second.
    await vi.waitFor(() => expect(dumpFiles(join(gateway.directory, 'data')).bytes).toContain('sys_key_revoked'), 20_000)
    stolen = merged([dumpFiles(join(gateway.directory, 'data')), ...(redis === undefined ? [] : [await dumpRedis(redis.admin)])])
  }, 30_000)
  afterAll(async () => {
    await gateway.close()
    await redis?.stop()
  })

  it('is the copy of all that happened', () => {
    for (const fact of [given.live.session_id, given.session.session_id, given.email, 'globex'])
      expect(stolen.bytes).toContain(fact)
    expect(stolen.strings.size).toBeGreaterThan(100)
  })

  it('holds no token, password, secret or master key, in clear or in a common encoding', () => {
    const found: string[] = []
    for (const [name, secret] of given.secrets) {
      const bytes = Buffer.from(secret, 'latin1')
      for (const encoding of ['latin1', 'base64', 'base64url', 'hex'] as const) {
        // An encoding in the middle of another text may differ at both ends.
        const text = bytes.toString(encoding).replace(/=+$/, '')
        if (stolen.bytes.includes(encoding === 'latin1' ? text : text.slice(0, -3))) found.push(`${name} in ${encoding}`)
      }
    }
    expect(found).toEqual([])
  })

  it.each([
    ['PEM', /-----BEGIN/],
    ['member of a private or symmetric JWK (RFC 7518 §6)', /\\?"(?:d|p|q|dp|dq|qi|oth|k)\\?"\s*:/],
    ['JWT', /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*/],
    ['refresh token', /gwr_[\w-]{8,}/],
    ['private key in DER (RFC 5958 §2), in base64', /MC4CAQAwBQYDK2Vw|MIGHAgEAMBMGByqGSM49|MIIEv[\w+/]{3}BADANBgkqhkiG9w/],
  ])('holds no %s', (_, pattern) => {
    expect(pattern.exec(stolen.bytes)?.[0]).toBeUndefined()
  })

  it('gets nobody in: each string of it is refused as refresh token, bearer, client secret, HS256 secret and master key', async () => {
    expect(await attempt(gateway, given, 'nothing of ours')).toEqual([])
    const accepted = await inTurn([...stolen.strings], 8, async (text) =>
      (await attempt(gateway, given, text)).map((how) => `${how}: ${text}`),
    )
    expect(accepted).toEqual([])
  }, 60_000)

  it('while what was given still gets in, by the same attempts', async () => {
    expect(await attempt(gateway, given, given.live.access_token)).toEqual(['bearer'])
    expect(await attempt(gateway, given, given.session.refresh_token)).toEqual(['refresh token'])
    expect(await attempt(gateway, given, MASTER_KEY)).toEqual(['master key'])
  })
})

/** Every ordinary thing that users, clients and operators do. */
async function use(gateway: TestGateway): Promise<Given> {
  const { url } = gateway
  const user = await login(url)
  const secrets = new Map(Object.entries({ password: user.password, ...SECRETS, 'master key': MASTER_KEY }))
  const keep = (name: string, tokens: Tokens): Tokens => {
    secrets.set(`access token of ${name}`, tokens.access_token)
    secrets.set(`signature of ${name}`, tokens.access_token.slice(tokens.access_token.lastIndexOf('.') + 1))
    secrets.set(`refresh token of ${name}`, tokens.refresh_token.slice('gwr_'.length))
    return tokens
  }
  const refreshed = async (name: string, tokens: Tokens): Promise<Tokens> =>
    keep(name, await answered<Tokens>(postJson(`${url}/sessions/refresh`, { refresh_token: tokens.refresh_token })))
  const created = async (name: string, client: keyof typeof SECRETS, tenant: string): Promise<Tokens> => {
    const body = { tenant_id: tenant, user_id: 'u1', scope: 'orders:read', metadata: { plan: 'pro' } }
    return keep(
      name,
      await answered<Tokens>(postJson(`${url}/sessions`, body, { authorization: basic(client, SECRETS[client]) })),
    )
  }
  const live = await refreshed('the user, again', await refreshed('the user', keep('the login', user)))
  const leaving = await login(url)
  keep('who leaves', leaving)
  await postJson(`${url}/auth/logout`, {}, bearer(leaving.access_token))
  const session = await refreshed('a session', await created('a new session', 'billing', 'acme'))
  const over = await created('a session that is over', 'billing', 'acme')
  for (const token of [over.access_token, over.refresh_token]) await answered(postJson(`${url}/sessions/revoke`, { token }))
  const form = new URLSearchParams({ grant_type: 'client_credentials' })
  const headers = { authorization: basic('billing', SECRETS.billing) }
  const { access_token: ofClient } = await answered<Tokens>(fetch(`${url}/oauth/token`, { method: 'POST', headers, body: form }))
  secrets.set('access token of a client', ofClient)
  // Replays a token that was used, and revokes a key: both leave traces.
  const stolen = await created('a session that is stolen', 'reports', 'globex')
  await refreshed('the thief, later', await refreshed('the thief', stolen))
  await postJson(`${url}/sessions/refresh`, { refresh_token: stolen.refresh_token })
  const marked = { method: 'POST', headers: { 'x-gatehouse-admin': '1' } }
  await answered(fetch(`${gateway.adminUrl}/tenants/globex/keys/rotate`, marked))
  const header = JSON.parse(Buffer.from(stolen.access_token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }
  await answered(fetch(`${gateway.adminUrl}/tenants/globex/keys/${header.kid}/revoke`, marked))
  return { live, session, email: user.email, secrets }
}

async function answered<T = unknown>(asked: Promise<Response>): Promise<T> {
  const response = await asked
  const text = await response.text()
  if (response.status >= 300) throw new Error(`${response.url}: ${response.status} ${text}`)
  return JSON.parse(text) as T
}

/** Ways in which a text gets in. */
async function attempt(gateway: TestGateway, given: Given, text: string): Promise<string[]> {
  const { url } = gateway
  const asRefresh = (token: string) => postJson(`${url}/sessions/refresh`, { refresh_token: token })
  const asBearer = (token: string) => fetch(`${url}/api/x`, { headers: bearer(token) })
  const isHeader = /^[\x21-\x7e]+$/.test(text) && text.length < 8_000
  const credentials = new URLSearchParams({ grant_type: 'client_credentials', client_id: 'billing', client_secret: text })
  const attempts: Record<string, () => Promise<Response[]>> = {
    'refresh token': async () => [await asRefresh(text), await asRefresh(`gwr_${text}`)],
    bearer: async () => (isHeader ? [await asBearer(text)] : []),
    'client secret': async () => [await fetch(`${url}/oauth/token`, { method: 'POST', body: credentials })],
    'HS256 secret': async () => {
      const keys = [Buffer.from(text, 'latin1'), Buffer.from(text, 'base64'), Buffer.from(text, 'hex')]
      return Promise.all(keys.filter((key) => key.length > 0).map((key) => asBearer(forged(given.live.access_token, key))))
    },
    'master key': async () => {
      const keys = [Buffer.from(text, 'hex'), Buffer.from(text, 'base64')].filter((key) => key.length >= 32)
      const { session_id: session } = given.session
      const tokens = keys.flatMap((key) => {
        const mint = createRefreshTokens([key.subarray(0, 32)], ['acme']).mint
        return [1, 2].map((generation) => mint('acme', session, generation, 0))
      })
      return Promise.all(tokens.map((token) => asRefresh(token)))
    },
  }
  const ways: string[] = []
  for (const [way, send] of Object.entries(attempts)) {
    const responses = await send()
    for (const response of responses) await response.arrayBuffer()
    if (responses.some(({ status }) => status < 400 || status >= 500)) ways.push(way)
  }
  return ways
}

/** The claims of a good token, signed by a secret and under the name of the real key. */
function forged(token: string, secret: Buffer): string {
  const [header = '', claims = ''] = token.split('.')
  const real = JSON.parse(Buffer.from(header, 'base64url').toString()) as object
  const signed = `${Buffer.from(JSON.stringify({ ...real, alg: 'HS256' })).toString('base64url')}.${claims}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

/** Every key of every type, and the append-only file. */
async function dumpRedis(redis: Redis): Promise<Stolen> {
  const readers: Record<string, (key: string) => Promise<unknown>> = {
    string: (key) => redis.get(key),
    // As a list: a field may have the name of a member of a key.
    hash: async (key) => Object.entries(await redis.hgetall(key)).flat(),
    set: (key) => redis.smembers(key),
    zset: (key) => redis.call('ZRANGE', key, 0, -1, 'WITHSCORES'),
    list: (key) => redis.lrange(key, 0, -1),
    stream: (key) => redis.xrange(key, '-', '+'),
  }
  const keys = await redis.keys('*')
  const values: unknown[] = []
  for (const key of keys) {
    const read = readers[await redis.type(key)]
    if (read === undefined) throw new Error(`${key} has a type that is not read`)
    values.push(key, await read(key))
  }
  const [, directory = ''] = await redis.config('GET', 'dir')
  const files = filesIn(directory).map((file) => readFileSync(file, 'latin1'))
  return { bytes: [JSON.stringify(values), ...files].join('\n'), strings: new Set(words(values)) }
}

/** Every byte of the databases with their logs, and every cell of every table. The master key is kept apart. */
function dumpFiles(directory: string): Stolen {
  const files = filesIn(directory).filter((file) => basename(file) !== 'master.key')
  const copy = mkdtempSync(join(tmpdir(), 'gatehouse-stolen-'))
  for (const file of files) copyFileSync(file, join(copy, basename(file)))
  const cells: unknown[] = []
  for (const name of readdirSync(copy).filter((file) => file.endsWith('.db'))) {
    const db = new DatabaseSync(join(copy, name))
    for (const { name: table } of db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all())
      for (const row of db.prepare(`SELECT * FROM "${String(table)}"`).all()) cells.push(Object.values(row))
    db.close()
  }
  rmSync(copy, { recursive: true })
  return { bytes: files.map((file) => readFileSync(file, 'latin1')).join('\n'), strings: new Set(words(cells)) }
}

function filesIn(directory: string): readonly string[] {
  const paths = readdirSync(directory, { recursive: true }).map((name) => join(directory, String(name)))
  return paths.filter((path) => statSync(path).isFile())
}

/** The texts in a value, the texts in their JSON, and the long words in those. */
function words(value: unknown): readonly string[] {
  if (typeof value === 'string') {
    const parts = value.split(/[^\w+/=-]+/).filter((part) => part.length >= 16 && part !== value)
    return value === '' ? [] : [value, ...parts]
  }
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([key, one]) => [...words(key), ...words(one)])
  return []
}

function merged(dumps: readonly Stolen[]): Stolen {
  return { bytes: dumps.map((dump) => dump.bytes).join('\n'), strings: new Set(dumps.flatMap((dump) => [...dump.strings])) }
}

/** The results of all, with at most `width` under way. */
async function inTurn<T>(items: readonly string[], width: number, work: (item: string) => Promise<T[]>): Promise<T[]> {
  const results: T[] = []
  const waiting = [...items]
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let item = waiting.pop(); item !== undefined; item = waiting.pop()) results.push(...(await work(item)))
    }),
  )
  return results
}
