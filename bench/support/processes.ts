/** Processes of a measurement: each pinned to a core, on a free loopback port, and ended with it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

/** Ticks of `/proc/stat` and `/proc/PID/stat` in a second: the same on every Linux. */
export const TICKS_PER_SECOND = 100

/**
 * `taskset` runs the program in place of itself, so the pid is the program's. Paths of scripts are relative to this folder.
 *
 * @param cores - numbers of the cores it may use, as in `0` or `0,1`
 */
export function pinned(
  cores: number | string,
  [script = '', ...args]: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  const command = [process.execPath, join(import.meta.dirname, script), ...args]
  return owned(
    spawn('taskset', ['-c', String(cores), ...command], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...environment },
    }),
  )
}

const running = new Set<ChildProcess>()

/** Ends it with this process at the latest, whatever ends that. */
export function owned(child: ChildProcess): ChildProcess {
  if (process.listenerCount('exit', endAll) === 0) {
    process.on('exit', endAll)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  }
  running.add(child)
  child.on('exit', () => running.delete(child))
  return child
}

function endAll(): void {
  for (const child of running) child.kill('SIGTERM')
}

/**
 * Runs a script that reads JSON from its standard input and writes JSON to its standard output.
 *
 * @param priority - a niceness: 1 to 19 for one that never sleeps, so that the others on its core need not wait for the end of its
 *   turn; below 0 for one that must not wait for them, which only root may ask for: others go on without. Or `idle`, for one that
 *   gets what the others leave, and makes way as soon as one of them wakes up
 */
export function ask<T>(core: number, script: string, question: unknown, priority: number | 'idle' = 0): Promise<T> {
  const how = priority === 'idle' ? ['chrt', '--idle', '0'] : ['nice', '-n', String(priority)]
  return new Promise((resolve, reject) => {
    const command = [...how, process.execPath, join(import.meta.dirname, script)]
    const child = spawn('taskset', ['-c', String(core), ...command], { stdio: ['pipe', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 ? resolve(JSON.parse(output) as T) : reject(new Error(`${script} ended with ${code}`)),
    )
    child.stdin.end(JSON.stringify(question))
  })
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** @param patienceMs - how long it may take */
export async function answers(url: string, patienceMs = 10_000): Promise<void> {
  for (const deadlineMs = performance.now() + patienceMs; performance.now() < deadlineMs;) {
    const response = await fetch(url).catch(() => undefined)
    if (response?.ok === true) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`nothing answers at ${url}`)
}

export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.on('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

/** CPU time of a process so far, all of its threads. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** CPU time so far of programs that this process started and that have ended. */
export function endedSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND
}
