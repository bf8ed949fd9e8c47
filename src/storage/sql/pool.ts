import type { Engine, Reply, Session } from './engine.ts'
import { SqlFailure } from './failure.ts'

export interface PoolNeeds {
  /** A clock in milliseconds; only differences of it are used. */
  nowMs(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
}

/** A connection for one piece of work, until its time is over. */
export interface Lease {
  query(text: string, values: readonly unknown[]): Promise<Reply>
  /** The connection is closed when it is given back, and with it ends what it had begun. */
  spoil(): void
  isSpoilt(): boolean
  release(): void
}

export interface Pool {
  /** @throws SqlFailure `away`, when there is none within the time */
  lease(): Promise<Lease>
  close(): void
}

interface Kept {
  readonly session: Session
  isLost: boolean
}

interface Waiter {
  take(kept: Kept): void
  refuse(error: unknown): void
}

/**
 * Connections that are kept and given out in turn. Waiting for one, connecting and all that is done with it share one limit: what is
 * not over by then is cut off, so that nothing hangs and nothing that was answered «unavailable» happens later.
 *
 * @param answerMs - that limit
 */
export function createPool(needs: PoolNeeds, engine: Pick<Engine, 'open' | 'connections'>, answerMs: number): Pool {
  const idle: Kept[] = []
  /** No Set: one that things are put into and taken from all the time keeps much of them from being collected. */
  const waiters: Waiter[] = []
  let count = 0
  let opening = 0
  let isClosed = false
  return {
    lease: () =>
      new Promise((resolve, reject) => {
        if (isClosed) return reject(new SqlFailure('away', 'the storage is closed'))
        const deadlineMs = needs.nowMs() + answerMs
        const cancel = needs.schedule(answerMs, () => waiter.refuse(new SqlFailure('away', 'no connection in time')))
        const settle = (done: () => void): void => {
          cancel()
          const at = waiters.indexOf(waiter)
          if (at !== -1) waiters.splice(at, 1)
          done()
        }
        const waiter: Waiter = {
          take: (kept) => settle(() => resolve(leased(kept, deadlineMs))),
          refuse: (error) => settle(() => reject(error)),
        }
        waiters.push(waiter)
        serve()
      }),
    close() {
      isClosed = true
      for (const waiter of waiters.slice()) waiter.refuse(new SqlFailure('away', 'the storage is closed'))
      for (const { session } of idle.splice(0)) session.close()
    },
  }

  /** Whoever waits longest gets what is free. */
  function serve(): void {
    for (let [waiter] = waiters; waiter !== undefined; [waiter] = waiters) {
      const kept = idle.pop()
      if (kept === undefined) break
      waiter.take(kept)
    }
    while (opening < waiters.length && count < engine.connections) void open()
  }

  async function open(): Promise<void> {
    count++
    opening++
    const kept: { session?: Session; isLost: boolean } = { isLost: false }
    try {
      const session = await engine.open(() => lose(kept), answerMs)
      opening--
      put(Object.assign(kept, { session }))
    } catch (error) {
      opening--
      count--
      const [first] = waiters
      first?.refuse(error)
      serve()
    }
  }

  /** A connection that is in use finds out by itself. */
  function lose(kept: { isLost: boolean }): void {
    kept.isLost = true
    const at = idle.findIndex((one) => one === kept)
    if (at !== -1) idle.splice(at, 1).forEach(discard)
  }

  function put(kept: Kept): void {
    if (kept.isLost || isClosed) discard(kept)
    else idle.push(kept)
    serve()
  }

  function discard({ session }: Kept): void {
    count--
    session.close()
  }

  function leased(kept: Kept, deadlineMs: number): Lease {
    let isSpoilt = false
    let isReleased = false
    let refuse: ((error: unknown) => void) | undefined
    const cancel = needs.schedule(deadlineMs - needs.nowMs(), () => {
      isSpoilt = true
      refuse?.(new SqlFailure('away', 'no answer in time'))
    })
    return {
      query: (text, values) =>
        new Promise((resolve, reject) => {
          if (isSpoilt) return reject(new SqlFailure('away', 'the connection is gone'))
          refuse = reject
          kept.session.query(text, values).then(resolve, (error: unknown) => {
            if (error instanceof SqlFailure && error.kind === 'away') isSpoilt = true
            reject(error)
          })
        }),
      spoil() {
        isSpoilt = true
      },
      isSpoilt: () => isSpoilt,
      release() {
        if (isReleased) return
        isReleased = true
        cancel()
        if (isSpoilt) kept.isLost = true
        put(kept)
      },
    }
  }
}
