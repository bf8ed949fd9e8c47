/** Workers whose processes, clock and timers the test holds in its hand. */
import { createWire, createWorkers, type Process, type Wire, type Workers } from '../../../src/workers/workers.ts'

export interface FakeProcess {
  readonly pid: number
  /** What the primary has sent, by name. */
  readonly told: string[]
  readonly killed: string[]
  /** The worker's own end of the wire. */
  readonly wire: Wire
  exit(code: number, signal?: string): void
}

export interface World {
  readonly workers: Workers
  readonly processes: FakeProcess[]
  /** The newest process. */
  last(): FakeProcess
  readonly events: unknown[]
  readonly left: number[]
  /** Processes whose last connections were let go of. */
  readonly letGo: number[]
  /** Lets that much time pass, and runs what is due then. */
  pass(ms: number): Promise<void>
  settle(): Promise<void>
}

interface Timer {
  readonly atMs: number
  readonly run: () => void
}

export function createWorld(wanted: number): World {
  let nowMs = 0
  const timers = new Set<Timer>()
  const processes: FakeProcess[] = []
  const events: unknown[] = []
  const left: number[] = []
  const letGo: number[] = []
  const schedule = (delayMs: number, run: () => void): (() => void) => {
    const timer = { atMs: nowMs + delayMs, run }
    timers.add(timer)
    return () => void timers.delete(timer)
  }
  const startProcess = (): Process => {
    let take: (message: unknown) => void = () => undefined
    let exited: (code: number, signal: string) => void = () => undefined
    const told: string[] = []
    const killed: string[] = []
    const wire = createWire(
      { send: (message) => queueMicrotask(() => take(JSON.parse(JSON.stringify(message)))), schedule },
      { echo: (body) => body, fail: () => Promise.reject(new Error('no')), never: () => new Promise(() => undefined) },
    )
    const pid = 100 + processes.length
    processes.push({ pid, told, killed, wire, exit: (code, signal) => exited(code, signal ?? (null as unknown as string)) })
    return {
      pid,
      send(message) {
        const { is, name } = message as { is: string; name: string }
        if (is === 'tell') told.push(name)
        queueMicrotask(() => wire.receive(JSON.parse(JSON.stringify(message))))
      },
      kill: (signal) => void killed.push(signal),
      onMessage(listener) {
        take = listener
      },
      onExit(listener) {
        exited = listener
      },
      letGo: () => void letGo.push(pid),
    }
  }
  const workers = createWorkers(
    {
      startProcess,
      monotonicMs: () => nowMs,
      schedule,
      welcome: (worker) => ({ worker }),
      handlers: () => ({}),
      left: (life) => void left.push(life),
      events: {
        ready: (worker, pid) => void events.push(['ready', worker, pid]),
        died: (worker, facts) => void events.push(['died', worker, facts]),
        failed: (worker) => void events.push(['failed', worker]),
      },
    },
    wanted,
  )
  return { workers, processes, last, events, left, letGo, pass, settle }

  function last(): FakeProcess {
    const process = processes.at(-1)
    if (process === undefined) throw new Error('none was started')
    return process
  }

  async function pass(ms: number): Promise<void> {
    nowMs += ms
    const due = Array.from(timers).filter(({ atMs }) => atMs <= nowMs)
    for (const timer of due) {
      timers.delete(timer)
      timer.run()
    }
    await settle()
  }

  async function settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
  }
}
