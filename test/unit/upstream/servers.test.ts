/** Names with several addresses, followed as they change; on real connections to addresses of this machine. */
import { afterEach, describe, expect, test } from 'vitest'
import { followName, type Found, type Names } from '../../../src/upstream/resolve.ts'
import { createServers, type Servers } from '../../../src/upstream/servers.ts'
import { startServer, type TestServer } from '../../support/servers.ts'
import { testConfig } from '../../support/config.ts'
import { until } from '../../support/until.ts'
import { testClock, testExchange } from './world.ts'

const running: TestServer[] = []
let servers: Servers | undefined

afterEach(async () => {
  await servers?.close()
  servers = undefined
  await Promise.all(running.splice(0).map((server) => server.kill()))
})

/** Servers of one port at several addresses. */
async function startAt(...hosts: readonly string[]): Promise<number> {
  let port = 0
  for (const host of hosts) {
    const server = await startServer(host, host, port)
    port = server.port
    running.push(server)
  }
  return port
}

function open(port: number, names: Names, clock = testClock(), text = '') {
  const told: string[] = []
  const [config] = testConfig(
    `upstreams: { app: { targets: ["http://app.test:${port}"]${text === '' ? '' : `, ${text}`} } }`,
  ).upstreams.values()
  if (config === undefined) throw new Error('there is one')
  const opened = createServers(
    {
      ...clock,
      endOfTurn: setImmediate,
      random: () => 0,
      names,
      events: {
        retried: () => undefined,
        breaker: () => undefined,
        target: (_, target, state) => told.push(`${target} ${state}`),
        allOut: () => told.push('all out'),
        moved: (_, target, addresses) => told.push(`${target} at ${addresses}`),
      },
    },
    config,
  )
  servers = opened
  return { servers: opened, told, clock }
}

const addresses = (of: Servers): (string | undefined)[] => of.describe().targets.map(({ address }) => address)

/** Asks whoever is next; gives the name of the server and the Host that it saw. */
function ask(of: Servers): Promise<string> {
  const to = of.pick(testExchange(), undefined)
  return new Promise((resolve, reject) => {
    let text = ''
    to.pool.dispatch(
      { path: '/x', method: 'GET', headers: [], body: null },
      {
        onRequestStart: () => undefined,
        onResponseStart: () => undefined,
        onResponseData: (_, chunk) => void (text += chunk.toString()),
        onResponseEnd: () => resolve(text),
        onResponseError: (_, error) => reject(error),
      },
    )
  })
}

/** Answers look-ups in this order, the last one for ever. */
function answering(...answers: readonly (Found | undefined | 'fails')[]): Names & { readonly asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    stop: () => undefined,
    async find(name) {
      const answer = answers[Math.min(asked.length, answers.length - 1)]
      asked.push(name)
      if (answer === 'fails') throw new Error('SERVFAIL')
      return answer
    },
  }
}

const found = (ttlSeconds: number, ...all: readonly string[]): Found => ({ addresses: all, ttlSeconds })
const ignore = (): undefined => undefined
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a name', () => {
  test('with several addresses is as many servers, each in turn, all with the name as Host', async () => {
    const port = await startAt('127.0.0.2', '127.0.0.3')
    for (const server of running) server.setReply((req, res) => void res.end(`${server.url} ${req.headers.host}`))
    const opened = open(port, answering(found(60, '127.0.0.3', '127.0.0.2', '127.0.0.3')))
    void opened.servers.start()
    opened.clock.pass(0)
    await settled()
    expect(addresses(opened.servers)).toEqual(['127.0.0.2', '127.0.0.3'])
    expect(await Promise.all([ask(opened.servers), ask(opened.servers)])).toEqual([
      `http://127.0.0.2:${port} app.test:${port}`,
      `http://127.0.0.3:${port} app.test:${port}`,
    ])
  })

  test('is looked up again when its time is over, and what it lost takes nothing new', async () => {
    const names = answering(
      found(60, '127.0.0.2', '127.0.0.3'),
      found(10, '127.0.0.3', '127.0.0.4'),
      found(30, '127.0.0.3', '127.0.0.4'),
    )
    const { servers: of, clock, told } = open(1, names)
    void of.start()
    clock.pass(0)
    await settled()
    clock.pass(59_999)
    expect(names.asked).toHaveLength(1)
    const kept = of.pick(testExchange(), undefined)
    clock.pass(1)
    await settled()
    expect(addresses(of)).toEqual(['127.0.0.3', '127.0.0.4'])
    const picked = new Set(Array.from({ length: 6 }, () => of.pick(testExchange(), undefined)))
    expect(picked.has(kept)).toBe(false)
    clock.pass(10_000)
    await settled()
    expect(names.asked).toEqual(['app.test', 'app.test', 'app.test'])
    expect(told).toEqual(['0 at 2', '0 at 2'])
  })

  test('whose look-up fails, or brings nothing, stays where it was', async () => {
    const names = answering(found(1, '127.0.0.2'), 'fails', undefined, found(1), found(1, '127.0.0.3'))
    const { servers: of, clock } = open(1, names)
    void of.start()
    const seen: string[] = []
    for (let look = 0; look < 5; look += 1) {
      clock.pass(look === 0 ? 0 : 6000)
      await settled()
      seen.push(addresses(of).join())
    }
    expect(seen).toEqual(['127.0.0.2', '127.0.0.2', '127.0.0.2', '127.0.0.2', '127.0.0.3'])
  })

  test('that only this machine knows is left to the machine', async () => {
    const { servers: of, clock } = open(1, answering(undefined))
    void of.start()
    clock.pass(0)
    await settled()
    expect(addresses(of)).toEqual([undefined])
  })

  test('that moves does not cut what is under way', async () => {
    const port = await startAt('127.0.0.2', '127.0.0.3')
    let finish: () => void = () => undefined
    running[0]?.setReply((_, res) => {
      res.write('begun at 2, ')
      finish = () => void res.end('ended at 2')
    })
    const names = answering(found(60, '127.0.0.2'), found(60, '127.0.0.3'))
    const { servers: of, clock } = open(port, names, testClock(), 'timeouts: { idle: 2m }')
    void of.start()
    clock.pass(0)
    await settled()
    const under = ask(of)
    await until(() => running[0]?.paths.length === 1)
    clock.pass(60_000)
    await settled()
    expect(addresses(of)).toEqual(['127.0.0.3'])
    expect(await ask(of)).toBe('127.0.0.3')
    finish()
    expect(await under).toBe('begun at 2, ended at 2')
  })

  test('is not looked up any more when the upstream is closed', async () => {
    const names = answering(found(1, '127.0.0.2'))
    const { servers: of, clock } = open(1, names)
    void of.start()
    clock.pass(0)
    await settled()
    await of.close()
    clock.pass(100_000)
    expect([names.asked.length, clock.waiting()]).toEqual([1, 0])
  })

  test('a time to live of nothing is a second, and one of years five minutes', async () => {
    for (const [ttlSeconds, waitMs] of [
      [0, 1000],
      [100_000_000, 300_000],
    ] as const) {
      const clock = testClock()
      const names = answering(found(ttlSeconds, '127.0.0.2'))
      const stop = followName({ ...clock, names, random: () => 0 }, 'app.test', () => undefined)
      clock.pass(0)
      await settled()
      clock.pass(waitMs - 1)
      expect(names.asked).toHaveLength(1)
      clock.pass(1)
      expect(names.asked).toHaveLength(2)
      stop()
    }
  })
})

test('of a name with ever so many addresses 64 are taken', async () => {
  const all = Array.from({ length: 500 }, (_, index) => `10.0.${Math.floor(index / 250)}.${index % 250}`)
  const { servers: of, clock } = open(1, answering(found(60, ...all)))
  void of.start()
  clock.pass(0)
  await settled()
  expect(addresses(of)).toHaveLength(64)
})

test('a name that DNS never knew is looked up less and less often', async () => {
  const clock = testClock()
  const names = answering(undefined)
  const stop = followName({ ...clock, names, random: () => 0 }, 'app.test', () => undefined)
  for (let second = 0; second < 3600; second += 1) {
    clock.pass(1000)
    await settled()
  }
  expect(names.asked.length).toBeGreaterThan(12)
  expect(names.asked.length).toBeLessThan(22)
  stop()
})

test('nothing is asked and no timer runs once an upstream is closed', async () => {
  const port = await startAt('127.0.0.2')
  const clock = testClock()
  const names = answering(found(1, '127.0.0.2'))
  const opened = open(port, names, clock, 'health: { path: /healthz, interval: 100ms }, outliers: { consecutiveFailures: 1 }')
  const started = opened.servers.start()
  clock.pass(0)
  await started
  await until(() => (running[0]?.checks() ?? 0) > 0)
  await opened.servers.close()
  const before = running[0]?.checks()
  clock.pass(60_000)
  await settled()
  expect([clock.waiting(), running[0]?.checks()]).toEqual([0, before])
})

test.each(['http://127.0.0.1:1', 'http://[::1]:1', 'http://localhost:1', 'http://app.localhost:1'])(
  '%s is not looked up',
  async (url) => {
    const names = answering(found(1, '127.0.0.2'))
    const [config] = testConfig(`upstreams: { app: { targets: ["${url}"] } }`).upstreams.values()
    if (config === undefined) throw new Error('there is one')
    const clock = testClock()
    const events = { retried: ignore, breaker: ignore, target: ignore, allOut: ignore, moved: ignore }
    servers = createServers({ ...clock, endOfTurn: setImmediate, random: () => 0, names, events }, config)
    await servers.start()
    clock.pass(10_000)
    expect(names.asked).toEqual([])
  },
)
