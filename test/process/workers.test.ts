import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { Agent, createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../support/ports.ts'
import { gatehouse, pause, startProgram, MAIN, temporaryFolder, waitFor, type GatewayProcess } from '../support/process.ts'
import { ask, askEach, isRunning, metric, readiness, register, SECRET_ROUTES, startCrew, untilReady, workersOf } from './crew.ts'

const STOPPED = { code: 0, signal: null }
const WORKERS = 3

describe('a gateway of several workers', { timeout: 60_000 }, () => {
  let gateway: GatewayProcess
  beforeAll(async () => {
    gateway = await startCrew(WORKERS, `routes:${SECRET_ROUTES}`)
  }, 120_000)
  afterAll(async () => {
    expect(await gateway.end()).toEqual(STOPPED)
    expect(gateway.stderr()).not.toMatch(/Error|Warning/)
  }, 120_000)

  it('has so many processes behind one port, makes its keys and its files once, and says so', async () => {
    expect(workersOf(gateway)).toHaveLength(WORKERS)
    expect(await readiness(gateway)).toMatchObject({ code: 200, status: 'ready', workers: { wanted: WORKERS, ready: WORKERS } })
    const started = (): Record<string, unknown>[] => gateway.lines().filter(({ msg }) => msg === 'started')
    await waitFor(() => started().length === WORKERS + 1, gateway)
    expect(new Set(started().map(({ worker }) => worker))).toEqual(new Set([1, 2, 3, undefined]))
    expect(started()).toContainEqual(expect.objectContaining({ workers: WORKERS, port: gateway.port }))
    const answers = await askEach(gateway, WORKERS, '/.well-known/jwks.json')
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect(answers[0]?.body['keys']).toHaveLength(1)
  })

  it('hands connections to its workers in turn, and says in each line of the log whose it is', async () => {
    const before = gateway.lines().length
    const answers = await askEach(gateway, WORKERS * 4, '/open/turn')
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const ours = (): Record<string, unknown>[] =>
      gateway
        .lines()
        .slice(before)
        .filter(({ path }) => path === '/open/turn')
    await waitFor(() => ours().length === answers.length, gateway)
    const counts = new Map<unknown, number>()
    for (const { worker } of ours()) counts.set(worker, (counts.get(worker) ?? 0) + 1)
    expect(counts).toEqual(
      new Map([
        [1, 4],
        [2, 4],
        [3, 4],
      ]),
    )
  })

  it('shows operators one gateway: sums of what is counted, and the rest as each worker knows it', async () => {
    const before = await metric(gateway, 'gatehouse_requests_total', 'route="open.')
    const agents = Array.from({ length: WORKERS }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
    for (let turn = 0; turn < 10; turn += 1) await Promise.all(agents.map((agent) => ask(gateway, '/open/sum', { agent })))
    expect(await metric(gateway, 'gatehouse_requests_total', 'route="open.')).toBe(before + 10 * WORKERS)
    expect(await metric(gateway, 'gatehouse_connections')).toBe(WORKERS)
    expect(await metric(gateway, 'gatehouse_workers')).toBe(WORKERS)
    expect(await metric(gateway, 'gatehouse_config_last_reload_success')).toBe(1)
    expect(await metric(gateway, 'process_resident_memory_bytes')).toBeGreaterThan(gateway.memory().nowKiB * 1024 * 2)
    for (const agent of agents) agent.destroy()

    const admin = async (path: string, init?: RequestInit): Promise<Response> => fetch(`${gateway.adminUrl}${path}`, init)
    expect(await (await admin('/healthz')).json()).toEqual({ status: 'ok' })
    expect(JSON.stringify(await (await admin('/routes')).json())).toContain('accounts.login')
    expect(await (await admin('/config')).json()).toMatchObject({ workers: WORKERS })
    expect(await (await admin('/openapi.json')).json()).toMatchObject({ openapi: expect.stringMatching(/^3\./) })
    expect(await (await admin('/graphql')).text()).toContain('<html')
    const post = (path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> =>
      admin(path, {
        method: 'POST',
        headers: { 'x-gatehouse-admin': '1', 'content-type': 'application/json', ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
    const asked = await post('/graphql', { query: '{ __typename }' })
    expect([asked.status, await asked.json()]).toEqual([200, { data: { __typename: 'Query' } }])
    expect(await (await admin('/tenants/default/keys')).json()).toMatchObject({ tenant: 'default', keys: [{}] })
    const unknown = await admin('/tenants/nobody/keys')
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { error: 'tenant_not_found' }])
    expect((await admin('/nowhere')).status).toBe(404)
    expect((await post('/metrics')).status).toBe(405)
    expect((await admin('/tenants/default/revoke', { method: 'POST' })).status).toBe(403)
    expect((await post('/tenants/default/revoke', { cause: 'x' })).status).toBe(400)
    expect((await post('/tenants/default/revoke', { reason: 'x'.repeat(70_000) })).status).toBe(413)
    expect((await admin('/metrics', { method: 'HEAD' })).headers.get('content-length')).toMatch(/^\d{4,}$/)
  })

  it('adds up what usernames are asked for', async () => {
    for (const answer of await askEach(gateway, WORKERS * 2, '/usernames/somebody/availability')) expect(answer.status).toBe(200)
    const report = (await (await fetch(`${gateway.adminUrl}/usernames/analytics`)).json()) as {
      readonly tenants: Readonly<Record<string, { readonly checks: number; readonly hit_rate: number }>>
    }
    expect(report.tenants['default']).toMatchObject({ checks: WORKERS * 2, hit_rate: expect.any(Number) })
  })

  it('counts failed logins once for all: who guesses gets no further with many connections', async () => {
    const { email } = await register(gateway)
    const statuses: number[] = []
    for (let guess = 0; guess < 12; guess += 1) {
      statuses.push((await ask(gateway, '/auth/login', { body: { email, password: `wrong horse ${guess}` } })).status)
    }
    expect(statuses.slice(0, 5)).toEqual([401, 401, 401, 401, 401])
    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(7)
    expect(statuses.at(-1)).toBe(429)
    const refused = await ask(gateway, '/auth/login', { body: { email, password: 'wrong horse' } })
    expect([refused.status, refused.body['error']]).toEqual([429, 'rate_limited'])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  })
})

describe('a worker that is lost', () => {
  let upstream: Server
  let yaml = ''
  beforeAll(async () => {
    upstream = createServer((req, res) => setTimeout(() => res.end(req.url), req.url?.startsWith('/slow') === true ? 700 : 5))
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    yaml = `upstreams: { slow: { targets: ['http://127.0.0.1:${(upstream.address() as AddressInfo).port}'] } }
routes:${SECRET_ROUTES}
  - { name: slow, match: { path: /* }, auth: public, upstream: slow }`
  })
  afterAll(() => {
    upstream.closeAllConnections()
    upstream.close()
  })

  it('is replaced; requests of the others are unharmed, and no counter falls', { timeout: 120_000 }, async () => {
    const gateway = await startCrew(WORKERS, yaml)
    const load = startLoad(gateway, 12)
    const sums: number[] = []
    const scraping = scrapeUntil(gateway, load, sums)
    await waitFor(() => load.answered > 200, gateway)
    const victims: number[] = []
    for (let round = 0; round < 3; round += 1) {
      const [victim] = workersOf(gateway).filter((pid) => !victims.includes(pid))
      if (victim === undefined) throw new Error('no worker')
      victims.push(victim)
      await waitFor(() => sums.length > round * 3, gateway)
      process.kill(victim, 'SIGKILL')
      await waitFor(() => !workersOf(gateway).includes(victim), gateway)
      await untilReady(gateway, WORKERS)
      expect(workersOf(gateway)).toHaveLength(WORKERS)
    }
    await load.stop()
    await scraping
    // Twelve clients, each on its own connection: the first that is killed had four of them, the next ones had those besides that
    // came to them instead, and each may have been handed one that was just opened.
    expect(load.broken).toBeGreaterThan(0)
    expect(load.broken).toBeLessThanOrEqual(4 + 8 + 12 + 3)
    expect(load.wrong).toEqual([])
    expect(sums).toEqual(sums.toSorted((one, other) => one - other))
    expect(await metric(gateway, 'gatehouse_worker_deaths_total')).toBe(3)
    const died = gateway.lines().filter(({ msg }) => msg === 'a worker died and is replaced')
    expect(died.map(({ signal, pid }) => [signal, pid])).toEqual(victims.map((pid) => ['SIGKILL', pid]))
    expect(await gateway.end()).toEqual(STOPPED)
  })

  it('lets go of a connection that it was handed and never saw', { timeout: 120_000 }, async () => {
    const gateway = await startCrew(WORKERS, yaml)
    const [victim = 0] = workersOf(gateway)
    process.kill(victim, 'SIGSTOP')
    // Connections go to the workers in turn, so one of them is stuck.
    const outcomes: string[] = []
    const asked = Array.from({ length: WORKERS }, (_, turn) =>
      ask(gateway, `/fresh/${turn}`).then(
        ({ status }) => void outcomes.push(`${status}`),
        () => void outcomes.push('closed'),
      ),
    )
    await waitFor(() => outcomes.length === WORKERS - 1, gateway)
    process.kill(victim, 'SIGKILL')
    await Promise.all(asked)
    expect(outcomes).toEqual([...Array.from({ length: WORKERS - 1 }, () => '200'), 'closed'])
    await untilReady(gateway, WORKERS)
    expect(await gateway.end()).toEqual(STOPPED)
  })

  it('finishes what it does when somebody tells it alone to end, and is replaced', { timeout: 120_000 }, async () => {
    const gateway = await startCrew(2, yaml)
    const [victim = 0] = workersOf(gateway)
    const slow = Promise.all(Array.from({ length: 4 }, () => ask(gateway, '/slow')))
    await pause(200)
    process.kill(victim, 'SIGTERM')
    expect((await slow).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    await waitFor(() => !isRunning(victim), gateway)
    await untilReady(gateway, 2)
    expect(workersOf(gateway)).not.toContain(victim)
    expect((await askEach(gateway, 4, '/health')).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(await gateway.end()).toEqual(STOPPED)
  })

  it('of all of them, killed at once, is no end: the port is there again', { timeout: 120_000 }, async () => {
    const gateway = await startCrew(WORKERS, yaml)
    const victims = workersOf(gateway)
    for (const victim of victims) process.kill(victim, 'SIGKILL')
    await waitFor(() => victims.every((pid) => !isRunning(pid)), gateway)
    await untilReady(gateway, WORKERS)
    expect((await askEach(gateway, WORKERS, '/health')).map(({ status }) => status)).toEqual([200, 200, 200])
    expect(await gateway.end()).toEqual(STOPPED)
  })

  it('of all of them, told to end together with the primary, is not replaced', { timeout: 120_000 }, async () => {
    const gateway = await startCrew(WORKERS, yaml)
    const slow = Promise.all(Array.from({ length: 6 }, () => ask(gateway, '/slow')))
    await pause(200)
    const workers = workersOf(gateway)
    for (const pid of [...workers, gateway.pid]) process.kill(pid, 'SIGTERM')
    expect((await slow).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
    expect(await gateway.exited).toEqual(STOPPED)
    expect(workers.filter(isRunning)).toEqual([])
    expect(gateway.lines().filter(({ msg }) => msg === 'a worker died and is replaced')).toEqual([])
  })

  it('ends by itself when the primary is gone, and finishes what it does', { timeout: 120_000 }, async () => {
    const gateway = await startCrew(2, yaml)
    const workers = workersOf(gateway)
    const slow = Promise.all(Array.from({ length: 4 }, () => ask(gateway, '/slow')))
    await pause(200)
    gateway.child.kill('SIGKILL')
    expect((await slow).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    await waitFor(() => workers.every((pid) => !isRunning(pid)))
  })

  it('of all of them, told to stop under load, none fails a request', { timeout: 120_000 }, async () => {
    const gateway = await startCrew(WORKERS, yaml)
    const load = startLoad(gateway, 12)
    await waitFor(() => load.answered > 200, gateway)
    gateway.child.kill('SIGTERM')
    // Balancers need a moment to notice, and new connections come meanwhile.
    const fresh = await Promise.all(Array.from({ length: 20 }, (_, turn) => ask(gateway, `/fresh/${turn}`)))
    expect(fresh.map(({ status }) => status)).toEqual(fresh.map(() => 200))
    await waitFor(async () => (await readiness(gateway).catch(() => ({ code: 503 }))).code === 503)
    expect(await gateway.exited).toEqual(STOPPED)
    await load.stop()
    expect(load.wrong).toEqual([])
    expect(load.broken).toBe(0)
    expect(gateway.lines().at(-1)).toMatchObject({ msg: 'stopped' })
    expect(gateway.lines().filter(({ msg }) => msg === 'cut what was still in flight')).toEqual([])
  })
})

describe('workers that cannot start', () => {
  it('are told of once, with the reason, and nothing is left', { timeout: 120_000 }, async () => {
    const taken = createServer()
    taken.listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const folder = temporaryFolder()
    const file = join(folder, 'gateway.yaml')
    writeFileSync(
      file,
      `listeners: { public: { address: 127.0.0.1:${port} }, admin: { address: 127.0.0.1:${await freePort()} } }\nworkers: 3\nstorage: { directory: ./data }\n`,
    )
    const { code, stderr } = await gatehouse(['start', '--config', file])
    expect([code, stderr]).toEqual([1, `gatehouse: listeners.public.address: 127.0.0.1:${port} is taken by another process\n`])
    taken.close()
  })

  it('end with the primary when it is told to stop before they are ready', { timeout: 120_000 }, async () => {
    const folder = temporaryFolder()
    const file = join(folder, 'gateway.yaml')
    writeFileSync(
      file,
      `listeners: { public: { address: 127.0.0.1:${await freePort()} }, admin: { address: 127.0.0.1:${await freePort()} } }\nworkers: 2\nstorage: { directory: ./data }\n`,
    )
    const program = startProgram(process.execPath, [MAIN, 'start', '--config', file])
    await waitFor(() => workersOf(program).length > 0, program)
    const workers = workersOf(program)
    expect(await program.end()).toEqual(STOPPED)
    expect(workers.filter(isRunning)).toEqual([])
  })
})

interface Load {
  answered: number
  /** Connections that broke with a request on them. */
  broken: number
  /** Answers that are not what was asked for. */
  readonly wrong: unknown[]
  isOver: boolean
  stop(): Promise<void>
}

/** Clients that ask one thing after another, each on a connection that it keeps as long as it may; told that it is over, it goes. */
function startLoad(gateway: GatewayProcess, clients: number): Load {
  const load: Load = { answered: 0, broken: 0, wrong: [], isOver: false, stop }
  const running = Array.from({ length: clients }, (_, client) => run(client))
  return load

  async function run(client: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let turn = 0; !load.isOver; turn += 1) {
      try {
        const { status, headers, body } = await ask(gateway, `/echo/${client}/${turn}`, { agent })
        if (status !== 200 || body['text'] !== `/echo/${client}/${turn}`) load.wrong.push([status, body])
        load.answered += 1
        if (headers.connection === 'close') break
      } catch {
        load.broken += 1
      }
    }
    agent.destroy()
  }

  async function stop(): Promise<void> {
    load.isOver = true
    await Promise.all(running)
  }
}

async function scrapeUntil(gateway: GatewayProcess, load: Load, sums: number[]): Promise<void> {
  while (!load.isOver) {
    sums.push(await metric(gateway, 'gatehouse_requests_total'))
    await pause(30)
  }
}
