import { Cluster } from 'ioredis'
import type { SessionStorageConfig } from '../../config/config.ts'
import { createClient, retryDelayMs } from './client.ts'
import { withoutArguments } from './failures.ts'

/** A channel of Redis: what is said there reaches those who listen at that moment, and nobody later. */
export interface Channel {
  /** Rejects when it cannot be handed to Redis now; it is not tried again. */
  publish(message: string): Promise<void>
  close(): void
}

export interface ChannelNeeds {
  /** From 0, below 1; spreads the retries of many gateways. */
  random(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** Takes each message as it was sent, our own too. Must not throw. */
  hear(message: Buffer): void
  /** Told when messages are heard, and when some may be missed; once for each change. */
  heard(state: 'up' | 'down', cause?: unknown): void
}

/** A connection that only listens says nothing for hours: this tells one that is dead from one that is quiet. */
const PROBE_MS = 5_000

/**
 * Opens a channel: one connection that listens and one that speaks, apart from those of the storage, so that neither waits for
 * the other. It never throws and never gives up: while Redis is away nothing is heard, and publishing fails at once.
 */
export function openChannel(needs: ChannelNeeds, config: SessionStorageConfig, name: string): Channel {
  if (config.kind === 'embedded') throw new TypeError('a channel needs Redis')
  const random = (): number => needs.random()
  const speaker = createClient(config, random)
  const listener = createClient(config, random)
  let state: 'up' | 'down' | 'closed' | undefined
  let cause: unknown
  let attempts = 0
  let cancelNext: (() => void) | undefined
  for (const client of [speaker, listener]) {
    client.on('error', (error: unknown) => {
      cause = withoutArguments(error)
    })
  }
  // Who is heard can be told: the one that speaks comes first. What fails here is tried again by the client itself.
  speaker.once('ready', () => void listener.connect().catch(() => undefined))
  speaker.on('close', () => {
    if (state === undefined) note('down', cause)
  })
  speaker.connect().catch(() => undefined)
  listener.on('messageBuffer', (_: Buffer, message: Buffer) => needs.hear(message))
  listener.on('ready', subscribe)
  listener.on('close', () => note('down', cause))
  probe()
  return { publish, close }

  async function publish(message: string): Promise<void> {
    // A cluster would keep it for later, and later is another time.
    if (speaker.status !== 'ready') throw new Error('Redis is not connected')
    try {
      await speaker.publish(name, message)
    } catch (error) {
      throw withoutArguments(error)
    }
  }

  function close(): void {
    state = 'closed'
    cancelNext?.()
    speaker.disconnect()
    listener.disconnect()
  }

  function subscribe(): void {
    listener.subscribe(name).then(
      () => {
        attempts = 0
        note('up')
      },
      (error: unknown) => {
        note('down', withoutArguments(error))
        if (state === 'closed') return
        attempts += 1
        needs.schedule(retryDelayMs(attempts, random), () => {
          if (state === 'down' && listener.status === 'ready') subscribe()
        })
      },
    )
  }

  function probe(): void {
    cancelNext = needs.schedule(PROBE_MS, () => {
      // A cluster looks after its subscriber itself. Of others, silence after this ends the connection, and a new one is made.
      if (!(listener instanceof Cluster) && listener.status === 'ready') listener.ping().catch(() => undefined)
      probe()
    })
  }

  function note(now: 'up' | 'down', why?: unknown): void {
    if (state === 'closed' || state === now) return
    state = now
    needs.heard(now, now === 'up' ? undefined : why)
  }
}
