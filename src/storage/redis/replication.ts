import type { ConnectionNeeds, Connection } from './connection.ts'
import type { Layout } from './layout.ts'

export interface Replication {
  /** Waits until a replica has what was written before the call, 50 ms at most; at once where there is no replica. */
  replicated(bucket: number): Promise<void>
  close(): void
}

const WAIT_MS = 50
/** For how long it is remembered whether there are replicas. */
const KNOWN_MS = 10_000
const MARK_SECONDS = 60

export interface ReplicationNeeds extends ConnectionNeeds {
  /** Told when a write was not seen on a replica in time; it is in force on the master all the same. */
  unreplicated?(): void
}

/**
 * Waits on a connection of its own, because WAIT holds up everything behind it. It knows only of writes of its own
 * connection, so a mark is written there first: replicas take writes in order, and who has the mark has what came before.
 * All that ask while one wait is under way share the next one.
 */
export function createReplication(
  needs: ReplicationNeeds,
  main: Connection,
  layout: Layout,
  open: () => Promise<Connection>,
): Replication {
  const current = new Map<number, Promise<void>>()
  const next = new Map<number, Promise<void>>()
  let known: { readonly atMs: number; readonly hasReplicas: Promise<boolean> } | undefined
  let own: Promise<Connection> | undefined
  return { replicated, close: () => void own?.then((connection) => connection.close(), ignore) }

  async function replicated(bucket: number): Promise<void> {
    if (!(await hasReplicas())) return
    const waiting = next.get(bucket) ?? after(bucket)
    next.set(bucket, waiting)
    await waiting
  }

  async function after(bucket: number): Promise<void> {
    await current.get(bucket)
    const waiting = wait(bucket)
    next.delete(bucket)
    current.set(bucket, waiting)
    await waiting
    if (current.get(bucket) === waiting) current.delete(bucket)
  }

  /** Never rejects: the write itself is done, and saying otherwise would be wrong. */
  async function wait(bucket: number): Promise<void> {
    try {
      own ??= open()
      const connection = await own
      const [, replicas] = await connection.sendTogether([
        ['SET', layout.mark(bucket), 1, 'EX', MARK_SECONDS],
        ['WAIT', 1, WAIT_MS],
      ])
      if (replicas === 0) needs.unreplicated?.()
    } catch {
      own?.then((connection) => connection.close(), ignore)
      own = undefined
      needs.unreplicated?.()
    }
  }

  function hasReplicas(): Promise<boolean> {
    const nowMs = needs.nowMs()
    if (known === undefined || nowMs - known.atMs > KNOWN_MS) {
      // Unknown counts as none: the write is done, and the next question is asked soon.
      known = { atMs: nowMs, hasReplicas: main.hasReplicas().catch(() => false) }
    }
    return known.hasReplicas
  }
}

/** A connection that could not be opened needs no closing. */
function ignore(): void {
  return undefined
}
