/**
 * Keeps the processes that answer requests: starts them, replaces those that die, stops them, and carries questions to them.
 *
 * The process that started as the program, the primary, answers no request of a client itself: it takes connections, hands
 * them out, and gives operators one view of all. This room never reads the configuration and knows none of the questions
 * that it carries; it never kills a worker that still has time to finish what it does.
 *
 * @module
 */
import { addressOf, type Address } from './address.ts'
import type { Process } from './processes.ts'
import { createWire, type Handlers, type Wire } from './wire.ts'

export type { Address } from './address.ts'
export type { Parent, Process } from './processes.ts'
export { parentProcess, startProcess } from './processes.ts'
export type { Handlers, Wire } from './wire.ts'
export { createWholeLines } from './whole-lines.ts'
export { createWire } from './wire.ts'

/** What is told of workers; `worker` is its number, from 1, which whoever replaces it takes over. */
export interface WorkersEvents {
  ready(worker: number, pid: number): void
  /** It ended, and nobody told it to; it is replaced after the delay. */
  died(
    worker: number,
    facts: { readonly pid: number; readonly code: number; readonly signal?: string; readonly againMs: number },
  ): void
  /** What it was asked failed in it, or what it asked failed here. */
  failed(worker: number, cause: unknown): void
}

export interface WorkersNeeds {
  startProcess(): Process
  /** Monotonic, milliseconds. */
  monotonicMs(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** What a worker gets to know before anything else; asked anew for each. */
  welcome(worker: number): unknown
  /**
   * What a worker may ask of the primary, and tell it.
   *
   * @param life another number for each process that there ever was
   */
  handlers(life: number): Handlers
  /** A worker has ended, in whatever way; its metrics and its unfinished business are to be settled. */
  left(life: number): void
  readonly events: WorkersEvents
}

export interface Answered {
  readonly worker: number
  readonly life: number
  readonly body: unknown
}

export interface Workers {
  /**
   * Starts one, so that what is made at a first start is made once, then all others. Resolves when all are ready.
   *
   * @returns where they listen
   * @throws Error when one cannot start, with its reason; what was started is to be stopped
   */
  start(): Promise<Address>
  /** Rejects when no worker is left and none can be started any more, with the reason of the last. */
  readonly lost: Promise<never>
  /** Asks a worker that can answer, the first ready one. Undefined where there is none. */
  askOne(name: string, body: unknown, timeoutMs: number): Promise<unknown>
  /** Asks all that can answer; who does not in time is left out. In the order of their numbers. */
  askAll(name: string, body: unknown, timeoutMs: number): Promise<readonly Answered[]>
  /** The same of those that take requests. */
  askReady(name: string, body: unknown, timeoutMs: number): Promise<readonly Answered[]>
  /** @param exceptLife whoever says it already knows */
  tellAll(name: string, body?: unknown, exceptLife?: number): void
  /** How many there are to be, and how many answer requests. */
  count(): { readonly wanted: number; readonly ready: number }
  /**
   * Has all of them finish what they do.
   *
   * @param killMs - who is still there then is killed
   * @returns how many answers were cut
   */
  stop(killMs: number): Promise<number>
}

interface Slot {
  readonly worker: number
  /** `open`: it can be asked, and takes no requests yet. */
  state: 'down' | 'starting' | 'open' | 'ready' | 'stopping'
  process?: Process
  wire?: Wire
  life: number
  readySinceMs: number
  /** Ends one after the other of which none was ready for long. */
  failures: number
  reason?: string
  cancel?: () => void
  cutAnswers: number
}

/** What a process said before it ended is read within this time. */
const LAST_WORDS_MS = 100
/** A worker that lived so long may be replaced at once. */
const PROVED_MS = 10_000
/** Wait before a further try: doubled with each failure, up to the longest. */
const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 10_000
/** When no worker is left and one failed so often, whoever watches over the primary shall know. */
const HOPELESS = 5

export function createWorkers(needs: WorkersNeeds, wanted: number): Workers {
  const slots = Array.from({ length: wanted }, (_, index): Slot => ({
    worker: index + 1,
    state: 'down',
    life: 0,
    readySinceMs: 0,
    failures: 0,
    cutAnswers: 0,
  }))
  const lost = Promise.withResolvers<never>()
  // Who starts them listens; a program that does not is not to end for that.
  lost.promise.catch(() => undefined)
  /** Waits for the first start of each worker. */
  const starts = new Map<Slot, { resolve(address: Address): void; reject(error: Error): void }>()
  let whenAllEnded: (() => void) | undefined
  let isStopping = false
  let lives = 0
  return { start, lost: lost.promise, askOne, askAll, askReady, tellAll, count, stop }

  async function start(): Promise<Address> {
    const [first, ...others] = slots
    if (first === undefined) throw new Error('there are no workers to start')
    const address = await begin(first)
    await Promise.all(others.map(begin))
    return address
  }

  function begin(slot: Slot): Promise<Address> {
    const { promise, resolve, reject } = Promise.withResolvers<Address>()
    if (isStopping) return Promise.reject(new Error('the gateway was closed before it was ready'))
    starts.set(slot, { resolve, reject })
    run(slot)
    return promise
  }

  function run(slot: Slot): void {
    const { worker } = slot
    lives += 1
    const life = lives
    const child = needs.startProcess()
    const wire = createWire(
      {
        send: child.send,
        schedule: needs.schedule,
        failed: (name, cause) => needs.events.failed(worker, new Error(name, { cause })),
      },
      { ...needs.handlers(life), ...reports(slot, child.pid) },
    )
    slot.process = child
    slot.wire = wire
    slot.life = life
    slot.state = 'starting'
    delete slot.reason
    child.onMessage(wire.receive)
    child.onExit((code, signal) => {
      wire.cut()
      needs.schedule(LAST_WORDS_MS, child.letGo)
      ended(slot, child.pid, code, signal)
    })
  }

  /** What every worker tells of itself. */
  function reports(slot: Slot, pid: number): Handlers {
    return {
      // It asks: what comes before it listens would be lost.
      welcome() {
        if (isStopping) slot.wire?.tell('stop')
        return needs.welcome(slot.worker)
      },
      open() {
        if (slot.state === 'starting') slot.state = 'open'
      },
      ready(body) {
        if (slot.state === 'stopping') return
        slot.state = 'ready'
        slot.readySinceMs = needs.monotonicMs()
        needs.events.ready(slot.worker, pid)
        starts.get(slot)?.resolve(addressOf(body))
        starts.delete(slot)
      },
      refused(body) {
        slot.reason = String(body)
      },
      stopped(body) {
        slot.cutAnswers = Number(body)
      },
    }
  }

  function ended(slot: Slot, pid: number, code: number, signal: string | null): void {
    const wasReady = slot.state === 'ready'
    slot.state = 'down'
    needs.left(slot.life)
    if (isStopping) {
      if (slots.every(({ state }) => state === 'down')) whenAllEnded?.()
      return
    }
    const reason = new Error(slot.reason ?? `worker ${slot.worker} ended ${signal === null ? `with ${code}` : `by ${signal}`}`)
    const first = starts.get(slot)
    if (first !== undefined) {
      starts.delete(slot)
      first.reject(reason)
      return
    }
    const lived = wasReady && needs.monotonicMs() - slot.readySinceMs >= PROVED_MS
    // One that was told to end, and did so well, has proved itself too.
    slot.failures = lived || (wasReady && code === 0) ? 0 : slot.failures + 1
    const againMs = slot.failures <= 1 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** (slot.failures - 2), LONGEST_WAIT_MS)
    needs.events.died(slot.worker, { pid, code, ...(signal !== null && { signal }), againMs })
    if (slot.failures >= HOPELESS && slots.every(({ state }) => state !== 'ready')) {
      lost.reject(reason)
      return
    }
    slot.cancel = needs.schedule(againMs, () => run(slot))
  }

  async function askOne(name: string, body: unknown, timeoutMs: number): Promise<unknown> {
    const slot = slots.find(({ state }) => state === 'ready') ?? slots.find(({ state }) => state === 'open')
    return slot?.wire?.ask(name, body, timeoutMs)
  }

  function askAll(name: string, body: unknown, timeoutMs: number): Promise<readonly Answered[]> {
    return askThose(
      slots.filter(({ state }) => state !== 'down' && state !== 'starting'),
      name,
      body,
      timeoutMs,
    )
  }

  function askReady(name: string, body: unknown, timeoutMs: number): Promise<readonly Answered[]> {
    return askThose(
      slots.filter(({ state }) => state === 'ready'),
      name,
      body,
      timeoutMs,
    )
  }

  async function askThose(able: readonly Slot[], name: string, body: unknown, timeoutMs: number): Promise<readonly Answered[]> {
    const asked = able.map(({ worker, life }) => ({ worker, life }))
    const answers = await Promise.allSettled(able.map(async ({ wire }) => wire?.ask(name, body, timeoutMs)))
    return asked.flatMap(({ worker, life }, index) => {
      const answer = answers[index]
      return answer?.status === 'fulfilled' ? [{ worker, life, body: answer.value }] : []
    })
  }

  function tellAll(name: string, body?: unknown, exceptLife?: number): void {
    for (const { wire, life } of slots) if (life !== exceptLife) wire?.tell(name, body)
  }

  function count(): { wanted: number; ready: number } {
    return { wanted, ready: slots.filter(({ state }) => state === 'ready').length }
  }

  async function stop(killMs: number): Promise<number> {
    isStopping = true
    for (const slot of slots) {
      slot.cancel?.()
      if (slot.state !== 'down') slot.state = 'stopping'
    }
    for (const [slot, { reject }] of starts) {
      starts.delete(slot)
      reject(new Error('the gateway was closed before it was ready'))
    }
    if (slots.some(({ state }) => state !== 'down')) await allEnded(killMs)
    return slots.reduce((sum, { cutAnswers }) => sum + cutAnswers, 0)
  }

  async function allEnded(killMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    whenAllEnded = () => resolve(undefined)
    tellAll('stop')
    const cancel = needs.schedule(killMs, () => {
      for (const slot of slots) if (slot.state !== 'down') slot.process?.kill('SIGKILL')
    })
    await promise
    cancel()
  }
}
