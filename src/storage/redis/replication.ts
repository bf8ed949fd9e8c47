import { retryDelayMs } from './client.ts'
import type { ConnectionNeeds, Connection } from './connection.ts'
import type { Layout } from './layout.ts'

export interface Replication {
  /** Waits until a replica has what was written before the call, 50 ms at most; at once where there is no replica. */
  replicated(bucket: number): Promise<void>
  /** Writes that no replica is known to have yet; always 0 where there never was one. */
  unconfirmed(): number
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

/** Of one bucket: what waits now, what waits after it, and what no replica is known to have. */
interface Waits {
  current: Promise<boolean> | undefined
  next: Promise<boolean> | undefined
  unconfirmed: number
  /** Waits in a row that ended without a replica, while writes are unconfirmed. */
  failures: number
}

/**
 * Waits on a connection of its own, because WAIT holds up everything behind it. It knows only of writes of its own
 * connection, so a mark is written there first: replicas take writes in order, and who has the mark has what came before.
 * All that ask while one wait is under way share the next one.
 *
 * What no replica had in time is asked about again until one has it, so that it is known from when on it is safe.
 */
export function createReplication(
  needs: ReplicationNeeds,
  main: Connection,
  layout: Layout,
  open: () => Promise<Connection>,
): Replication {
  const waits = Array.from({ length: layout.buckets }, (): Waits => {
    return { current: undefined, next: undefined, unconfirmed: 0, failures: 0 }
  })
  let known: { readonly atMs: number; readonly hasReplicas: Promise<boolean> } | undefined
  /** A replica that was there and is gone is missed: what is written then may be lost with the master. */
  let hadReplicas = false
  let own: Promise<Connection> | undefined
  let isClosed = false
  // Asked before anything is written: a replica that is lost later is missed then.
  void hasReplicas()
  return {
    replicated,
    unconfirmed: () => waits.reduce((sum, one) => sum + one.unconfirmed, 0),
    close() {
      isClosed = true
      own?.then((connection) => connection.close(), ignore)
    },
  }

  async function replicated(bucket: number): Promise<void> {
    const one = waits[bucket]
    if (one === undefined) throw new RangeError(`there is no bucket ${bucket}`)
    const isThere = await hasReplicas()
    if (!isThere && !hadReplicas) return
    const has = isThere && (await (one.next ?? after(one, bucket)))
    if (has) return
    needs.unreplicated?.()
    one.unconfirmed += 1
    if (one.unconfirmed === 1) retry(one, bucket)
  }

  function after(one: Waits, bucket: number): Promise<boolean> {
    one.next = (async () => {
      await one.current
      const waiting = wait(bucket)
      one.current = waiting
      one.next = undefined
      const has = await waiting
      if (one.current === waiting) one.current = undefined
      return has
    })()
    return one.next
  }

  function retry(one: Waits, bucket: number): void {
    one.failures += 1
    needs.schedule(retryDelayMs(one.failures, needs.random), () => void confirm(one, bucket))
  }

  /** Never rejects. */
  async function confirm(one: Waits, bucket: number): Promise<void> {
    if (isClosed) return
    const concerned = one.unconfirmed
    if (await wait(bucket)) {
      one.unconfirmed -= concerned
      one.failures = 0
    }
    if (one.unconfirmed > 0) retry(one, bucket)
  }

  /** Whether a replica has all that was written before. Never rejects: the write is done, and saying otherwise would be wrong. */
  async function wait(bucket: number): Promise<boolean> {
    try {
      own ??= open()
      const connection = await own
      const [, replicas] = await connection.sendTogether([
        ['SET', layout.mark(bucket), 1, 'EX', MARK_SECONDS],
        ['WAIT', 1, WAIT_MS],
      ])
      return Number(replicas) > 0
    } catch {
      own?.then((connection) => connection.close(), ignore)
      own = undefined
      return false
    }
  }

  async function hasReplicas(): Promise<boolean> {
    const nowMs = needs.nowMs()
    if (known === undefined || nowMs - known.atMs > KNOWN_MS) {
      // Unknown counts as none: the write is done, and the next question is asked soon.
      known = { atMs: nowMs, hasReplicas: main.hasReplicas().catch(() => false) }
    }
    const isThere = await known.hasReplicas
    if (isThere) hadReplicas = true
    return isThere
  }
}

/** A connection that could not be opened needs no closing. */
function ignore(): void {
  return undefined
}
