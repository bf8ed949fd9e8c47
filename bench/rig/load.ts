/** The load of a measurement, on the second core: wrk where it is installed, else autocannon. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { ask } from '../support/processes.ts'
import { findProgram, treeCpuSeconds } from './programs.ts'

export interface Load {
  readonly url: string
  readonly seconds: number
  readonly connections: number
  /** A token in each line, sent in turn; without it requests are anonymous. */
  readonly tokenFile?: string
  /** The lines that are sent: so many, after so many; without it all. */
  readonly window?: { readonly offset: number; readonly count: number }
  /** Posts so many octets each time; without it GET is sent. */
  readonly bodyBytes?: number
  /** Whose CPU time is read, with the processes below it. */
  readonly pid: number
}

export interface Measured {
  /** Answered, whatever with. */
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMicros: number
  /** Of its core, by who is measured. */
  readonly cpuShare: number
  /** Failed connections, timeouts, and answers of 400 and more. */
  readonly errors: number
}

const ALL = { offset: 0, count: 1e9 } as const

type Counted = Omit<Measured, 'cpuMicros' | 'cpuShare'>

/** Sends what it made before the run, and writes what wrk counted as one line of JSON. */
export const WRK_SCRIPT = `local requests, at = {}, 0
function init(args)
  if args[4] then
    wrk.method = "POST"
    wrk.body = string.rep("x", tonumber(args[4]))
  end
  if args[1] then
    local first, last, line = tonumber(args[2]), tonumber(args[2]) + tonumber(args[3]), 0
    for token in io.lines(args[1]) do
      if line >= first and line < last then
        requests[#requests + 1] = wrk.format(nil, nil, { Host = wrk.headers["Host"], Authorization = "Bearer " .. token })
      end
      line = line + 1
    end
  else
    requests[1] = wrk.format()
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"micros":%d,"p50":%d,"p99":%d,"errors":%d}\\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
`

/** @returns what sends the load: `wrk` or `autocannon` */
export function loadProgram(): 'wrk' | 'autocannon' {
  return findProgram('wrk') === undefined ? 'autocannon' : 'wrk'
}

/** @param script - the path of {@link WRK_SCRIPT} */
export async function runLoad(load: Load, script: string): Promise<Measured> {
  const [before, startedMs] = [treeCpuSeconds(load.pid), performance.now()]
  const counted = await (loadProgram() === 'wrk' ? byWrk(load, script) : byAutocannon(load))
  const cpuSeconds = treeCpuSeconds(load.pid) - before
  const cpuShare = cpuSeconds / ((performance.now() - startedMs) / 1000)
  return { ...counted, cpuMicros: (cpuSeconds * 1e6) / counted.requests, cpuShare }
}

/** What {@link WRK_SCRIPT} wrote. */
export function parseWrk(output: string): Counted {
  const line = /^RESULT (\{.*\})$/m.exec(output)?.[1]
  if (line === undefined) throw new Error(`wrk: ${output.slice(0, 400)}`)
  const { requests, micros, p50, p99, errors } = JSON.parse(line) as Record<
    'requests' | 'micros' | 'p50' | 'p99' | 'errors',
    number
  >
  return { requests, perSecond: (requests * 1e6) / micros, p50Ms: p50 / 1000, p99Ms: p99 / 1000, errors }
}

function byWrk({ url, seconds, connections, tokenFile, window = ALL, bodyBytes }: Load, script: string): Promise<Counted> {
  const how = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script]
  const tokens = tokenFile === undefined ? [] : [tokenFile, String(window.offset), String(window.count)]
  const body = bodyBytes === undefined ? [] : [String(bodyBytes)]
  return new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', '1', 'wrk', ...how, url, '--', ...tokens, ...body], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.on('error', reject)
    child.on('close', () => {
      try {
        resolve(parseWrk(output))
      } catch (error) {
        reject(error)
      }
    })
  })
}

async function byAutocannon({ url, seconds, connections, tokenFile, window = ALL, bodyBytes }: Load): Promise<Counted> {
  // It makes each request anew for each connection before the first one is sent.
  if (window !== ALL) throw new Error('so many tokens need wrk')
  const all = tokenFile === undefined ? [] : readFileSync(tokenFile, 'utf8').trimEnd().split('\n')
  const load = { url, seconds, connections, tokens: all, pid: 0, ...(bodyBytes === undefined ? {} : { bodyBytes }) }
  const { requestsPerSecond, ...counted } = await ask<Omit<Counted, 'perSecond'> & { requestsPerSecond: number }>(
    1,
    'cannon.ts',
    load,
  )
  return { ...counted, perSecond: requestsPerSecond }
}
