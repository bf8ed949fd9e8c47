import type { Connection, ConnectionNeeds } from './connection.ts'
import type { Layout } from './layout.ts'

/** A replica that the feed is read from, while all else goes to the master. */
export interface Near {
  readonly connection: Connection
  /** Where the whole is read: as {@link view}, after a short wait for the first word of the master to come through. */
  first(): Promise<View>
  /** Where the next read of the feed goes, and how old it is there. The master's turn is whenever the replica is no help. */
  view(): Promise<View>
  /** The master was read just now: until a later beat is seen, a reader may be ahead of the replica. */
  masterRead(): void
  /** Something was ended here: reads are of the master for a moment, so that it is in force here at once. */
  ended(): void
  close(): void
}

export type View =
  | { readonly source: 'master' }
  /** `mayBeBehind`: the master was read after what the replica shows, so a reader may be ahead of it. */
  | { readonly source: 'replica'; readonly lagMs: number; readonly mayBeBehind: boolean }

/** Between two beats. Staleness is at least what is left of this, and the lag of the replica. */
const BEAT_MS = 500
const BEAT_SECONDS = 60
const LOOK_MS = 20
const PATIENCE_MS = 2_000
/** For how long reads go to the master after something was ended here. */
const ENDED_MS = 100
/** For how long a replica that failed is left alone. */
const AWAY_MS = 5_000

export type NearNeeds = Pick<ConnectionNeeds, 'nowMs' | 'schedule'> & {
  readonly master: Connection
  readonly connection: Connection
  readonly layout: Layout
  /** Names the beat of this process among those of others. */
  readonly id: string
}

/**
 * A replica takes writes in order: who sees a beat there sees all that was written before it. A beat says when it was sent,
 * by the clock of the process that reads it, so that no two machines' clocks are compared.
 */
export function createNear(needs: NearNeeds): Near {
  const { connection, master, nowMs } = needs
  const key = needs.layout.beat(needs.id)
  let seenMs = Number.NEGATIVE_INFINITY
  let masterReadMs = Number.NEGATIVE_INFINITY
  let masterUntilMs = Number.NEGATIVE_INFINITY
  let awayFromMs = Number.POSITIVE_INFINITY
  let isClosed = false
  let cancel = (): void => undefined
  void beat()
  return { connection, first, view, masterRead: () => void (masterReadMs = nowMs()), ended, close }

  async function first(): Promise<View> {
    const untilMs = nowMs() + PATIENCE_MS
    let found = await view()
    while (found.source === 'master' && nowMs() < Math.min(untilMs, awayFromMs)) {
      await new Promise<void>((resolve) => void needs.schedule(LOOK_MS, resolve))
      found = await view()
    }
    return found
  }

  async function view(): Promise<View> {
    const atMs = nowMs()
    const isUsable = atMs >= masterUntilMs && (await look()) && seenMs !== Number.NEGATIVE_INFINITY
    if (isUsable) return { source: 'replica', lagMs: Math.max(0, atMs - seenMs), mayBeBehind: seenMs <= masterReadMs }
    return { source: 'master' }
  }

  function ended(): void {
    masterUntilMs = Math.max(masterUntilMs, nowMs() + ENDED_MS)
  }

  /** What is seen before the feed is read, the feed has at least. False when the replica cannot be asked, for a while then. */
  async function look(): Promise<boolean> {
    try {
      const sentMs = Number((await connection.send('GET', key)) ?? Number.NaN)
      if (sentMs > seenMs) seenMs = sentMs
      awayFromMs = Number.POSITIVE_INFINITY
      return true
    } catch {
      awayFromMs = nowMs()
      masterUntilMs = awayFromMs + AWAY_MS
      return false
    }
  }

  /** Never rejects: a beat that is not written is seen by its absence. */
  async function beat(): Promise<void> {
    if (isClosed) return
    await master.send('SET', key, Math.floor(nowMs()), 'EX', BEAT_SECONDS).catch(() => undefined)
    if (!isClosed) cancel = needs.schedule(BEAT_MS, () => void beat())
  }

  function close(): void {
    isClosed = true
    cancel()
    connection.close()
  }
}
