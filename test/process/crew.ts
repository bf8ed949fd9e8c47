/** A gateway of several processes, and requests that reach each of them. */
import { request, type Agent, type IncomingHttpHeaders } from 'node:http'
import { readdirSync, readFileSync } from 'node:fs'
import { startGatewayProcess, waitFor, type GatewayProcess, type GatewayProcessOptions } from '../support/process.ts'

export const SECRET_ROUTES = `
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: usernames, match: { path: /usernames/* }, service: usernames }
  - { name: discovery, match: { path: /.well-known/* }, service: discovery }
  - { name: health, match: { path: /health }, service: health }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
  - { name: once, match: { path: /once/* }, auth: required, replay: once, service: echo }
  - { name: open, match: { path: /open/* }, auth: public, service: echo }
`

/** On a machine that has other work. */
const LIMIT_MS = 60_000

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
}

export interface Call {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly agent?: Agent
}

/** Starts as many workers; `yaml` is what follows. */
export function startCrew(workers: number, yaml: string, options: GatewayProcessOptions = {}): Promise<GatewayProcess> {
  return startGatewayProcess(`workers: ${workers}\n${yaml}`, { startMs: LIMIT_MS, ...options })
}

/** One request on a connection of its own: connections go to the workers in turn. */
export function ask(gateway: Pick<GatewayProcess, 'port'>, path: string, call: Call = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const body = call.body === undefined ? undefined : JSON.stringify(call.body)
  const req = request(
    {
      host: '127.0.0.1',
      port: gateway.port,
      path,
      method: call.method ?? (body === undefined ? 'GET' : 'POST'),
      agent: call.agent ?? false,
      headers: {
        host: `localhost:${gateway.port}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...call.headers,
      },
    },
    (res) => {
      let text = ''
      res.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      res.on('error', reject)
      res.on('end', () => {
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text === '' ? {} : parse(text) })
      })
    },
  )
  req.on('error', reject)
  req.end(body)
  return promise
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return { text }
  }
}

/** The answers of as many requests as reach every worker, one after another. */
export async function askEach(gateway: GatewayProcess, workers: number, path: string, call: Call = {}): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let turn = 0; turn < workers; turn += 1) answers.push(await ask(gateway, path, call))
  return answers
}

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly email: string
}

export async function register(gateway: GatewayProcess, more: Readonly<Record<string, string>> = {}): Promise<Tokens> {
  const email = `user-${crypto.randomUUID()}@example.com`
  const password = 'correct horse battery staple'
  const registered = await ask(gateway, '/auth/register', { body: { email, password, ...more } })
  if (registered.status !== 201) throw new Error(`register: ${registered.status} ${JSON.stringify(registered.body)}`)
  const { status, body } = await ask(gateway, '/auth/login', { body: { email, password } })
  if (status !== 200) throw new Error(`login: ${status} ${JSON.stringify(body)}`)
  return { access_token: String(body['access_token']), refresh_token: String(body['refresh_token']), email }
}

export function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` }
}

/** Process ids of the workers: the children of the primary. */
export function workersOf({ pid }: Pick<GatewayProcess, 'pid'>): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(name) === pid)
    .map(Number)
    .toSorted((one, other) => one - other)
}

function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  } catch {
    return 0
  }
}

export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

export interface Readiness {
  readonly code: number
  readonly status: string
  readonly workers: { readonly wanted: number; readonly ready: number }
}

export async function readiness(gateway: GatewayProcess): Promise<Readiness> {
  const answer = await fetch(`${gateway.adminUrl}/readyz`)
  return { code: answer.status, ...((await answer.json()) as Omit<Readiness, 'code'>) }
}

export async function untilReady(gateway: GatewayProcess, ready: number): Promise<void> {
  await waitFor(
    async () => {
      const { status, workers } = await readiness(gateway)
      return status === 'ready' && workers.ready === ready
    },
    gateway,
    LIMIT_MS,
  )
}

/** Sum of the samples of a metric whose labels have `part` in them. */
export async function metric(gateway: GatewayProcess, name: string, part = ''): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  const samples = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return samples.filter((line) => line.includes(part)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
