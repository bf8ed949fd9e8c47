import type { Kysely, Transaction } from 'kysely'
import { Problem } from '../../problem/problem.ts'
import { SqlFailure } from './failure.ts'
import type { Tables } from './tables.ts'

export interface GuardNeeds {
  /** From 0, below 1; spreads tries again. */
  random(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** Told when the database is there or away, once for each change. */
  up?(isUp: boolean): void
}

/**
 * Work on the database. Rejects with `storage_unavailable` when the database is away, refuses to serve or does not answer in
 * time; what it has against a statement of ours is an error of another kind.
 */
export interface Guard {
  read<T>(work: (db: Kysely<Tables>) => Promise<T>): Promise<T>
  /** All of `work` or nothing of it. `work` may run several times: it does nothing but what is in the transaction. */
  write<T>(work: (db: Transaction<Tables>) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** The same guard, which tells of each piece of work. */
export function counted({ read, write, close }: Guard, told: () => void): Guard {
  return {
    read(work) {
      told()
      return read(work)
    },
    write(work) {
      told()
      return write(work)
    },
    close,
  }
}

/** How often a transaction that lost against another is tried. */
const TRIES = 6
/** The longest wait before the second try, doubled for each one after it, milliseconds. */
const PAUSE_MS = 10

export function createGuard(needs: GuardNeeds, db: Kysely<Tables>): Guard {
  let wasUp = true
  let isClosed = false
  return {
    read: (work) => guarded(() => work(db)),
    write: (work) => guarded(() => tried((attempt) => db.transaction().execute(attempt), work, 1)),
    async close() {
      isClosed = true
      await db.destroy()
    },
  }

  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    if (isClosed) throw unavailable(new SqlFailure('away', 'the storage is closed'))
    try {
      const result = await work()
      note(true)
      return result
    } catch (error) {
      if (!(error instanceof SqlFailure) || error.kind === 'duplicate' || error.kind === 'fault') throw error
      if (error.kind === 'away') note(false)
      throw unavailable(error)
    }
  }

  async function tried<T, W>(run: (work: W) => Promise<T>, work: W, number: number): Promise<T> {
    try {
      return await run(work)
    } catch (error) {
      if (!(error instanceof SqlFailure) || error.kind !== 'conflict' || number >= TRIES) throw error
    }
    await pause(PAUSE_MS * 2 ** (number - 1) * needs.random())
    return tried(run, work, number + 1)
  }

  function pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void needs.schedule(delayMs, resolve))
  }

  function note(isUp: boolean): void {
    if (isUp === wasUp || isClosed) return
    wasUp = isUp
    needs.up?.(isUp)
  }
}

function unavailable(cause: SqlFailure): Problem {
  return new Problem('storage_unavailable', { headers: { 'retry-after': '1' }, cause })
}
