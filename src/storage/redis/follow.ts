import { retryDelayMs } from './client.ts'
import type { Connection, ConnectionNeeds } from './connection.ts'
import type { Layout } from './layout.ts'
import { list, text } from './replies.ts'

/** Tells of appends to the feed by any process. It only wakes: what was appended is read from the log itself. */
export interface Follower {
  onAppend(wake: () => void): () => void
  /** Redis is there again: whoever waits for his next turn reads now. */
  wake(): void
  close(): void
}

/** How long one question waits for an append. Below the bound on answers. */
const BLOCK_MS = 1_000
const POLL_MS = 50

interface FollowNeeds extends Pick<ConnectionNeeds, 'random' | 'schedule'> {
  readonly connection: Connection
  readonly layout: Layout
  /** A connection of the follower's own: a question that waits holds up all behind it. */
  open(): Promise<Connection>
}

/**
 * With one bucket, a reader that blocks on a connection of its own. With many, a look at every tail 20 times a second:
 * one blocking read takes streams of one slot only, so it would be a connection for each bucket.
 */
export function createFollower(needs: FollowNeeds): Follower {
  const wakes = new Set<() => void>()
  let state: 'idle' | 'following' | 'closed' = 'idle'
  let failures = 0
  let own: Connection | undefined
  let tails: readonly string[] | undefined
  return { onAppend, wake: wakeAll, close }

  function onAppend(wake: () => void): () => void {
    wakes.add(wake)
    if (state === 'idle') {
      state = 'following'
      void follow()
    }
    return () => void wakes.delete(wake)
  }

  function close(): void {
    state = 'closed'
    own?.close()
  }

  function isWanted(): boolean {
    return state === 'following' && wakes.size > 0
  }

  /** Never rejects: what goes wrong is tried again. Ends when nobody listens. */
  async function follow(): Promise<void> {
    while (isWanted()) {
      try {
        await (needs.layout.buckets === 1 ? block() : poll())
        failures = 0
      } catch {
        // The reader of the log meets the same failure and reports it.
        failures += 1
        own?.close()
        own = undefined
        tails = undefined
        await pause(retryDelayMs(failures, needs.random))
      }
    }
    own?.close()
    own = undefined
    tails = undefined
    if (state === 'following') state = 'idle'
  }

  async function block(): Promise<void> {
    own ??= await needs.open()
    if (tails === undefined) {
      tails = await readTails()
      // Whatever came while nobody looked.
      wakeAll()
    }
    const [last = START] = tails
    const reply = await own.send('XREAD', 'COUNT', 1000, 'BLOCK', BLOCK_MS, 'STREAMS', needs.layout.feed(0), last)
    if (reply === null) return
    const [stream] = list(reply)
    const [, entries] = list(stream)
    const [id] = list(list(entries).at(-1))
    tails = [text(id)]
    wakeAll()
  }

  async function poll(): Promise<void> {
    const found = await readTails()
    const isNew = tails === undefined || found.some((id, bucket) => id !== tails?.[bucket])
    tails = found
    if (isNew) wakeAll()
    await pause(POLL_MS)
  }

  function readTails(): Promise<readonly string[]> {
    const buckets = Array.from({ length: needs.layout.buckets }, (_, bucket) => bucket)
    return Promise.all(buckets.map(readTail))
  }

  async function readTail(bucket: number): Promise<string> {
    const [entry] = list(await needs.connection.send('XREVRANGE', needs.layout.feed(bucket), '+', '-', 'COUNT', 1))
    return entry === undefined ? START : text(list(entry)[0])
  }

  function wakeAll(): void {
    for (const wake of wakes) wake()
  }

  function pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      needs.schedule(delayMs, resolve)
    })
  }
}

const START = '0-0'
