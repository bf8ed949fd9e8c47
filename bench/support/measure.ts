import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Load {
  readonly url: string
  readonly seconds: number
  /** Stops after so many, in place of `seconds`. */
  readonly requests?: number
  readonly connections: number
  /** Sent in rotation; none: anonymous. */
  readonly tokens: readonly string[]
  /** The process whose CPU time is read. */
  readonly pid: number
}

export interface Measured {
  /** Answered with 2xx. */
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMicrosPerRequest: number
  /** Connection errors, timeouts and answers other than 2xx. */
  readonly errors: number
}

/** Ticks of `/proc/PID/stat` in a second: the same on every Linux. */
const TICKS_PER_SECOND = 100

/** One run of autocannon in a process of its own, on the second core. */
export async function measure(load: Load): Promise<Measured> {
  const before = cpuSeconds(load.pid)
  const result = await cannon(load)
  const cpu = cpuSeconds(load.pid) - before
  return { ...result, cpuMicrosPerRequest: (cpu * 1e6) / result.requests }
}

function cannon(load: Load): Promise<Omit<Measured, 'cpuMicrosPerRequest'>> {
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', '1', process.execPath, join(import.meta.dirname, 'cannon.ts')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.on('error', reject)
    child.on('exit', (code) => (code === 0 ? resolve(JSON.parse(output)) : reject(new Error(`autocannon ended with ${code}`))))
    child.stdin.end(JSON.stringify(load))
  })
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}
