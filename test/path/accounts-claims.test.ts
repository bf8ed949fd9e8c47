/** Claims of usernames through a whole gateway: of any number at once one wins, and the others are told what is free. */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { openSql } from '../../src/storage/sql/sql.ts'
import { schedule } from '../../src/world.ts'
import type { DatabaseServer } from '../support/database.ts'
import { bearer, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startPostgres } from '../support/postgres.ts'

const CLAIMS = 1_000
const NOW = 1_800_000_000
const SECRET = 'a secret of twenty-four'

interface Claimed {
  readonly status: number
  readonly body: { readonly error?: string; readonly suggestions?: readonly string[]; readonly username?: string }
}

describe.each(['embedded', 'postgres'] as const)('accounts on %s storage', (kind) => {
  let server: DatabaseServer | undefined
  let gateway: TestGateway
  let tokens: readonly string[]

  beforeAll(async () => {
    server = kind === 'postgres' ? await startPostgres() : undefined
    const url = await server?.newDatabase()
    gateway = await startGateway(
      `
storage: { directory: ./data, accounts: "\${ACCOUNTS}" }
tenants: { default: { signing: ES256 } }
clients: { maker: { tenant: default, secret: { env: MAKER_SECRET }, scopes: [sessions:write] } }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }`,
      { environment: { MAKER_SECRET: SECRET, ACCOUNTS: url ?? 'embedded' } },
    )
    const users = Array.from({ length: CLAIMS }, (_, index) => `usr_${index}`)
    await createAccounts(users, url === undefined ? { kind: 'embedded' } : { kind: 'postgres', url })
    tokens = await Promise.all(users.map(tokenOf))
  }, 240_000)
  afterAll(async () => {
    await gateway.close()
    await server?.stop()
  })

  it('of a thousand who claim one name at once, one has it, and every other one is told that it is taken', async () => {
    const answers = await Promise.all(tokens.map((token, index) => claim(token, index % 2 === 0 ? 'the_one' : 'The_One')))
    const counts = Map.groupBy(answers, ({ status, body }) => `${status} ${body.error ?? ''}`)
    expect(new Map([...counts].map(([answer, group]) => [answer, group.length]))).toEqual(
      new Map([
        ['200 ', 1],
        ['409 username_taken', CLAIMS - 1],
      ]),
    )
    const suggestions = answers.flatMap(({ body }) => body.suggestions ?? [])
    expect(suggestions.length).toBeGreaterThan(0)
    expect(new Set(suggestions).has('the_one')).toBe(false)
    const owners: (string | null)[] = []
    for (const token of tokens) {
      const me = await fetch(`${gateway.url}/auth/me`, { headers: bearer(token) })
      expect(me.status).toBe(200)
      owners.push(((await me.json()) as { username: string | null }).username)
    }
    expect(owners.filter((name) => name !== null).length).toBe(1)
  }, 240_000)

  it('what is suggested can be had', async () => {
    const lost = await claim(tokens[1] ?? '', 'The_One')
    const { status, body } = lost.status === 200 ? await claim(tokens[2] ?? '', 'The_One') : lost
    const { suggestions = [] } = body
    expect([status, suggestions.length >= 3]).toEqual([409, true])
    for (const [index, name] of suggestions.entries()) {
      expect(await claim(tokens[100 + index] ?? '', name)).toMatchObject({ status: 200, body: { username: name } })
    }
  }, 60_000)

  /** Straight into the database: a thousand passwords would take the test a minute to hash. */
  async function createAccounts(users: readonly string[], accounts: Config['storage']['accounts']): Promise<void> {
    const needs = { nowSeconds: () => NOW, nowMs: () => performance.now(), random: Math.random, schedule }
    const sql = await openSql(needs, { accounts, directory: join(gateway.directory, 'data'), migrate: true }, 60_000)
    for (const id of users) {
      const [email, passwordHash] = [`${id}@example.com`, '-']
      const rest = { status: 'active', createdAt: NOW } as const
      await sql.accounts.create({ id, tenant: 'default', email, emailFolded: email, passwordHash, ...rest })
    }
    await sql.close()
  }

  async function tokenOf(user: string): Promise<string> {
    const authorization = `Basic ${Buffer.from(`maker:${SECRET}`).toString('base64')}`
    const body = { tenant_id: 'default', user_id: user, scope: '' }
    const answer = await postJson(`${gateway.url}/sessions`, body, { authorization })
    if (answer.status !== 201) throw new Error(await answer.text())
    const { access_token: token } = (await answer.json()) as { access_token: string }
    return token
  }

  async function claim(token: string, username: string): Promise<Claimed> {
    const answer = await fetch(`${gateway.url}/auth/profile`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', ...bearer(token) },
      body: JSON.stringify({ username }),
    })
    // A thousand transactions of one row may take a busy machine longer than anybody is kept waiting: nothing was changed.
    if (answer.status === 503) return setTimeout(100).then(() => claim(token, username))
    return { status: answer.status, body: (await answer.json()) as Claimed['body'] }
  }
})
