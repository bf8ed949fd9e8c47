/**
 * Revokes tokens at a steady rate and shows each to every gateway until all refuse it: reads a RevocationLoad from standard
 * input and writes a RevocationLoadResult to standard output.
 */
import { readFileSync } from 'node:fs'
import { Pool, type Dispatcher } from 'undici'
import { createTurns, timingOf, type Timing } from './latencies.ts'

export interface RevocationLoad {
  /** Each revocation goes to the next one; every token is shown to all. */
  readonly origins: readonly string[]
  readonly tokens: readonly string[]
  readonly perSecond: number
  /** `watch`: tokens are shown until all refuse them. `after`: all tokens are shown once all are revoked. */
  readonly mode: 'watch' | 'after'
  /** With `watch`: one in so many is shown. What is shown costs a gateway more than what is revoked. */
  readonly watchOneIn: number
}

export interface RevocationLoadResult {
  /** From the moment at which it was due to the answer. */
  readonly revoke: Timing
  /** From the answer to the refusal by the last gateway, its way over the wire included. */
  readonly everywhere: Timing
  /** Answers to revocations that had to be asked for again. */
  readonly repeated: number
  /** Tokens that some gateway took after they were revoked, at least once. */
  readonly takenLater: number
  /** Tokens that some gateway still takes at the end. */
  readonly missed: number
}

/** A gateway that takes a token for so long has missed its revocation. */
const PATIENCE_MS = 5000
const CONNECTIONS = 32

const load = JSON.parse(readFileSync(0, 'utf8')) as RevocationLoad
const revokers = load.origins.map((origin) => new Pool(origin, { connections: CONNECTIONS, pipelining: 1 }))
// Connections of their own: what is shown must not wait behind what is revoked.
const pools = load.origins.map((origin) => new Pool(origin, { connections: CONNECTIONS, pipelining: 1 }))
const revoking: number[] = []
const everywhere: number[] = []
let [repeated, takenLater, missed] = [0, 0, 0]

// A token that is refused anyway would pass for revoked.
const before = await Promise.all(pools.map((_, gateway) => show(load.tokens[0] ?? '', gateway)))
if (before.some((status) => status !== 200)) throw new Error(`a token is not let in before it is revoked: ${before.join(', ')}`)

const turns = createTurns({ requests: load.tokens.length, perSecond: load.perSecond })
const shown: Promise<void>[] = []
await Promise.all(Array.from({ length: CONNECTIONS * 2 }, work))
const seconds = turns.elapsedSeconds()
await Promise.all(shown)
if (load.mode === 'after') await Promise.all(Array.from({ length: CONNECTIONS }, (_, lane) => showAll(lane)))
const result: RevocationLoadResult = {
  revoke: timingOf(revoking, seconds),
  everywhere: timingOf(everywhere, seconds),
  repeated,
  takenLater,
  missed,
}
await Promise.all([...revokers, ...pools].map((pool) => pool.close()))
process.stdout.write(JSON.stringify(result))

async function work(): Promise<void> {
  for (let turn = await turns.next(); turn !== undefined; turn = await turns.next()) {
    const token = load.tokens[turn.index] ?? ''
    for (let attempt = 0; (await revoke(token, turn.index + attempt)) !== 200; attempt += 1) {
      repeated += 1
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    revoking.push(performance.now() - turn.fromMs)
    if (load.mode === 'watch' && turn.index % load.watchOneIn === 0) shown.push(watch(token))
  }
}

function revoke(token: string, index: number): Promise<number> {
  const headers = { 'content-type': 'application/json' }
  return send(revokers, index, { path: '/sessions/revoke', method: 'POST', headers, body: JSON.stringify({ token }) })
}

async function watch(token: string): Promise<void> {
  const fromMs = performance.now()
  let wasTaken = false
  const refusals = await Promise.all(
    pools.map(async (_, gateway) => {
      while ((await show(token, gateway)) !== 401) {
        wasTaken = true
        if (performance.now() - fromMs > PATIENCE_MS) return false
      }
      return true
    }),
  )
  everywhere.push(performance.now() - fromMs)
  if (wasTaken) takenLater += 1
  if (refusals.includes(false)) missed += 1
}

async function showAll(lane: number): Promise<void> {
  for (let index = lane; index < load.tokens.length; index += CONNECTIONS) await watch(load.tokens[index] ?? '')
}

function show(token: string, gateway: number): Promise<number> {
  return send(pools, gateway, { path: '/api/small', method: 'GET', headers: { authorization: `Bearer ${token}` } })
}

/** Resolves to the status; 0 for none. */
function send(among: readonly Pool[], index: number, options: Dispatcher.DispatchOptions): Promise<number> {
  return new Promise((resolve) => {
    let status = 0
    const pool = among[index % among.length]
    pool?.dispatch(options, {
      onRequestStart: () => undefined,
      onResponseStart(_controller, statusCode) {
        status = statusCode
      },
      onResponseData: () => undefined,
      onResponseEnd: () => resolve(status),
      onResponseError: () => resolve(0),
    })
  })
}
