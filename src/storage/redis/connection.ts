import { Cluster } from 'ioredis'
import type { Redis } from 'ioredis'
import { Problem } from '../../problem/problem.ts'
import type { RedisConfig } from './client.ts'
import { createClient } from './client.ts'
import { createCork } from './cork.ts'
import { Broken, codeOf, isOurFault, refusesWrites, withoutArguments } from './failures.ts'
import { list } from './replies.ts'
import { keepInStep } from './step.ts'
import type { Script } from './script.ts'

export interface ConnectionNeeds {
  /** A clock in milliseconds, fractions welcome; only differences of it are used. */
  nowMs(): number
  /** From 0, below 1; spreads the retries of many gateways. */
  random(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** Runs once after what came in with this turn of the event loop. Without it each command is written by itself. */
  endOfTurn?(run: () => void): void
  /** Told of each command how long it took. */
  observe?(seconds: number): void
  /** Told when Redis is there or away, once for each change. */
  up?(isUp: boolean): void
}

export type Argument = string | number

/**
 * A way to Redis. Every method rejects with `storage_unavailable` when Redis is away, refuses to serve or does not answer
 * within 2 s; what Redis has against a command of ours is an error of another kind.
 */
export interface Connection {
  /** One command. */
  send(...command: readonly Argument[]): Promise<unknown>
  /**
   * A script by its name, or by its text to a server that does not know it. Rejects with `storage_unavailable` also when what
   * comes is the answer to another question.
   */
  run(script: Script, keys: readonly string[], values: readonly (Argument | Buffer)[]): Promise<unknown>
  /** Several commands one behind the other to the server that holds their key; the first failure is that of all. */
  sendTogether(commands: readonly (readonly Argument[])[]): Promise<readonly unknown[]>
  /** Whether there is any replica of what is written here. */
  hasReplicas(): Promise<boolean>
  close(): void
}

/** A command that was not answered by then has failed, for its caller. */
const ANSWER_MS = 2_000
/** A connection that broke just now is waited for: most breaks are over in the time of one answer. */
const PATIENCE_MS = 250
/** For so long after it refused a write Redis is not there; longer when it refuses again as soon as it is. */
const HOLD_MS = 1_000
const LONGEST_HOLD_MS = 5_000

/**
 * Connects.
 *
 * @param away - what becomes of a Redis that is not there: `refuse` rejects and tries no more, `wait` goes on trying for
 *   ever while commands are refused
 */
export async function openConnection(
  needs: ConnectionNeeds,
  config: RedisConfig,
  away: 'refuse' | 'wait' = 'refuse',
): Promise<Connection> {
  const client = createClient(config, () => needs.random())
  const state = watch(client, needs)
  const step = keepInStep(client, needs)
  let asked = 0
  const cork = needs.endOfTurn === undefined ? undefined : createCork(client, (run) => needs.endOfTurn?.(run))
  try {
    await within(client.connect(), ANSWER_MS * 2)
  } catch (cause) {
    if (away === 'refuse') {
      step.stop()
      client.disconnect()
      // That the connection is closed says nothing: why, it was told before.
      throw unavailable(state.lastFault() ?? cause)
    }
    state.note(false)
  }
  return {
    send,
    run,
    sendTogether: async (commands) =>
      answersOf(await guarded(() => client.pipeline(commands.map(([...one]) => ['call', ...one])).exec())),
    hasReplicas,
    close() {
      state.close()
      step.stop()
      client.disconnect()
    },
  }

  function send(...command: readonly Argument[]): Promise<unknown> {
    const [name = '', ...values] = command
    return guarded(() => client.call(String(name), ...values))
  }

  async function run(script: Script, keys: readonly string[], values: readonly (Argument | Buffer)[]): Promise<unknown> {
    asked += 1
    const tag = asked.toString(36)
    const evaluate = (name: string, which: string): Promise<unknown> =>
      script.answers === 'bytes'
        ? guarded(() => client.callBuffer(name, which, keys.length, ...keys, ...values, tag))
        : guarded(() => client.call(name, which, keys.length, ...keys, ...values, tag))
    try {
      return answerTo(tag, await evaluate('EVALSHA', script.sha))
    } catch (error) {
      if (codeOf(error) !== 'NOSCRIPT') throw error
      return answerTo(tag, await evaluate('EVAL', script.text))
    }
  }

  /** Nothing is taken from an answer to another question: it may be about another user. */
  function answerTo(tag: string, reply: unknown): unknown {
    const [own, answer = null]: readonly unknown[] = Array.isArray(reply) ? reply : []
    if (String(own) === tag) return answer
    step.leave()
    throw unavailable(new Error('Redis answered another question'))
  }

  async function hasReplicas(): Promise<boolean> {
    if (client instanceof Cluster) return client.nodes('slave').length > 0
    const info = await send('INFO', 'replication')
    return typeof info === 'string' && /^connected_slaves:[1-9]/m.test(info)
  }

  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    const startedMs = needs.nowMs()
    let isSent = false
    try {
      if (!isWritable(client)) await state.ready(PATIENCE_MS)
      cork?.()
      isSent = true
      const reply = await within(work(), ANSWER_MS)
      state.note(true)
      return reply
    } catch (error) {
      if (isOurFault(error)) throw withoutArguments(error)
      if (refusesWrites(error)) state.refused()
      else state.note(false)
      if (error instanceof NoAnswer) step.leave()
      const isBroken = isSent && codeOf(error) === undefined && !(error instanceof NoAnswer || client instanceof Cluster)
      throw unavailable(isBroken ? new Broken(withoutArguments(error).message) : error)
    } finally {
      needs.observe?.(Math.max(0, needs.nowMs() - startedMs) / 1000)
    }
  }

  function within<T>(work: Promise<T>, limitMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = needs.schedule(limitMs, () => reject(new NoAnswer(`Redis did not answer within ${limitMs} ms`)))
      work.then(resolve, reject).finally(cancel)
    })
  }
}

class NoAnswer extends Error {}

/** The nodes of a cluster look after that themselves. */
function isWritable(client: Redis | Cluster): boolean {
  return client.status === 'ready' && (client instanceof Cluster || client.stream.writable)
}

function unavailable(error: unknown): Problem {
  const cause = error instanceof Broken ? error : withoutArguments(error)
  return new Problem('storage_unavailable', { headers: { 'retry-after': '1' }, cause })
}

interface State {
  /** Resolves when the connection is there again; rejects when it is not within the time, or was lost before that. */
  ready(patienceMs: number): Promise<void>
  note(isUp: boolean): void
  /** It takes no writes, for which it is not there; that it answers reads meanwhile says nothing. */
  refused(): void
  /** Why the connection was not made, or lost, the last time. */
  lastFault(): unknown
  /** Tells nothing from now on. */
  close(): void
}

function watch(client: Redis | Cluster, needs: ConnectionNeeds): State {
  let waiters: (() => void)[] = []
  let lostMs = Number.NEGATIVE_INFINITY
  let wasUp: boolean | undefined
  let wasReady = false
  let isClosed = false
  let lastFault: unknown
  let upMs = Number.NEGATIVE_INFINITY
  let [holdMs, heldMs] = [HOLD_MS, Number.NEGATIVE_INFINITY]
  client.on('ready', () => {
    wasReady = true
    note(true)
    const woken = waiters
    waiters = []
    for (const wake of woken) wake()
  })
  client.on('close', () => {
    // Attempts to reconnect that fail end here too, and are no new loss.
    if (wasReady) lostMs = needs.nowMs()
    wasReady = false
    note(false)
  })
  // Each command says its own failure, and `up` tells of the rest: an event without a listener would be printed.
  client.on('error', (fault) => {
    lastFault = fault
  })
  return {
    ready,
    note,
    refused,
    lastFault: () => lastFault,
    close() {
      isClosed = true
    },
  }

  function ready(patienceMs: number): Promise<void> {
    // A connection that cannot be written to any more is lost now, whenever that is noticed.
    const leftMs = (wasReady ? needs.nowMs() : lostMs) + patienceMs - needs.nowMs()
    if (leftMs <= 0) return Promise.reject(new Error('Redis is not connected'))
    return new Promise((resolve, reject) => {
      const cancel = needs.schedule(leftMs, () => reject(new Error('Redis is not connected')))
      waiters.push(() => {
        cancel()
        resolve()
      })
    })
  }

  function note(isUp: boolean): void {
    if (isUp === wasUp || isClosed || (isUp && needs.nowMs() < heldMs)) return
    wasUp = isUp
    if (isUp) upMs = needs.nowMs()
    needs.up?.(isUp)
  }

  /** Who is told that it is there again writes at once: a refusal of that must not become a loop. */
  function refused(): void {
    const nowMs = needs.nowMs()
    if (wasUp !== false) holdMs = nowMs - upMs < holdMs ? Math.min(holdMs * 2, LONGEST_HOLD_MS) : HOLD_MS
    heldMs = nowMs + holdMs
    note(false)
  }
}

function answersOf(replies: readonly (readonly [unknown, unknown])[] | null): readonly unknown[] {
  return list(replies).map((reply) => {
    const [error, answer] = list(reply)
    if (error !== null && error !== undefined) throw unavailable(error)
    return answer
  })
}
