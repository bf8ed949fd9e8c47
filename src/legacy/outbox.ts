import type { LegacyNeeds } from './legacy.ts'

/** What became of a message to be told. `ok`: Redis has it. `failed`: it could not be handed over. `dropped`: too many waited. */
export type Told = 'ok' | 'failed' | 'dropped'

export interface Outbox {
  /** Answers at once; the message leaves after whatever runs now, in order. */
  add(message: string): void
  stop(): void
}

/** Messages on their way at most: a Redis that hangs costs no memory. */
const MAX_UNDER_WAY = 1_000

export function createOutbox({ publish, events, schedule }: Pick<LegacyNeeds, 'publish' | 'events' | 'schedule'>): Outbox {
  const waiting: string[] = []
  let underWay = 0
  let isPlanned = false
  let isStopped = false
  return {
    add,
    stop() {
      // What was promised to nobody is still told if it can be.
      flush()
      isStopped = true
    },
  }

  function add(message: string): void {
    if (isStopped) return
    if (underWay + waiting.length >= MAX_UNDER_WAY) return events.message('out', 'dropped')
    waiting.push(message)
    if (isPlanned) return
    isPlanned = true
    schedule(0, flush)
  }

  function flush(): void {
    isPlanned = false
    for (const message of waiting.splice(0)) void send(message)
  }

  /** Never rejects: nobody waits for it, and Redis' own state is told elsewhere. */
  async function send(message: string): Promise<void> {
    underWay += 1
    try {
      await publish(message)
      events.message('out', 'ok')
    } catch {
      events.message('out', 'failed')
    } finally {
      underWay -= 1
    }
  }
}
