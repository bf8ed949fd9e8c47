/** The migrations of accounts, on every database. */
import { describe, expect, test } from 'vitest'
import type { Migrations } from '../../src/storage/sql/sql.ts'
import { withMigrations } from '../../src/storage/sql/sql.ts'
import { monotonicMs, random, schedule } from '../../src/world.ts'
import type { Bench, Place } from './account-contract.ts'
import { NOW, openOn, somebody, username } from './account-contract.ts'

const ALL = [
  '0001_accounts',
  '0002_add_username',
  '0003_account_status',
  '0004_username_skeleton',
  '0005_username_holds',
  '0006_username_quarantine',
  '0007_username_history',
]
const ROWS = 3_000

function on<T>(place: Place, work: (migrations: Migrations) => Promise<T>): Promise<T> {
  return withMigrations({ nowSeconds: () => NOW, nowMs: monotonicMs, random, schedule }, place, work)
}

function applied(place: Place): Promise<readonly string[]> {
  return on(place, async (migrations) => (await migrations.status()).flatMap((one) => (one.appliedAt === NOW ? [one.name] : [])))
}

export function migrationContract(bench: () => Bench): void {
  describe('migrations', () => {
    test('go up, down and up again to the same schema', { timeout: 60_000 }, async () => {
      const place = await bench().newPlace()
      expect(await applied(place)).toEqual([])
      expect(await on(place, (migrations) => migrations.up())).toEqual(ALL)
      const schema = await bench().schema(place)
      expect(schema.length).toBeGreaterThan(10)
      expect(await applied(place)).toEqual(ALL)
      expect(await on(place, (migrations) => migrations.up())).toEqual([])
      expect(await on(place, (migrations) => migrations.down(0))).toEqual(ALL.toReversed())
      expect(await applied(place)).toEqual([])
      expect(await on(place, (migrations) => migrations.up())).toEqual(ALL)
      expect(await bench().schema(place)).toEqual(schema)
      const sql = await openOn(place, false)
      expect(await sql.accounts.create(somebody({ username: username('again') }))).toBe('created')
      await sql.close()
    })

    test('go one by one, and to where they are told', { timeout: 60_000 }, async () => {
      const place = await bench().newPlace()
      for (const name of ALL) {
        const to = Number(name.slice(0, 4))
        expect(await on(place, (migrations) => migrations.up(to))).toEqual([name])
        const before = await bench().schema(place)
        expect(await on(place, (migrations) => migrations.down())).toEqual([name])
        expect(await on(place, (migrations) => migrations.up(to))).toEqual([name])
        expect(await bench().schema(place)).toEqual(before)
      }
      expect(await on(place, (migrations) => migrations.down(3))).toEqual(ALL.slice(3).toReversed())
      expect(await applied(place)).toEqual(ALL.slice(0, 3))
    })

    test('give a username to accounts that are there already, and take it away again', { timeout: 60_000 }, async () => {
      const place = await bench().newPlace()
      await on(place, (migrations) => migrations.up(1))
      await bench().admin(
        place,
        `INSERT INTO accounts (id, tenant_id, email, email_folded, password_hash, created_at) VALUES ('usr_1', 'acme', 'A@x.org', 'a@x.org', 'hash', 1)`,
      )
      await on(place, (migrations) => migrations.up(3))
      expect(await bench().admin(place, 'SELECT email, username, status FROM accounts')).toEqual([
        { email: 'A@x.org', username: null, status: 'active' },
      ])
      await bench().admin(place, `UPDATE accounts SET username = 'R0n_1', username_folded = 'r0n_1' WHERE id = 'usr_1'`)
      const sql = await openOn(place)
      expect((await sql.accounts.findByUsername('acme', 'r0n_1'))?.username).toEqual(username('R0n_1'))
      const nameless = somebody()
      expect(await sql.accounts.create(nameless)).toBe('created')
      expect(await sql.accounts.findById('acme', nameless.id)).toEqual(nameless)
      await sql.close()
      await on(place, (migrations) => migrations.down(1))
      expect(await bench().admin(place, `SELECT email FROM accounts WHERE id = 'usr_1'`)).toEqual([{ email: 'A@x.org' }])
    })

    test('are not applied unless allowed, and the pending ones are named', { timeout: 60_000 }, async () => {
      const place = await bench().newPlace()
      await on(place, (migrations) => migrations.up(5))
      await expect(openOn(place, false)).rejects.toThrow(
        'the accounts database lacks the migrations 0006_username_quarantine, 0007_username_history, and storage.migrate is false: run gatehouse migrate up',
      )
      const sql = await openOn(place)
      await sql.close()
      const again = await openOn(place, false)
      await again.close()
    })

    test('of a newer version are refused', async () => {
      const place = await bench().newPlace()
      await on(place, (migrations) => migrations.up())
      await bench().admin(place, `INSERT INTO migrations (id, name, applied_at) VALUES (999, '0999_from_the_future', 1)`)
      const message = /has the migration 0999_from_the_future, which this version does not know/
      await expect(openOn(place)).rejects.toThrow(message)
      await expect(on(place, (migrations) => migrations.down(0))).rejects.toThrow(message)
    })

    test('are applied once by many that start at the same moment', { timeout: 60_000 }, async () => {
      const place = await bench().newPlace()
      const opened = await Promise.all(Array.from({ length: bench().stores }, () => openOn(place)))
      expect(await applied(place)).toEqual(ALL)
      await Promise.all(opened.map((one) => one.close()))
    })

    test('leave indexes that serve every look at names and addresses', { timeout: 60_000 }, async () => {
      const place = await bench().newPlace()
      await on(place, (migrations) => migrations.up())
      const rows = Array.from(
        { length: ROWS },
        (_, i) => `('u${i}', 't${i % 3}', 'e${i}', 'e${i}', 'n${i}', 'n${i}', 's${i}', 'h', 1)`,
      )
      const columns =
        'id, tenant_id, email, email_folded, username, username_folded, username_skeleton, password_hash, created_at'
      await bench().admin(place, `INSERT INTO accounts (${columns}) VALUES ${rows.join(', ')}`)
      await bench().admin(place, bench().analyze)
      for (const [condition, index] of [
        ["tenant_id = 't1' AND username_folded = 'n1'", 'accounts_by_username'],
        ["tenant_id = 't1' AND username_folded IN ('n1', 'n4', 'n2', 'x')", 'accounts_by_username'],
        ["tenant_id = 't1' AND username_skeleton = 's1'", 'accounts_by_skeleton'],
        ["tenant_id = 't1' AND email_folded = 'e1'", 'accounts_by_email'],
      ] as const) {
        const plan = await bench().admin(place, `${bench().explain} SELECT * FROM accounts WHERE ${condition}`)
        expect(JSON.stringify(plan)).toContain(index)
        expect(JSON.stringify(plan)).not.toMatch(/Seq Scan|"SCAN|"type":"ALL"/)
      }
      const double = `INSERT INTO accounts (${columns}) VALUES ('x', 't1', 'x', 'x', 'N1', 'n1', 's1', 'h', 1)`
      await expect(bench().admin(place, double)).rejects.toThrow(/unique|duplicate/i)
    })
  })
}
