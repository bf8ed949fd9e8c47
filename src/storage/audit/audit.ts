/**
 * The audit record: what happened to sessions, users and keys, who did it and why, in a chain that shows every change.
 *
 * One SQLite file, `audit.db` in `storage.directory`, whatever storage sessions have: each gateway keeps the record of what it
 * did itself; processes that share the directory share the chain. Rows are only ever added. Each holds the SHA-256 of the one
 * before and of itself, so that a row that was changed, removed or slipped in shows; who may write the file can still put a
 * whole new chain in its place, or cut its end, which shows only against a head that was noted elsewhere.
 *
 * Rows are written some hundred milliseconds after the fact, many at once: a kill may take the last of them along. This room
 * never holds up a request, and reads what it wrote for operators alone.
 *
 * @module
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../../config/config.ts'
import type { Database } from '../embedded/database.ts'
import { openDatabase } from '../embedded/database.ts'
import { migrateUp } from '../embedded/migrations.ts'
import type { AuditEvent, Verdict } from './chain.ts'
import { appendRows, verifyRows } from './chain.ts'
import { AUDIT_MIGRATIONS } from './migrations.ts'
import { newestRows, rowsAfter, type AuditQuery, type AuditRow } from './reading.ts'

export type { AuditEvent, Verdict } from './chain.ts'
export type { AuditQuery, AuditRow } from './reading.ts'

export interface AuditNeeds {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** The record cannot be written, or can be again; told once for each change. */
  writable?(state: 'up' | 'down', cause?: unknown): void
}

export type AuditConfig = Pick<Config['storage'], 'directory' | 'migrate'>

export interface AuditRecord {
  /** Notes an event. Never throws and never waits; what cannot be written now is written later. */
  record(event: AuditEvent): void
  /** Writes what was noted, and stops. */
  close(): void
}

const FILE = 'audit.db'
const FLUSH_MS = 100
const RETRY_MS = 1000
/** Rows of one transaction: about 2 ms. */
const BATCH = 200
/** Events that wait while the file cannot be written; what comes after is counted alone. */
const MAX_WAITING = 10_000

/** @throws Error when the file cannot be opened or is of a newer version */
export function openAudit(needs: AuditNeeds, config: AuditConfig): AuditRecord {
  const db = open(needs, config)
  const append = appendRows(db)
  const waiting: { readonly atMs: number; readonly event: AuditEvent }[] = []
  let lost = 0
  let isDown = false
  let cancel: (() => void) | undefined
  return { record, close }

  function record(event: AuditEvent): void {
    if (waiting.length >= MAX_WAITING) {
      lost += 1
      return
    }
    waiting.push({ atMs: needs.nowMs(), event })
    plan(FLUSH_MS)
  }

  function plan(delayMs: number): void {
    cancel ??= needs.schedule(delayMs, () => {
      cancel = undefined
      flush()
      if (waiting.length > 0) plan(isDown ? RETRY_MS : 0)
    })
  }

  function flush(): 'written' | 'kept' {
    try {
      append(waiting.slice(0, BATCH))
    } catch (cause) {
      // They stay, for the next time.
      report('down', cause)
      return 'kept'
    }
    waiting.splice(0, BATCH)
    report('up')
    if (lost > 0) waiting.push({ atMs: needs.nowMs(), event: lostEvent(lost) })
    lost = 0
    return 'written'
  }

  function report(state: 'up' | 'down', cause?: unknown): void {
    if (isDown === (state === 'down')) return
    isDown = state === 'down'
    needs.writable?.(state, cause)
  }

  function close(): void {
    cancel?.()
    while (waiting.length > 0 && flush() === 'written');
    db.close()
  }
}

function lostEvent(count: number): AuditEvent {
  return { event: 'sys_monitor_disabled', actor: 'gateway', reason: `${count} events were not recorded` }
}

/**
 * Walks the chain from its first row.
 *
 * @param noted a row that was read at another time, which the chain must still hold
 * @throws Error when there is no record in the directory
 */
export function verifyAudit(
  needs: Pick<AuditNeeds, 'nowMs'>,
  config: AuditConfig,
  noted?: { readonly seq: number; readonly hash: string },
): Verdict {
  return withRecord(needs, config, (db) => verifyRows(db, noted))
}

/** What of the record is asked for, while it is open. */
export interface AuditRows {
  /** What was recorded last, newest first. */
  newest(query: AuditQuery, limit: number): readonly AuditRow[]
  /** All that is behind this row, in order, some at a time. */
  after(seq: number): Iterable<readonly AuditRow[]>
}

/**
 * Reads from the record.
 *
 * @throws Error when there is none in the directory
 */
export function readAudit<T>(needs: Pick<AuditNeeds, 'nowMs'>, config: AuditConfig, read: (rows: AuditRows) => T): T {
  return withRecord(needs, config, (db) =>
    read({ newest: (query, limit) => newestRows(db, query, limit), after: (seq) => rowsAfter(db, seq) }),
  )
}

function withRecord<T>(needs: Pick<AuditNeeds, 'nowMs'>, config: AuditConfig, work: (db: Database) => T): T {
  const file = join(config.directory, FILE)
  if (!existsSync(file)) throw new Error(`there is no audit record: ${file} does not exist`)
  const db = open(needs, config)
  try {
    return work(db)
  } finally {
    db.close()
  }
}

function open(needs: Pick<AuditNeeds, 'nowMs'>, config: AuditConfig): Database {
  mkdirSync(config.directory, { recursive: true, mode: 0o700 })
  const db = openDatabase(join(config.directory, FILE))
  try {
    migrateUp(db, AUDIT_MIGRATIONS, config.migrate, { nowSeconds: () => Math.floor(needs.nowMs() / 1000) })
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
