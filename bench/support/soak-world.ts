/** A gateway on the first core that is given no rest: its file changes, its servers come and go, tokens are revoked. */
import type { ChildProcess } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { answers, ended, freePort, pinned } from './processes.ts'
import { startRedis } from './redis-server.ts'
import type { Collection, Inside } from './soak-inside.ts'
import { createSoakFile } from './soak-file.ts'

export interface SoakWorld {
  readonly url: string
  readonly pid: number
  /** Good tokens of a tenant, each of a session of its own. */
  tokens(tenant: 'main' | 'brief', count: number): Promise<readonly string[]>
  /** Another file. Resolves to whether it can be put in force. */
  changeFile(): boolean
  /** Stops the next server, told or not, and starts it again. */
  restartServer(): Promise<void>
  /** Resolves to the status that the gateway answers. */
  revoke(token: string): Promise<number>
  use(token: string): Promise<number>
  outside(): Outside
  inside(): Promise<Inside>
  /** Those that V8 made by itself so far. */
  collections(): readonly Collection[]
  /** The samples of a counter or gauge, by their labels as they are written. */
  metric(name: string): Promise<Readonly<Record<string, number>>>
  stop(): Promise<void>
}

/** What the machine says of the process. */
export interface Outside {
  readonly rssMiB: number
  /** Of it what is its own: not the pages of the program itself, of which more are read the more of it is used. */
  readonly ownMiB: number
  readonly descriptors: number
  readonly sockets: number
}

const TARGETS = 2
const AWAY_MS = 1000
const PARALLEL = 8

export async function startSoakWorld(): Promise<SoakWorld> {
  const stops: (() => Promise<void>)[] = []
  const stop = async (): Promise<void> => {
    for (const one of stops.toReversed()) await one()
  }
  try {
    return await start(stops, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function start(stops: (() => Promise<void>)[], stop: () => Promise<void>): Promise<SoakWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  stops.push(async () => rmSync(folder, { recursive: true, force: true }))
  const redis = await startRedis()
  stops.push(() => redis.stop())
  const [port, adminPort, chatPort] = [await freePort(), await freePort(), await freePort()]
  const targetPorts: number[] = []
  while (targetPorts.length < TARGETS) targetPorts.push(await freePort())
  const servers = targetPorts.map((targetPort) => startServer(targetPort))
  const chat = startServer(chatPort)
  stops.push(async () => void (await Promise.all([...servers, chat].map((server) => killed(server)))))
  await Promise.all([...targetPorts, chatPort].map((each) => answers(`http://127.0.0.1:${each}/healthz`)))

  const file = createSoakFile({ port, adminPort, chatPort, targetPorts, redisUrl: redis.url })
  const path = join(folder, 'gateway.yaml')
  write(path, file.next().text)
  const secrets = { SOAK_SECRET: randomUUID(), SOAK_MASTER_KEY: randomBytes(32).toString('base64') }
  const insideFile = join(folder, 'inside.json')
  const watched = {
    SOAK_INSIDE: insideFile,
    NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --no-warnings --import=${join(import.meta.dirname, 'soak-inside.ts')}`,
  }
  const gateway = pinned(0, ['../../src/main.ts', 'start', '--config', path], { ...secrets, ...watched })
  stops.push(() => ended(gateway))
  const pid = gateway.pid ?? 0
  const url = `http://127.0.0.1:${port}`
  await answers(`${url}/health`)
  const client = `Basic ${Buffer.from(`soak-main:${secrets.SOAK_SECRET}`).toString('base64')}`
  const briefClient = `Basic ${Buffer.from(`soak-brief:${secrets.SOAK_SECRET}`).toString('base64')}`
  let restarts = 0
  return {
    url,
    pid,
    tokens,
    changeFile() {
      const { text, isGood } = file.next()
      write(path, text)
      return isGood
    },
    restartServer,
    revoke: (token) => post('/sessions/revoke', { token }).then(({ status }) => status),
    use: (token) => asked(fetch(`${url}/api/small`, { headers: { authorization: `Bearer ${token}` } })),
    outside: () => outsideOf(pid),
    inside,
    collections,
    metric,
    stop,
  }

  async function tokens(tenant: 'main' | 'brief', count: number): Promise<readonly string[]> {
    const made: string[] = []
    while (made.length < count) {
      const some = Array.from({ length: Math.min(PARALLEL, count - made.length) }, (_, nth) => create(tenant, made.length + nth))
      made.push(...(await Promise.all(some)))
    }
    return made
  }

  /** Four sessions for each user. */
  async function create(tenant: 'main' | 'brief', nth: number): Promise<string> {
    const body = { tenant_id: tenant, user_id: `user-${Math.floor(nth / 4)}`, scope: 'orders:read' }
    const response = await post('/sessions', body, tenant === 'main' ? client : briefClient)
    const text = await response.text()
    if (response.status !== 201) throw new Error(`a session was not made: ${response.status} ${text}`)
    return (JSON.parse(text) as { readonly access_token: string }).access_token
  }

  function post(path: string, body: unknown, authorization?: string): Promise<Response> {
    const headers = { 'content-type': 'application/json', ...(authorization !== undefined && { authorization }) }
    return fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  }

  async function restartServer(): Promise<void> {
    const nth = restarts % TARGETS
    const isTold = Math.floor(restarts / TARGETS) % 2 === 1
    restarts += 1
    const before = servers[nth]
    if (before !== undefined) await (isTold ? ended(before) : killed(before))
    await new Promise((resolve) => setTimeout(resolve, AWAY_MS))
    servers[nth] = startServer(targetPorts[nth] ?? 0)
  }

  async function inside(): Promise<Inside> {
    rmSync(insideFile, { force: true })
    process.kill(pid, 'SIGUSR2')
    for (let waited = 0; !existsSync(insideFile); waited += 100) {
      if (waited > 20_000) throw new Error('the gateway does not say what is inside it')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    return JSON.parse(readFileSync(insideFile, 'utf8')) as Inside
  }

  function collections(): readonly Collection[] {
    const path = `${insideFile}.collections`
    if (!existsSync(path)) return []
    return readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Collection)
  }

  async function metric(name: string): Promise<Readonly<Record<string, number>>> {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    return Object.fromEntries(
      lines.map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
    )
  }
}

function startServer(port: number): ChildProcess {
  return pinned(1, ['soak-upstream.ts', String(port)])
}

function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.on('exit', () => resolve())
    child.kill('SIGKILL')
  })
}

/** In one step, as deployments do it. */
function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

async function asked(answer: Promise<Response>): Promise<number> {
  const response = await answer
  await response.arrayBuffer()
  return response.status
}

function outsideOf(pid: number): Outside {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const descriptors = readdirSync(`/proc/${pid}/fd`)
  const isSocket = (descriptor: string): boolean => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${descriptor}`).startsWith('socket:')
    } catch {
      // Closed meanwhile.
      return false
    }
  }
  return {
    rssMiB: Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) / 1024,
    ownMiB: Number(/^RssAnon:\s*(\d+)/m.exec(status)?.[1]) / 1024,
    descriptors: descriptors.length,
    sockets: descriptors.filter(isSocket).length,
  }
}
