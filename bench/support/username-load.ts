/**
 * People who look for a username: reads a UsernameLoad from standard input and writes a UsernameLoadResult to standard output.
 *
 * With a rate, checks are due at evenly spaced moments whatever becomes of those before, and latency counts from then; without
 * one, each connection asks again as soon as it is answered. Bare sockets that read into one buffer, requests that are made before
 * the first is sent, and a loop that sleeps a moment at a time, so that Redis and the database on the same core get theirs.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { bucketOf, BUCKETS } from './username-latencies.ts'
import { createRandom, type Expected } from './username-names.ts'
import { createRequests } from './username-requests.ts'

export interface UsernameLoad {
  readonly origin: string
  readonly seed: number
  readonly connections: number
  /** How many are opened in a second; absent: as fast as it goes. */
  readonly openedPerSecond?: number
  /** Local addresses to come from, in turn. */
  readonly sources: readonly string[]
  /** Absent: as fast as it goes. */
  readonly perSecond?: number
  /** `free`: any connection that is not in use; `turn`: each in its turn, so that all of them stay in use. */
  readonly pick: 'free' | 'turn'
  /** Part of the time between two checks by which each is due later: several processes of clients that take turns. */
  readonly phase?: number
  /** How long the clients sleep when nothing is due: more where several processes of them share a core. */
  readonly pauseMs: number
  readonly warmUpSeconds: number
  readonly seconds: number
  /** Date.now() at which it begins at the earliest, with all connections open. */
  readonly startAtMs?: number
}

/** Counts of latencies, by `bucketOf`. */
export interface UsernameLoadResult {
  readonly all: readonly number[]
  /** The same from the moment at which a check was sent: without what the clients were late. */
  readonly sinceSent: readonly number[]
  readonly taken: readonly number[]
  readonly free: readonly number[]
  /** Of each second of the measured time. */
  readonly bySecond: readonly (readonly number[])[]
  readonly measuredSeconds: number
  /** Answered, with those that only warmed up. */
  readonly served: number
  /** Answers other than 200, and checks that were cut off or never sent. */
  readonly errors: number
  /** Those of the measured time. */
  readonly measuredErrors: number
  /** A taken name that was called free, or the other way round. */
  readonly wrong: number
  readonly opened: number
  /** How late checks were sent because the clients had no time, by counts. It is in the latency too. */
  readonly late: readonly number[]
  /** How long an answer can have been there before the clients had time to look: it is in both latencies. By counts. */
  readonly unread: readonly number[]
  /** How long checks waited for a connection, all of which waited for the gateway, by counts. */
  readonly waited: readonly number[]
  /** CPU time of the clients for each check. */
  readonly microsEach: number
  /** Why a connection could not be opened, or was lost. */
  readonly failure?: string
}

interface Line {
  readonly socket: Socket
  expected: Expected
  dueMs: number
  sentMs: number
  /** Octets of the answer that are still to come; undefined before the head. */
  left: number | undefined
  text: string
  state: 'free' | 'busy' | 'lost'
}

const OPENING_AT_ONCE = 200
/** What is not answered by then is an error. */
const PATIENCE_MS = 15_000
/** More than are ever asked for in a second without a rate. */
const MOST_PER_SECOND = 40_000
const ANSWER_BYTES = 64 * 1024
const load = JSON.parse(readFileSync(0, 'utf8')) as UsernameLoad
const { hostname, port, host } = new URL(load.origin)
const all = Math.ceil((load.perSecond ?? MOST_PER_SECOND) * (load.warmUpSeconds + load.seconds)) + 1
const requests = createRequests(createRandom(load.seed), host, all)
/** Of whichever connection reads: what it reads is done with before another one does. */
const answer = Buffer.allocUnsafeSlow(ANSWER_BYTES)
const pause = new Int32Array(new SharedArrayBuffer(4))
const lines: Line[] = []
const free: Line[] = []
const counts = {
  all: emptyCounts(),
  sinceSent: emptyCounts(),
  taken: emptyCounts(),
  free: emptyCounts(),
  late: emptyCounts(),
  unread: emptyCounts(),
  waited: emptyCounts(),
}
const bySecond = Array.from({ length: Math.ceil(load.seconds) }, emptyCounts)
let failure: string | undefined
let [sent, asked, served, errors, measuredErrors, wrong, flying, turn] = [0, 0, 0, 0, 0, 0, 0, 0]
/** When the last connection came free after none had been. */
let freedMs = 0
/** When it was looked for answers the last time. */
let lookedMs = 0
await openAll()
const opened = lines.length
if (load.startAtMs !== undefined) await sleep(Math.max(0, load.startAtMs - Date.now()))
const usedBefore = process.cpuUsage()
// All processes of clients mean the same moment.
const startedMs = Math.max(performance.now(), (load.startAtMs ?? 0) - performance.timeOrigin)
const measuredFromMs = startedMs + load.warmUpSeconds * 1000
const endMs = measuredFromMs + load.seconds * 1000
if (opened > 0) await new Promise<void>((resolve) => run(resolve))
// Neither answered nor, where the clients or the gateway were that far behind, sent.
const unanswered = flying + Math.max(0, dueBy(endMs) - sent)
errors += unanswered
measuredErrors += unanswered
const measuredSeconds = (Math.min(performance.now(), endMs) - measuredFromMs) / 1000
const used = process.cpuUsage(usedBefore)
const result: UsernameLoadResult = {
  ...counts,
  bySecond,
  measuredSeconds,
  served,
  errors,
  measuredErrors,
  wrong,
  opened,
  microsEach: (used.user + used.system) / Math.max(1, served),
  ...(failure !== undefined && { failure }),
}
process.stdout.write(JSON.stringify(result), () => process.exit(0))

function dueBy(moment: number): number {
  return load.perSecond === undefined ? 0 : Math.floor(((moment - startedMs) * load.perSecond) / 1000 - (load.phase ?? 0))
}

function run(done: () => void): void {
  const now = performance.now()
  lookedMs = now
  if (now < endMs) {
    if (load.perSecond === undefined) sendWhereFree(now)
    else if (sendWhatIsDue(now, load.perSecond)) Atomics.wait(pause, 0, 0, load.pauseMs)
    // Until an answer frees a connection there is nothing to do, and the core is for Redis and the database.
    else return void setTimeout(run, 1, done)
  } else {
    // What was due while the clients slept.
    if (load.perSecond !== undefined) sendWhatIsDue(endMs, load.perSecond)
    if (flying === 0 || now > endMs + PATIENCE_MS) return done()
  }
  if (load.perSecond === undefined) setTimeout(run, 1, done)
  else setImmediate(run, done)
}

function sendWhereFree(now: number): void {
  for (let line = free.pop(); line !== undefined; line = free.pop()) send(line, now)
}

/** Returns whether nothing is left that is due. */
function sendWhatIsDue(now: number, perSecond: number): boolean {
  for (;;) {
    const dueMs = startedMs + ((sent + (load.phase ?? 0)) * 1000) / perSecond
    if (dueMs > now || dueMs >= endMs) return true
    const line = load.pick === 'free' ? free.pop() : inTurn()
    if (line === undefined) return false
    sent += 1
    if (dueMs >= measuredFromMs) {
      const couldMs = Math.max(dueMs, Math.min(now, freedMs))
      add(counts.late, bucketOf(now - couldMs))
      add(counts.waited, bucketOf(couldMs - dueMs))
    }
    if (line.state === 'free') send(line, dueMs)
    else fail(dueMs)
  }
}

function fail(dueMs: number): void {
  errors += 1
  if (dueMs >= measuredFromMs) measuredErrors += 1
}

function inTurn(): Line | undefined {
  turn = (turn + 1) % lines.length
  return lines[turn]
}

function send(line: Line, dueMs: number): void {
  if (line.state === 'lost') return
  const index = asked++
  line.state = 'busy'
  line.dueMs = dueMs
  line.sentMs = performance.now()
  line.expected = requests.expected(index)
  flying += 1
  line.socket.write(requests.octets(index))
}

async function openAll(): Promise<void> {
  let next = 0
  const beganMs = performance.now()
  const one = async (): Promise<void> => {
    while (next < load.connections && failure === undefined) {
      const index = next++
      const earlyMs = beganMs + (index * 1000) / (load.openedPerSecond ?? Number.POSITIVE_INFINITY) - performance.now()
      if (earlyMs > 0) await sleep(earlyMs)
      await open(index)
    }
  }
  await Promise.all(Array.from({ length: Math.min(OPENING_AT_ONCE, load.connections) }, one))
}

function open(index: number): Promise<void> {
  return new Promise((resolve) => {
    const localAddress = load.sources[index % load.sources.length] ?? '127.0.0.1'
    const onread = { buffer: answer, callback: (bytes: number) => take(line, bytes) }
    const socket = connect({ host: hostname, port: Number(port), localAddress, noDelay: true, onread })
    const line: Line = { socket, expected: 'unknown', dueMs: 0, sentMs: 0, left: undefined, text: '', state: 'free' }
    socket.once('connect', () => {
      lines.push(line)
      if (load.pick === 'free') free.push(line)
      resolve()
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure ??= error.code ?? error.message
    })
    socket.on('close', () => {
      failure ??= 'closed by the gateway'
      if (line.state === 'busy') {
        flying -= 1
        fail(line.dueMs)
      }
      line.state = 'lost'
      resolve()
    })
  })
}

/** Returns that there may be more to read. */
function take(line: Line, bytes: number): true {
  line.text += answer.toString('latin1', 0, bytes)
  if (line.left === undefined) {
    const end = line.text.indexOf('\r\n\r\n')
    if (end === -1) return true
    const at = line.text.indexOf('\r\ncontent-length: ')
    line.left = end + 4 + Number.parseInt(line.text.slice(at + 18, at + 28), 10)
  }
  if (line.text.length >= line.left) settle(line)
  return true
}

function settle(line: Line): void {
  const now = performance.now()
  flying -= 1
  if (line.text.startsWith('HTTP/1.1 200 ')) note(line, now)
  else {
    fail(line.dueMs)
    if (errors === 1) console.error(line.text.slice(0, 400))
  }
  line.left = undefined
  line.text = ''
  line.state = 'free'
  if (load.perSecond === undefined && now < endMs) return send(line, now)
  if (load.pick === 'turn') return
  if (free.length === 0) freedMs = now
  free.push(line)
  if (load.perSecond !== undefined && free.length === 1 && now < endMs) sendWhatIsDue(now, load.perSecond)
}

function note(line: Line, now: number): void {
  served += 1
  const isCalledFree = line.text.includes('"available":true')
  if (line.expected !== 'unknown' && isCalledFree !== (line.expected === 'free')) wrong += 1
  if (line.dueMs < measuredFromMs || line.dueMs >= endMs) return
  const bucket = bucketOf(now - line.dueMs)
  add(counts.all, bucket)
  add(counts.sinceSent, bucketOf(now - line.sentMs))
  add(counts.unread, bucketOf(now - lookedMs))
  add(isCalledFree ? counts.free : counts.taken, bucket)
  const second = bySecond[Math.floor((line.dueMs - measuredFromMs) / 1000)]
  if (second !== undefined) add(second, bucket)
}

function add(to: number[], bucket: number): void {
  to[bucket] = (to[bucket] ?? 0) + 1
}

function emptyCounts(): number[] {
  return Array.from({ length: BUCKETS }, () => 0)
}
