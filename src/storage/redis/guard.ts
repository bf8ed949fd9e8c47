import CircuitBreaker from 'opossum'
import { Problem } from '../../problem/problem.ts'
import type { Connection, ConnectionNeeds } from './connection.ts'
import { wasQuick } from './failures.ts'
import type { Layout } from './layout.ts'

export interface GuardNeeds extends Pick<ConnectionNeeds, 'schedule'> {
  /** Told at the opening and of each change; open while any part of the store is given up. */
  breaker?(state: 'closed' | 'open'): void
}

export interface Guard extends Connection {
  /** Looks now at what is given up. */
  look(): void
}

/** Failures of so few commands open nothing: one lost answer is no outage. */
const VOLUME = 5
/** Between two looks at a part that serves, and at one that is given up. */
const LOOK_MS = 1_000
const LOOK_AGAIN_MS = 250
/** A look that takes longer has failed: slower commands would pile up. */
const LOOK_LIMIT_MS = 1_000
/** opossum's own way back takes the next command for a probe. It is never reached: a look that succeeds comes first. */
const NEVER_MS = 2 ** 31 - 1

/**
 * Refuses commands at once while the part of Redis that they go to does not answer: a server that says nothing would
 * otherwise keep each of them waiting for its 2 s. Whether it is back is found out by looks of its own, never by a
 * command of a request. What Redis answers is no failure here, whatever it says, nor is a connection that broke and is being
 * made again: nobody waited for it.
 *
 * A part is a bucket, for on a cluster one master may be away. Keys of no bucket are not guarded there.
 */
export function createGuard(needs: GuardNeeds, connection: Connection, layout: Layout): Guard {
  const parts = Array.from({ length: layout.buckets }, (_, bucket) => openPart(bucket))
  const open = new Set<number>()
  let isClosed = false
  needs.breaker?.('closed')
  return {
    send: (...command) => guarded(command[1], () => connection.send(...command)),
    run: (script, keys, values) => guarded(keys[0], () => connection.run(script, keys, values)),
    sendTogether: (commands) => guarded(commands[0]?.[1], () => connection.sendTogether(commands)),
    hasReplicas: () => connection.hasReplicas(),
    look() {
      for (const part of parts) if (part.isOpen()) part.look()
    },
    close() {
      isClosed = true
      for (const part of parts) part.close()
      connection.close()
    },
  }

  function guarded<T>(key: string | number | undefined, work: () => Promise<T>): Promise<T> {
    if (isClosed) return Promise.reject(refusal())
    const part = parts[parts.length === 1 ? 0 : bucketIn(String(key))]
    if (part === undefined) return work()
    if (part.isOpen()) return Promise.reject(refusal())
    return part.fire(work)
  }

  function openPart(bucket: number) {
    const breaker = new CircuitBreaker((work: () => Promise<unknown>) => work(), {
      timeout: false,
      errorThresholdPercentage: 50,
      resetTimeout: NEVER_MS,
      volumeThreshold: VOLUME,
      errorFilter: wasQuick,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
    })
    let cancel = needs.schedule(LOOK_MS, look)
    breaker.on('open', () => {
      note(bucket, true)
      cancel()
      cancel = needs.schedule(LOOK_AGAIN_MS, look)
    })
    breaker.on('close', () => note(bucket, false))
    return { fire, isOpen: () => breaker.opened, look, close }

    async function fire<T>(work: () => Promise<T>): Promise<T> {
      let result: { readonly value: T } | undefined
      await breaker.fire(async () => {
        result = { value: await work() }
      })
      if (result === undefined) throw refusal()
      return result.value
    }

    function look(): void {
      cancel()
      const key = layout.mark(bucket)
      within(connection.send('EXISTS', key)).then(
        () => settle(true),
        (error: unknown) => settle(wasQuick(error)),
      )
    }

    function settle(isThere: boolean): void {
      if (isClosed) return
      if (isThere) breaker.close()
      else breaker.open()
      cancel()
      cancel = needs.schedule(isThere ? LOOK_MS : LOOK_AGAIN_MS, look)
    }

    function close(): void {
      cancel()
      breaker.shutdown()
    }
  }

  function note(bucket: number, isOpen: boolean): void {
    const before = open.size > 0
    if (isOpen) open.add(bucket)
    else open.delete(bucket)
    if (open.size > 0 !== before) needs.breaker?.(before ? 'closed' : 'open')
  }

  function within<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = needs.schedule(LOOK_LIMIT_MS, () => reject(new Error('Redis is slow')))
      work.then(resolve, reject).finally(cancel)
    })
  }
}

/** The number in the hash tag of a key; −1 where it has none. */
function bucketIn(key: string): number {
  const from = key.indexOf('{')
  const to = key.indexOf('}', from)
  return from === -1 || to === -1 ? -1 : Number(key.slice(from + 1, to))
}

/** Nothing is collected for a refusal: there may be thousands a second. */
const REFUSED = { headers: { 'retry-after': '1' }, cause: new Error('Redis did not answer lately') }

function refusal(): Problem {
  return new Problem('storage_unavailable', REFUSED)
}
