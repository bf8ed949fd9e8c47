/**
 * Clients of the session endpoints: reads a SessionLoad from standard input and writes a SessionLoadResult to standard output.
 *
 * Each connection sends its next request when the last one is answered.
 */
import { readFileSync } from 'node:fs'
import { Client, type Dispatcher } from 'undici'
import { createTurns, timingOf, type Timing, type Turns } from './latencies.ts'

export interface SessionLoad {
  readonly origin: string
  readonly job: keyof typeof REQUESTS
  readonly tenant: string
  readonly connections: number
  readonly seconds?: number
  readonly requests?: number
  /** `Authorization` of the client that creates or revokes. */
  readonly authorization?: string
  /** Access or refresh tokens; `rotate` takes one for each connection. */
  readonly tokens?: readonly string[]
  /** Whether what was created is told. */
  readonly keep?: boolean
}

export interface SessionLoadResult extends Timing {
  readonly errors: number
  /** With those that only warmed up. */
  readonly served: number
  /** With `keep`: what was created. */
  readonly created: readonly Pair[]
  /** After `rotate`: the newest refresh token of each connection. */
  readonly tokens: readonly string[]
}

export interface Pair {
  readonly access: string
  readonly refresh: string
}

const load = JSON.parse(readFileSync(0, 'utf8')) as SessionLoad
const tokens = [...(load.tokens ?? [])]
const created: Pair[] = []
const latencies: number[] = []
let errors = 0
/** As a browser says it: the gateway keeps it with the session. */
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36'
const JSON_BODY = { 'content-type': 'application/json', 'user-agent': AGENT }

const REQUESTS = {
  create: () => post('/sessions', { tenant_id: load.tenant, user_id: crypto.randomUUID(), scope: 'orders:read orders:write' }),
  rotate: (token: string) => post('/sessions/refresh', { refresh_token: token, tenant_id: load.tenant }),
  revoke: (token: string) => post('/sessions/revoke', { token }),
  use: (token: string): Dispatcher.DispatchOptions => {
    return { path: '/api/small', method: 'GET', headers: { authorization: `Bearer ${token}` } }
  },
} as const

const clients = Array.from({ length: load.connections }, () => new Client(load.origin, { pipelining: 1 }))
/** A generator that just started is behind for a while, which would count as latency. */
const WARM_UP_SECONDS = 1
if (load.requests === undefined) await run(createTurns({ ...load, seconds: WARM_UP_SECONDS }))
const warmedUp = latencies.length
latencies.length = 0
const turns = createTurns(load)
await run(turns)
const result: SessionLoadResult = {
  ...timingOf(latencies, turns.elapsedSeconds()),
  errors,
  served: warmedUp + latencies.length,
  created,
  tokens: load.job === 'rotate' ? tokens : [],
}
await Promise.all(clients.map((client) => client.close()))
process.stdout.write(JSON.stringify(result))

async function run(turns: Turns): Promise<void> {
  await Promise.all(clients.map((client, connection) => work(client, connection, turns)))
}

async function work(client: Client, connection: number, turns: Turns): Promise<void> {
  for (let turn = await turns.next(); turn !== undefined; turn = await turns.next()) {
    const { status, text } = await send(client, requestOf(turn.index, connection))
    if (status === (load.job === 'create' ? 201 : 200)) {
      latencies.push(performance.now() - turn.fromMs)
      note(text, connection)
    } else {
      errors += 1
      if (errors === 1) console.error(`${load.job}: ${status} ${text.slice(0, 300)}`)
    }
  }
}

function requestOf(index: number, connection: number): Dispatcher.DispatchOptions {
  const token = tokens[load.job === 'rotate' ? connection : index % tokens.length] ?? ''
  return REQUESTS[load.job](token)
}

function post(path: string, body: unknown): Dispatcher.DispatchOptions {
  const { authorization } = load
  const headers = authorization === undefined ? JSON_BODY : { ...JSON_BODY, authorization }
  return { path, method: 'POST', headers, body: JSON.stringify(body) }
}

function note(text: string, connection: number): void {
  if (load.job === 'rotate') tokens[connection] = (JSON.parse(text) as { readonly refresh_token: string }).refresh_token
  if (load.job !== 'create' || load.keep !== true) return
  const pair = JSON.parse(text) as { readonly access_token: string; readonly refresh_token: string }
  created.push({ access: pair.access_token, refresh: pair.refresh_token })
}

/** `dispatch` costs half of what `request` does, and the generator has a share of a core only. */
function send(client: Client, options: Dispatcher.DispatchOptions): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve) => {
    let status = 0
    let text = ''
    client.dispatch(options, {
      onRequestStart: () => undefined,
      onResponseStart(_controller, statusCode) {
        status = statusCode
      },
      onResponseData(_controller, chunk) {
        text += chunk.toString('latin1')
      },
      onResponseEnd: () => resolve({ status, text }),
      onResponseError: (_controller, error) => resolve({ status: 0, text: error.message }),
    })
  })
}
