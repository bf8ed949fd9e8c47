import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, describe, expect, test } from 'vitest'
import type { Bench } from './account-contract.ts'
import { accountContract, openOn, username } from './account-contract.ts'
import { migrationContract } from './account-migrations.ts'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const bench: Bench = {
  stores: 1,
  analyze: 'ANALYZE accounts',
  explain: 'EXPLAIN QUERY PLAN',
  schema: (place) => bench.admin(place, "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name"),
  async newPlace() {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-accounts-'))
    folders.push(folder)
    return { accounts: { kind: 'embedded' }, directory: join(folder, 'deep', 'data') }
  },
  async admin({ directory }, statement) {
    const db = new DatabaseSync(join(directory, 'accounts.db'))
    try {
      return db.prepare(statement).all()
    } finally {
      db.close()
    }
  },
}

describe('accounts in SQLite', () => {
  accountContract(() => bench)
  migrationContract(() => bench)
})

/** The first three steps as they may stand in a file: with types that SQLite enforces, and a partial index. */
const STRICT = `
  CREATE TABLE migrations (id INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT;
  INSERT INTO migrations VALUES (1, '0001_accounts', 1), (2, '0002_add_username', 1), (3, '0003_account_status', 1);
  CREATE TABLE accounts (
    id TEXT NOT NULL PRIMARY KEY, tenant_id TEXT NOT NULL, email TEXT NOT NULL, email_folded TEXT NOT NULL, display_name TEXT,
    password_hash TEXT NOT NULL, created_at INTEGER NOT NULL, username TEXT CHECK (length(username) <= 30), username_folded TEXT,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled'))
  ) STRICT;
  CREATE UNIQUE INDEX accounts_by_email ON accounts (tenant_id, email_folded);
  CREATE UNIQUE INDEX accounts_by_username ON accounts (tenant_id, username_folded) WHERE username_folded IS NOT NULL;
  INSERT INTO accounts VALUES ('usr_1', 'acme', 'A@x.org', 'a@x.org', NULL, 'hash', 1, 'Ann', 'ann', 'active');
`

describe('a file of accounts', () => {
  test('whose tables are strict goes on with all that is in it', async () => {
    const place = await bench.newPlace()
    mkdirSync(place.directory, { recursive: true })
    const db = new DatabaseSync(join(place.directory, 'accounts.db'))
    db.exec(STRICT)
    db.close()
    const sql = await openOn(place)
    expect(await sql.accounts.findByUsername('acme', 'ann')).toMatchObject({ id: 'usr_1', username: username('Ann') })
    expect(await sql.accounts.updateProfile('acme', 'usr_1', { username: username('Bob') }, 100)).toMatchObject({
      outcome: 'changed',
    })
    expect(await sql.usernames.statesOf('acme', ['ann', 'bob'], 100)).toEqual(
      new Map([
        ['ann', 'quarantined'],
        ['bob', 'taken'],
      ]),
    )
    await sql.close()
  })

  test('is for its owner alone, with its directory', async () => {
    const place = await bench.newPlace()
    const sql = await openOn(place)
    expect(statSync(place.directory).mode & 0o777).toBe(0o700)
    expect(statSync(join(place.directory, 'accounts.db')).mode & 0o777).toBe(0o600)
    await sql.close()
  })

  test('that another process writes to is storage_unavailable until it is done', async () => {
    const place = await bench.newPlace()
    const sql = await openOn(place)
    const holder = new DatabaseSync(join(place.directory, 'accounts.db'))
    holder.exec('BEGIN IMMEDIATE')
    const refused = { kind: 'storage_unavailable', facts: { headers: { 'retry-after': '1' } } }
    await expect(sql.accounts.setStatus('acme', 'usr_1', 'disabled')).rejects.toMatchObject(refused)
    await sql.ping()
    holder.exec('ROLLBACK')
    holder.close()
    expect(await sql.accounts.setStatus('acme', 'usr_1', 'disabled')).toBe(false)
    await sql.close()
  })
})

describe('a file of accounts that nobody asks for', () => {
  const glances = async (place: Awaited<ReturnType<typeof bench.newPlace>>) => {
    const sql = await openOn(place)
    const pages = []
    for await (const page of sql.usernames.allNames()) pages.push(page)
    const answers = [pages, await sql.usernames.eventsAfter(0, 10), await sql.usernames.sweep(2_000_000_000, 10)]
    return { sql, answers }
  }

  test('says so while nothing has happened to a name, and has every step of the schema', async () => {
    const place = await bench.newPlace()
    const { sql, answers } = await glances(place)
    expect(answers).toEqual([[{ tail: 0, names: [] }], [], []])
    expect(await bench.admin(place, 'SELECT count(*) AS steps FROM migrations')).toEqual([{ steps: STEPS }])
    await sql.close()
    expect(statSync(join(place.directory, 'accounts.db')).mode & 0o777).toBe(0o600)
  })

  test('tells of names that another process has given meanwhile', async () => {
    const place = await bench.newPlace()
    const { sql } = await glances(place)
    const other = await openOn(place)
    await other.accounts.create({ ...ACCOUNT, username: username('Ann') })
    await other.close()
    const events = await sql.usernames.eventsAfter(0, 10)
    expect(events.map(({ id, folded, event }) => ({ id, folded, event }))).toEqual([{ id: 1, folded: 'ann', event: 'claimed' }])
    const pages = []
    for await (const page of sql.usernames.allNames()) pages.push(...page.names)
    expect(pages).toEqual([{ tenant: ACCOUNT.tenant, folded: 'ann' }])
    await sql.close()
  })

  test('is opened by whoever asks first, once, and answers storage_unavailable after it was closed', async () => {
    const sql = await openOn(await bench.newPlace())
    const created = await Promise.all([sql.accounts.create(ACCOUNT), sql.accounts.create(ACCOUNT)])
    expect(created.toSorted()).toEqual(['created', 'email_taken'])
    expect(await sql.accounts.findById(ACCOUNT.tenant, ACCOUNT.id)).toEqual(ACCOUNT)
    await sql.close()
    await expect(sql.accounts.findById(ACCOUNT.tenant, ACCOUNT.id)).rejects.toMatchObject({ kind: 'storage_unavailable' })
    const unused = await openOn(await bench.newPlace())
    await unused.close()
    await expect(unused.usernames.eventsAfter(0, 1)).rejects.toMatchObject({ kind: 'storage_unavailable' })
  })

  test('is looked for again where it could not be read', async () => {
    const place = await bench.newPlace()
    const sql = await openOn(place)
    await bench.admin(place, "INSERT INTO migrations VALUES (999, '0999_of_tomorrow', 1)")
    await expect(sql.accounts.findById('acme', 'usr_1')).rejects.toMatchObject({ kind: 'storage_unavailable' })
    await bench.admin(place, 'DELETE FROM migrations WHERE id = 999')
    expect(await sql.accounts.findById('acme', 'usr_1')).toBeUndefined()
    await sql.close()
  })
})

const STEPS = readdirSync(join(import.meta.dirname, '../../src/storage/sql/migrations')).filter((name) =>
  name.endsWith('.up.sql'),
).length

const ACCOUNT = {
  id: `usr_${'1'.repeat(32)}`,
  tenant: 'acme',
  email: 'Ann@x.org',
  emailFolded: 'ann@x.org',
  passwordHash: 'hash',
  status: 'active',
  createdAt: 1,
} as const
