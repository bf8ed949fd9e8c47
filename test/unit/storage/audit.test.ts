import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AuditEvent, AuditRecord } from '../../../src/storage/audit/audit.ts'
import { openAudit, verifyAudit } from '../../../src/storage/audit/audit.ts'

const NOW = 1_800_000_000_000
let directory: string
let nowMs: number
let timers: (() => void)[]
let states: string[]
const open: AuditRecord[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-audit-'))
  nowMs = NOW
  timers = []
  states = []
})
afterEach(() => {
  for (const one of open.splice(0)) one.close()
  rmSync(directory, { recursive: true, force: true })
})

function start(): AuditRecord {
  const record = openAudit(
    {
      nowMs: () => nowMs,
      schedule(_, run) {
        timers.push(run)
        return () => void timers.splice(timers.indexOf(run), 1)
      },
      writable: (state) => void states.push(state),
    },
    { directory, migrate: true },
  )
  open.push(record)
  return record
}

/** Lets the time of every timer that is set come. */
function tick(): void {
  for (const run of timers.splice(0)) run()
}

function written(...events: (string | AuditEvent)[]): void {
  const audit = start()
  for (const event of events) audit.record(typeof event === 'string' ? { event } : event)
  audit.close()
}

const verify = (noted?: { seq: number; hash: string }) => verifyAudit({ nowMs: () => nowMs }, { directory, migrate: true }, noted)

/** What somebody with the file and a SQLite shell can do. */
function tamper(sql: string): void {
  const db = new DatabaseSync(join(directory, 'audit.db'))
  db.exec('DROP TRIGGER IF EXISTS audit_rows_stay; DROP TRIGGER IF EXISTS audit_rows_stay_as_they_are')
  db.exec(sql)
  db.close()
}

function rows(): unknown[] {
  const db = new DatabaseSync(join(directory, 'audit.db'), { readOnly: true })
  try {
    return db
      .prepare('SELECT * FROM audit ORDER BY seq')
      .all()
      .map((row) => ({ ...row }))
  } finally {
    db.close()
  }
}

const FULL: AuditEvent = {
  event: 'authn_login_fail',
  tenant: 'acme',
  user: 'usr_1',
  actor: 'usr_1',
  subject: 's1',
  reason: 'wrong password',
  ip: '192.0.2.1',
  requestId: 'r1',
}

describe('the audit record', () => {
  test('holds who, what, when and why, in a file that others cannot read', () => {
    written(FULL, 'sys_startup')
    expect(rows()).toEqual([
      {
        seq: 1,
        at: NOW,
        event: 'authn_login_fail',
        tenant_id: 'acme',
        user_id: 'usr_1',
        actor: 'usr_1',
        subject: 's1',
        reason: 'wrong password',
        ip: '192.0.2.1',
        request_id: 'r1',
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
      expect.objectContaining({ seq: 2, event: 'sys_startup', tenant_id: null, reason: null }),
    ])
    expect(statSync(join(directory, 'audit.db')).mode & 0o777).toBe(0o600)
  })

  test('is written together, a moment later', () => {
    const audit = start()
    audit.record({ event: 'a' })
    nowMs += 50
    audit.record({ event: 'b' })
    expect([rows(), timers.length]).toEqual([[], 1])
    tick()
    expect(rows()).toMatchObject([
      { event: 'a', at: NOW },
      { event: 'b', at: NOW + 50 },
    ])
    expect(timers).toEqual([])
  })

  test('is written a part at a time when there is much', () => {
    const audit = start()
    for (let count = 0; count < 450; count++) audit.record({ event: `e${count}` })
    tick()
    expect(rows()).toHaveLength(200)
    tick()
    tick()
    expect(rows()).toHaveLength(450)
    expect(verify()).toMatchObject({ rows: 450 })
  })

  test('goes on after a restart, and from several processes, in one chain', () => {
    const [one, two] = [start(), start()]
    for (const [index, audit] of [one, two, one, two].entries()) {
      audit.record({ event: `e${index}` })
      tick()
    }
    written('e4')
    expect(rows()).toMatchObject([0, 1, 2, 3, 4].map((index) => ({ seq: index + 1, event: `e${index}` })))
    expect(verify()).toMatchObject({ rows: 5, head: { seq: 5 } })
    expect(verify().firstBreak).toBeUndefined()
  })

  test('cuts what is long, and keeps every value in one line and as it is hashed', () => {
    written({ event: 'e', reason: `a\nb\u0000c\ud800${'x'.repeat(300)}`, subject: '\u{1f600}'.repeat(200) })
    expect(rows()).toMatchObject([{ reason: `a\ufffdb\ufffdc\ufffd${'x'.repeat(250)}`, subject: '\u{1f600}'.repeat(128) }])
    expect(verify()).toMatchObject({ rows: 1 })
  })

  test('waits while the file cannot be written, in order, and says how much was too much', () => {
    const audit = start()
    const locker = new DatabaseSync(join(directory, 'audit.db'))
    locker.exec('ALTER TABLE audit RENAME TO hidden')
    for (let count = 0; count < 10_003; count++) audit.record({ event: `e${count}` })
    tick()
    tick()
    expect(states).toEqual(['down'])
    locker.exec('ALTER TABLE hidden RENAME TO audit')
    locker.close()
    for (let count = 0; count < 60; count++) tick()
    expect(states).toEqual(['down', 'up'])
    expect(rows()).toHaveLength(10_001)
    expect(rows().find((row) => JSON.stringify(row).includes('sys_monitor_disabled'))).toMatchObject({
      reason: '3 events were not recorded',
    })
    expect(verify()).toMatchObject({ rows: 10_001 })
  })

  test('refuses changes through SQL', () => {
    written('a')
    const db = new DatabaseSync(join(directory, 'audit.db'))
    expect(() => db.exec("UPDATE audit SET reason = 'x'")).toThrow('the audit record is append-only')
    expect(() => db.exec('DELETE FROM audit')).toThrow('the audit record is append-only')
    db.close()
  })
})

describe('a walk along the chain', () => {
  test('finds every row as it was written', () => {
    written(FULL, 'b', 'c')
    const { head, ...rest } = verify()
    expect(rest).toEqual({ rows: 3 })
    expect(verify(head)).toEqual({ rows: 3, head })
  })

  test('of no rows is fine, of no file is not', () => {
    expect(() => verify()).toThrow('there is no audit record')
    written()
    expect(verify()).toEqual({ rows: 0 })
  })

  test.each([
    ['at', '1'],
    ...['event', 'tenant_id', 'user_id', 'actor', 'subject', 'reason', 'ip', 'request_id'].map((column) => [column, "'x'"]),
    ['reason', 'NULL'],
    ['hash', `'${'0'.repeat(64)}'`],
  ])('finds a changed %s, set to %s', (column, value) => {
    written('a', FULL, 'c')
    tamper(`UPDATE audit SET ${column} = ${value} WHERE seq = 2`)
    expect(verify()).toMatchObject({ rows: 1, firstBreak: { seq: 2, what: 'the row, or the one before, was changed' } })
  })

  test.each([
    ['the first', 1, { rows: 0, firstBreak: { seq: 1, what: 'rows 1 to 1 are gone' } }],
    ['one between', 2, { rows: 1, firstBreak: { seq: 2, what: 'rows 2 to 2 are gone' } }],
    ['the last', 3, { rows: 2, firstBreak: { seq: 3, what: 'rows up to 3 are gone' } }],
  ])('finds that %s row is gone', (_, seq, verdict) => {
    written('a', 'b', 'c')
    tamper(`DELETE FROM audit WHERE seq = ${seq}`)
    expect(verify()).toMatchObject(verdict)
  })

  test('finds a row that is gone although the others were moved up, and two that changed places', () => {
    written('a', 'b', 'c')
    tamper('DELETE FROM audit WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE sqlite_sequence SET seq = 2')
    expect(verify()).toMatchObject({ rows: 1, firstBreak: { seq: 2 } })
    rmSync(directory, { recursive: true })
    written('a', 'b', 'c')
    tamper(
      'UPDATE audit SET seq = 9 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 9',
    )
    expect(verify()).toMatchObject({ rows: 1, firstBreak: { seq: 2 } })
  })

  test('finds an end that was cut, or a chain that was put in its place, by a head that was noted', () => {
    written('a', 'b', 'c')
    const { head } = verify()
    tamper("DELETE FROM audit WHERE seq = 3; UPDATE sqlite_sequence SET seq = 2 WHERE name = 'audit'")
    expect(verify()).toMatchObject({ rows: 2 })
    expect(verify(head)).toMatchObject({ rows: 2, firstBreak: { seq: 3, what: 'rows up to 3 are gone' } })
    rmSync(directory, { recursive: true })
    written('a', 'b', 'x')
    expect(verify(head)).toMatchObject({ rows: 2, firstBreak: { seq: 3, what: 'the chain is not the one that was noted' } })
  })
})
