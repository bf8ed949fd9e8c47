import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Revocation } from '../../src/revocation/revocation.ts'
import type { Embedded } from '../../src/storage/embedded/embedded.ts'
import { openEmbedded, openMasterKey } from '../../src/storage/embedded/embedded.ts'
import { openDatabase } from '../../src/storage/embedded/database.ts'
import { migrateDown, migrateUp } from '../../src/storage/embedded/migrations.ts'
import { openSql } from '../../src/storage/sql/sql.ts'
import { monotonicMs, random, schedule } from '../../src/world.ts'
import { SESSION_MIGRATIONS } from '../../src/storage/embedded/migrations/sessions.ts'
import { aSession, keyStoreContract, NOW } from './contract.ts'
import { revocationLogContract } from './log-contract.ts'
import { sessionStoreContract } from './session-contract.ts'
import { deviceContract } from './device-contract.ts'
import { tenantContract } from './tenant-contract.ts'
import { usedTokensContract } from './used-contract.ts'
import { snapshotOf } from '../support/log.ts'

const USER = { tenant: 'acme', user: 'usr_1' } as const
const LIMITS = { sessionsPerUser: 10_000 } as const
const folders: string[] = []
const children: ChildProcess[] = []

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-storage-'))
  folders.push(folder)
  return folder
}

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function open(directory: string, migrate = true): Promise<Embedded> {
  return openEmbedded({ nowSeconds: () => NOW }, { directory, migrate })
}

function opened(clock: { now: number }): Promise<Embedded> {
  const directory = join(newFolder(), 'data')
  return openEmbedded({ nowSeconds: () => clock.now }, { directory, migrate: true })
}

function idsOf(revocation: Revocation): readonly string[] {
  return revocation.kind === 'tenant' ? [] : [revocation.id]
}

function start(directory: string, prefix: string, rounds: number): ChildProcess {
  const script = join(import.meta.dirname, 'writer.ts')
  const child = spawn(process.execPath, [script, directory, prefix, String(rounds)], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  return child
}

async function expectAll(directory: string, acknowledged: readonly string[]): Promise<void> {
  const storage = await open(directory)
  const place = { accounts: { kind: 'embedded' }, directory, migrate: false } as const
  const sql = await openSql({ nowSeconds: () => NOW, nowMs: monotonicMs, random, schedule }, place)
  const revoked = new Set((await snapshotOf(storage.log)).revocations.flatMap(idsOf))
  const ended = new Set(acknowledged.filter((line) => line.startsWith('ended ')).map((line) => line.slice(6)))
  for (const line of acknowledged) {
    const [kind = '', id = ''] = line.split(' ')
    const found = await storage.sessions.find({ ...USER, id })
    if (kind === 'ended') expect({ id, found, revoked: revoked.has(id) }).toEqual({ id, found: undefined, revoked: true })
    // The last one may have been ended without time to say so.
    if (kind === 'session' && !ended.has(id)) expect(found !== undefined || revoked.has(id)).toBe(true)
    if (kind === 'account') expect(await sql.accounts.findById('acme', id)).toBeDefined()
  }
  storage.close()
  await sql.close()
  for (const name of ['sessions.db', 'accounts.db']) {
    const db = new DatabaseSync(join(directory, name))
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    db.close()
  }
}

describe('embedded storage keeps the contract', () => {
  sessionStoreContract(opened)
  revocationLogContract(opened)
  keyStoreContract(opened)
  usedTokensContract(opened)
  deviceContract(opened)
  tenantContract(opened)
})

describe('embedded storage', () => {
  let directory = ''
  beforeEach(() => {
    directory = join(newFolder(), 'deep', 'data')
  })

  test('makes its directory and files for the owner alone', async () => {
    const storage = await open(directory)
    await storage.sessions.create(aSession(), LIMITS)
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    for (const name of ['sessions.db', 'sessions.db-wal']) {
      expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
    }
    storage.close()
  })

  test('holds after a restart what it held before', async () => {
    const first = await open(directory)
    await first.sessions.create(aSession(), LIMITS)
    await first.sessions.revoke(
      { kind: 'token', tenant: 'acme', user: 'usr_1', id: 't1' },
      { reason: 'test', tokensUntil: NOW + 10 },
    )
    const snapshot = await snapshotOf(first.log)
    first.close()
    const second = await open(directory)
    expect(await second.sessions.find({ ...USER, id: aSession().id })).toBeDefined()
    expect(await snapshotOf(second.log)).toEqual(snapshot)
    second.close()
  })

  test('does all of an end or nothing of it', async () => {
    const storage = await open(directory)
    await storage.sessions.create(aSession(), LIMITS)
    const saboteur = new DatabaseSync(join(directory, 'sessions.db'))
    saboteur.exec("CREATE TRIGGER no_end BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END")
    const ref = { tenant: 'acme', user: 'usr_1', id: aSession().id }
    const ending = { reason: 'logout', tokensUntil: NOW + 10 }
    await expect(storage.sessions.end(ref, ending)).rejects.toThrow('no')
    saboteur.exec("CREATE TRIGGER no_news AFTER INSERT ON revocations BEGIN SELECT RAISE(ABORT, 'no'); END")
    await expect(storage.sessions.endAll(ref, ending)).rejects.toThrow('no')
    expect(await storage.sessions.find(ref)).toBeDefined()
    expect(await snapshotOf(storage.log)).toEqual({ position: '0', revocations: [], complete: true })
    expect(await storage.sessions.create(aSession({ id: 'a'.repeat(32) }), LIMITS)).toEqual({ epoch: 0, bucket: 0, evicted: [] })
    saboteur.exec('DROP TRIGGER no_end; DROP TRIGGER no_news')
    saboteur.close()
    expect(await storage.sessions.end(ref, ending)).toBe(true)
    storage.close()
  })

  test('answers storage_unavailable while another process holds the lock, and works again after it', async () => {
    const storage = await open(directory)
    const holder = new DatabaseSync(join(directory, 'sessions.db'))
    holder.exec('BEGIN IMMEDIATE')
    const refused = { kind: 'storage_unavailable', facts: { headers: { 'retry-after': '1' } } }
    await expect(storage.sessions.create(aSession(), LIMITS)).rejects.toMatchObject(refused)
    holder.exec('ROLLBACK')
    holder.close()
    expect(await storage.sessions.find({ ...USER, id: aSession().id })).toBeUndefined()
    expect(await storage.sessions.create(aSession(), LIMITS)).toEqual({ epoch: 0, bucket: 0, evicted: [] })
    storage.close()
  })

  test('answers storage_unavailable after it was closed', async () => {
    const storage = await open(directory)
    storage.close()
    storage.close()
    const refused = { kind: 'storage_unavailable' }
    await expect(storage.sessions.create(aSession(), LIMITS)).rejects.toMatchObject(refused)
    await expect(storage.sessions.find({ ...USER, id: 'x' })).rejects.toMatchObject(refused)
    await expect(snapshotOf(storage.log)).rejects.toMatchObject(refused)
    await expect(storage.log.readAfter('0')).rejects.toMatchObject(refused)
    await expect(storage.keys.load('gateway')).rejects.toMatchObject(refused)
  })

  test.each(['7', '', 'x', '-1', '1e1', '9'.repeat(30)])('begins anew where it cannot go on from %j', async (position) => {
    const storage = await open(directory)
    await storage.sessions.revoke({ kind: 'key', tenant: 'acme', id: 'k1' }, { reason: 'test', tokensUntil: NOW + 10 })
    const all = await snapshotOf(storage.log)
    expect(all).toEqual({
      position: '1',
      revocations: [{ kind: 'key', tenant: 'acme', id: 'k1', expiresAt: NOW + 10 }],
      complete: true,
    })
    expect(await storage.log.readAfter(position)).toEqual({ position, revocations: [], complete: false, isRestart: true })
    storage.close()
  })

  test('says that a batch is not all there is', async () => {
    const storage = await open(directory)
    const db = new DatabaseSync(join(directory, 'sessions.db'))
    db.exec(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
      INSERT INTO revocations (kind, tenant_id, id, revoked_at, expires_at) SELECT 'token', 'acme', 't' || i, ${NOW}, ${NOW + 10} FROM n`)
    db.close()
    const first = await storage.log.readAfter('0')
    expect([first.position, first.revocations.length, first.complete]).toEqual(['1000', 1_000, false])
    const second = await storage.log.readAfter(first.position)
    expect([second.position, second.revocations.length, second.complete]).toEqual(['1500', 500, true])
    storage.close()
  })

  test('names a file that is no database', async () => {
    const folder = newFolder()
    writeFileSync(join(folder, 'sessions.db'), 'this is no database, whatever its name says '.repeat(100))
    await expect(open(folder)).rejects.toThrow(`the database ${join(folder, 'sessions.db')} cannot be opened`)
  })
})

describe('migrations of embedded storage', () => {
  const needs = { nowSeconds: () => NOW }

  test('go up, down and up again to the same schema', () => {
    const db = openDatabase(join(newFolder(), 'sessions.db'))
    const schema = (): unknown => db.prepare("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").all()
    migrateUp(db, SESSION_MIGRATIONS, true, needs)
    const up = schema()
    migrateDown(db, SESSION_MIGRATIONS, 0)
    expect(db.prepare("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'").all()).toEqual([{ name: 'migrations' }])
    migrateUp(db, SESSION_MIGRATIONS, true, needs)
    expect(schema()).toEqual(up)
    migrateUp(db, SESSION_MIGRATIONS, false, needs)
    db.close()
  })

  test('keep sessions, revocations and the last position given, on the way up and down', () => {
    const db = openDatabase(join(newFolder(), 'sessions.db'))
    migrateUp(db, SESSION_MIGRATIONS.slice(0, 1), true, needs)
    db.script(`
      INSERT INTO sessions VALUES ('acme', '${'a'.repeat(32)}', 'u1', '', '{}', 0, 3, '', '', 1, 2, 3, 4, 5);
      INSERT INTO revocations (kind, tenant_id, id, epoch, revoked_at, expires_at) VALUES
        ('token', 'acme', 't1', NULL, 1, 9), ('user', 'acme', 'u1', 4, 1, 9), ('session', 'acme', 's1', NULL, 1, 9);
      DELETE FROM revocations WHERE id = 's1';
    `)
    migrateUp(db, SESSION_MIGRATIONS, true, needs)
    expect(db.prepare('SELECT id, generation, rotated_at, client_id FROM sessions').all()).toEqual([
      { id: 'a'.repeat(32), generation: 3, rotated_at: null, client_id: 'gatehouse' },
    ])
    const add = db.prepare(
      'INSERT INTO revocations (kind, tenant_id, id, revoked_at, expires_at) VALUES (?, ?, ?, 1, 9) RETURNING seq',
    )
    expect(add.get('key', 'acme', 'k1')).toEqual({ seq: 4 })
    expect(add.get('tenant', 'acme', '')).toEqual({ seq: 5 })
    migrateDown(db, SESSION_MIGRATIONS, 1)
    expect(db.prepare('SELECT seq, kind, id, epoch FROM revocations').all()).toEqual([
      { seq: 1, kind: 'token', id: 't1', epoch: null },
      { seq: 2, kind: 'user', id: 'u1', epoch: 4 },
    ])
    expect(add.get('token', 'acme', 't2')).toEqual({ seq: 6 })
    db.close()
  })

  test('are not applied unless allowed, and the pending ones are named', async () => {
    const directory = newFolder()
    await expect(open(directory, false)).rejects.toThrow(
      'lacks the migrations 0001_sessions, 0002_rotation, 0003_used_tokens, 0004_audit_elsewhere, 0005_tenant_epochs, 0006_devices, 0007_tenants, and storage.migrate is false',
    )
    const storage = await open(directory)
    storage.close()
    const again = await open(directory, false)
    again.close()
  })

  test('of a newer version are refused', async () => {
    const directory = newFolder()
    const storage = await open(directory)
    storage.close()
    const db = new DatabaseSync(join(directory, 'sessions.db'))
    db.exec("INSERT INTO migrations VALUES (999, '0999_from_the_future', 1)")
    db.close()
    await expect(open(directory)).rejects.toThrow('has the migration 0999_from_the_future, which this version does not know')
  })
})

describe('master key of embedded storage', () => {
  test('is made once, 32 bytes in base64, for the owner alone', () => {
    const directory = join(newFolder(), 'data')
    const key = openMasterKey(directory)
    const file = join(directory, 'master.key')
    expect(key.length).toBe(32)
    expect(Buffer.from(readFileSync(file, 'utf8'), 'base64').equals(key)).toBe(true)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(Buffer.from(openMasterKey(directory)).equals(key)).toBe(true)
    expect(Buffer.from(openMasterKey(newFolder())).equals(key)).toBe(false)
  })

  test('is refused when others can read it', () => {
    const directory = newFolder()
    openMasterKey(directory)
    chmodSync(join(directory, 'master.key'), 0o640)
    expect(() => openMasterKey(directory)).toThrow('can be read by others: run chmod 600')
  })

  test.each(['', 'short', 'A'.repeat(44), `${'A'.repeat(42)}==`, `${'A'.repeat(43)}=\n\n`, `${'?'.repeat(43)}=`])(
    'is refused when it is %j',
    (content) => {
      const directory = newFolder()
      writeFileSync(join(directory, 'master.key'), content, { mode: 0o600 })
      expect(() => openMasterKey(directory)).toThrow('must hold 32 bytes in base64')
    },
  )
})

describe('several processes on one directory', () => {
  test('keep every acknowledged write when one is killed in the middle of its work', async () => {
    const directory = newFolder()
    for (const [round, lines] of [40, 77, 123].entries()) {
      const child = start(directory, String(round + 1), 1_000_000)
      const acknowledged: string[] = []
      if (child.stdout === null) throw new Error('no output')
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged.push(line)
        if (acknowledged.length === lines) child.kill('SIGKILL')
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      expect(child.signalCode).toBe('SIGKILL')
      await expectAll(directory, acknowledged)
    }
  })

  test('start at the same moment, write side by side, and each reads what the others appended', async () => {
    const directory = newFolder()
    const storage = await open(directory)
    const rounds = 60
    const writers = ['a', 'b'].map((prefix) => start(directory, prefix, rounds))
    for (const writer of writers) writer.stdout?.resume()
    let position = '0'
    const seen: string[] = []
    const read = async (): Promise<void> => {
      const slice = await storage.log.readAfter(position)
      expect(Number(slice.position)).toBeGreaterThanOrEqual(Number(position))
      position = slice.position
      seen.push(...slice.revocations.flatMap(idsOf))
    }
    while (writers.some((writer) => writer.exitCode === null && writer.signalCode === null)) {
      await read()
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await read()
    expect(writers.map((writer) => writer.exitCode)).toEqual([0, 0])
    const expected = ['a', 'b'].flatMap((prefix) =>
      Array.from({ length: rounds / 3 }, (_, i) => prefix + (i * 3).toString(16).padStart(31, '0')),
    )
    expect(seen.toSorted()).toEqual(expected.toSorted())
    storage.close()
  })

  test('open a fresh directory at the same moment without getting in each other’s way', async () => {
    const directory = newFolder()
    const starters = ['1', '2', '3', '4'].map((prefix) => start(directory, prefix, 3))
    for (const starter of starters) starter.stdout?.resume()
    await Promise.all(starters.map((starter) => once(starter, 'exit')))
    expect(starters.map((starter) => starter.exitCode)).toEqual([0, 0, 0, 0])
  })
})
