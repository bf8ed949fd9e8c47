/** Which server of an upstream gets a request, and what comes of those that are ill. */
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { login, bearer, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { startServer, type TestServer } from '../support/servers.ts'
import { until } from '../support/until.ts'
import { handshake, openWebSocket } from '../support/websocket.ts'

const servers: TestServer[] = []
let gateway: TestGateway | undefined

afterEach(async () => {
  await gateway?.close()
  gateway = undefined
  await Promise.all(servers.splice(0).map((server) => server.kill()))
})

async function serversNamed(...names: readonly string[]): Promise<TestServer[]> {
  const started = await Promise.all(names.map((name) => startServer(name)))
  servers.push(...started)
  return started
}

/** A gateway before these targets; `text` is what else is said of the upstream. */
async function open(targets: readonly string[], text = ''): Promise<TestGateway> {
  gateway = await startGateway(`listeners:
  public:
    {{public}}
    overload: { enabled: false } # Clients, servers and the gateway share this process.
  admin: { address: 127.0.0.1:0 }
upstreams: { app: { targets: [${targets.join(', ')}]${text === '' ? '' : `, ${text}`} } }
routes:${SERVICE_ROUTES}
  - { name: app, match: { path: /app/* }, auth: optional, websocket: true, upstream: app }
`)
  return gateway
}

const quoted = (all: readonly TestServer[]): string[] => all.map(({ url }) => `"${url}"`)
const get = async (path = '/app/x', init: RequestInit = {}): Promise<{ status: number; text: string; headers: Headers }> => {
  const answer = await fetch(`${gateway?.url}${path}`, init)
  return { status: answer.status, text: await answer.text(), headers: answer.headers }
}
const texts = async (count: number, init: RequestInit = {}): Promise<string[]> => {
  const found: string[] = []
  for (let turn = 0; turn < count; turn += 1) found.push((await get('/app/x', init)).text)
  return found
}
const metric = async (line: string): Promise<number | undefined> => {
  const text = await (await fetch(`${gateway?.adminUrl}/metrics`)).text()
  const found = text.split('\n').find((one) => one.startsWith(`${line} `))
  return found === undefined ? undefined : Number(found.slice(line.length + 1))
}
interface State {
  readonly breaker: string
  readonly in_flight: number
  readonly targets: readonly {
    readonly state: string
    readonly url: string
    readonly in_flight: number
    readonly ejections: number
  }[]
}
const state = async (): Promise<State> =>
  ((await (await fetch(`${gateway?.adminUrl}/upstreams`)).json()) as readonly State[])[0] as State
const states = async (): Promise<string[]> => (await state()).targets.map((target) => target.state)

describe('balance', () => {
  test('by weight, and nothing for a weight of 0', async () => {
    const [a, b, c] = await serversNamed('a', 'b', 'c')
    await open([`"${a?.url}"`, `{ url: "${b?.url}", weight: 2 }`, `{ url: "${c?.url}", weight: 0 }`])
    expect((await texts(6)).join('')).toBe('babbab')
    expect(await states()).toEqual(['in', 'in', 'drained'])
  })

  test('leastRequests leaves one alone that holds its requests', async () => {
    const [slow, fast] = await serversNamed('slow', 'fast')
    const held: (() => void)[] = []
    slow?.setReply((_, res) => void held.push(() => res.end('slow')))
    await open(quoted(servers), 'balance: leastRequests')
    const first = Promise.all(Array.from({ length: 20 }, () => get()))
    await until(() => held.length > 0 && (fast?.paths.length ?? 0) + held.length === 20)
    const more = await texts(10)
    expect(more).toEqual(Array.from({ length: 10 }, () => 'fast'))
    for (const release of held) release()
    await first
    await until(async () => (await state()).in_flight === 0)
  })

  test('ewma leaves one alone that is slow, though it has nothing to do', async () => {
    const [slow, fast] = await serversNamed('slow', 'fast')
    slow?.setReply((_, res) => void setTimeout(() => res.end('slow'), 300))
    fast?.setReply((_, res) => void res.end('fast'))
    await open(quoted(servers), 'balance: ewma')
    await texts(30)
    expect(slow?.paths.length).toBeLessThan(10)
    expect(fast?.paths.length).toBeGreaterThan(20)
  })

  test('hash by header: the same server each time, and another one while it is out', async () => {
    await serversNamed('a', 'b', 'c')
    await open(quoted(servers), 'balance: hash, hashBy: header:x-cart, retries: { on: [connect] }')
    const at = (cart: number): Promise<string[]> => texts(3, { headers: { 'x-cart': `cart-${cart}` } })
    const before = new Map<number, string>()
    for (let cart = 0; cart < 12; cart += 1) {
      const found = new Set(await at(cart))
      expect(found.size).toBe(1)
      before.set(cart, [...found][0] ?? '')
    }
    expect(new Set(before.values()).size).toBe(3)
    await servers[0]?.kill()
    for (const [cart, name] of before) {
      const found = new Set(await at(cart))
      expect(found.size).toBe(1)
      if (name === 'a') expect(found.has('a')).toBe(false)
      else expect([...found]).toEqual([name])
    }
  })

  test('hash by user: with a token by its user, wherever it is asked from', async () => {
    await serversNamed('a', 'b', 'c', 'd')
    const { url } = await open(quoted(servers), 'balance: hash, hashBy: user')
    const places = new Set<string>()
    for (let user = 0; user < 6; user += 1) {
      const { access_token } = await login(url)
      const found = new Set(await texts(4, { headers: bearer(access_token) }))
      expect(found.size).toBe(1)
      for (const name of found) places.add(name)
    }
    expect(places.size).toBeGreaterThan(1)
  })
})

describe('health', () => {
  const HEALTH = 'health: { path: /healthz, interval: 40ms, timeout: 1s, healthyAfter: 2, unhealthyAfter: 2 }'

  test('a target that says it is ill gets nothing until it is well, and the log, a metric and /upstreams say so', async () => {
    const [a] = await serversNamed('a', 'b')
    const { lines } = await open(quoted(servers), HEALTH)
    expect(new Set(await texts(4))).toEqual(new Set(['a', 'b']))
    a?.setHealth(500)
    await until(async () => (await states())[0] === 'unhealthy')
    const { targets } = await state()
    expect(targets[0]).toMatchObject({ why: 'status 500', state_seconds: expect.any(Number) })
    expect(targets[1]).not.toHaveProperty('why')
    expect(await texts(4)).toEqual(['b', 'b', 'b', 'b'])
    expect(await metric('gatehouse_upstream_healthy{upstream="app",target="0"}')).toBe(0)
    expect(await metric('gatehouse_upstream_healthy{upstream="app",target="1"}')).toBe(1)
    a?.setHealth(204)
    await until(async () => (await states())[0] === 'in')
    expect((await state()).targets[0]).not.toHaveProperty('why')
    expect(new Set(await texts(4))).toEqual(new Set(['a', 'b']))
    await until(() => lines().some(({ msg }) => msg === 'a target of an upstream takes requests again'))
    expect(lines().filter(({ upstream, target }) => upstream === 'app' && target === 0)).toMatchObject([
      { level: 'warn', msg: 'a target of an upstream is left out', state: 'unhealthy', why: 'status 500' },
      { level: 'info', msg: 'a target of an upstream takes requests again' },
    ])
    expect(a?.paths.includes('/healthz')).toBe(false)
  })

  test('one that is dead when the gateway starts never gets a request', async () => {
    const dead = await freePort()
    await serversNamed('b')
    await open([`"http://127.0.0.1:${dead}"`, ...quoted(servers)], HEALTH)
    expect(await texts(6)).toEqual(['b', 'b', 'b', 'b', 'b', 'b'])
    expect(await states()).toEqual(['unhealthy', 'in'])
  })

  test('a redirect, a refusal and silence are not healthy', async () => {
    const [moved, refused, silent] = await serversNamed('moved', 'refused', 'silent', 'well')
    moved?.setHealth(302)
    refused?.setHealth(401)
    await open(
      [...quoted(servers.slice(0, 2)), `{ url: "${silent?.url}" }`, ...quoted(servers.slice(3))],
      'health: { path: /slow-healthz, interval: 40ms, timeout: 100ms }',
    )
    // Nobody answers this path in time but the last one.
    for (const server of servers.slice(0, 3)) server.setReply(() => undefined)
    await until(async () => (await states()).join() === 'unhealthy,unhealthy,unhealthy,in')
    expect(await texts(3)).toEqual(['well', 'well', 'well'])
  })

  test('when all are ill, all are asked, and the log says so', async () => {
    await serversNamed('a', 'b')
    for (const server of servers) server.setHealth(503)
    const { lines } = await open(quoted(servers), HEALTH)
    expect(await states()).toEqual(['unhealthy', 'unhealthy'])
    expect(new Set(await texts(4))).toEqual(new Set(['a', 'b']))
    await until(() => lines().some(({ msg }) => msg === 'every target of an upstream is out: all are used'))
  })

  test('what is under way at a target that falls ill goes on there', async () => {
    const [a] = await serversNamed('a', 'b')
    let finish: () => void = () => undefined
    a?.setReply((_, res) => {
      res.write('first ')
      finish = () => void res.end('last')
    })
    await open(quoted(servers), HEALTH)
    const under = get()
    await until(() => a?.paths.length === 1)
    a?.setHealth(500)
    await until(async () => (await states())[0] === 'unhealthy')
    finish()
    expect(await under).toMatchObject({ status: 200, text: 'first last' })
  })

  test('WebSockets go to those that are well', async () => {
    const dead = await freePort()
    const echo = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await new Promise((resolve) => echo.once('listening', resolve))
    const address = echo.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      const { port: own } = await open(
        [`"http://127.0.0.1:${dead}"`, `"http://127.0.0.1:${port}"`],
        'outliers: { consecutiveFailures: 2, ejectFor: 1h }',
      )
      const opened = async (): Promise<boolean> => {
        const client = await openWebSocket(own, handshake('/app/ws'))
        client.close()
        return client.status === 101
      }
      const outcomes: boolean[] = []
      for (let turn = 0; turn < 8; turn += 1) outcomes.push(await opened())
      expect(outcomes.filter((isOpen) => !isOpen)).toHaveLength(2)
      expect(await states()).toEqual(['ejected', 'in'])
      await until(async () => (await state()).targets.every((target) => target.in_flight === 0))
    } finally {
      for (const socket of echo.clients) socket.terminate()
      echo.close()
    }
  })
})

test('a WebSocket counts as a request until it is open, and is refused where there are too many', async () => {
  const [slow] = await serversNamed('slow')
  let release: () => void = () => undefined
  slow?.setReply((_, res) => void (release = () => void res.end('slow')))
  const { port } = await open(quoted(servers), 'breaker: { maxRequests: 1 }')
  const held = get()
  await until(() => slow?.paths.length === 1)
  const refused = await openWebSocket(port, handshake('/app/ws'))
  expect([refused.status, /^retry-after: 1\r$/im.test(refused.answer)]).toEqual([503, true])
  refused.close()
  release()
  expect((await held).status).toBe(200)
  slow?.setReply((_, res) => void res.end('quick'))
  const answered = await openWebSocket(port, handshake('/app/ws'))
  answered.close()
  expect(answered.status).not.toBe(503)
  await until(async () => (await state()).in_flight === 0)
})

describe('outliers', () => {
  test('one that fails so often in a row is left out, and counted', async () => {
    const [a] = await serversNamed('a', 'b')
    a?.setReply((_, res) => void res.writeHead(503).end('ill'))
    const { lines } = await open(quoted(servers), 'outliers: { consecutiveFailures: 3, ejectFor: 1h }')
    const found = await texts(20)
    expect(found.filter((text) => text === 'ill')).toHaveLength(3)
    expect(await state()).toMatchObject({
      targets: [
        { state: 'ejected', why: '3 failures in a row', ejections: 1 },
        { state: 'in', ejections: 0 },
      ],
    })
    expect(await metric('gatehouse_upstream_ejections_total{upstream="app"}')).toBe(1)
    await until(() => lines().some(({ msg, state: how }) => msg === 'a target of an upstream is left out' && how === 'ejected'))
  })

  test('is let in again after its time', async () => {
    const [a] = await serversNamed('a', 'b')
    await a?.kill()
    await open(quoted(servers), 'outliers: { consecutiveFailures: 2, ejectFor: 300ms }')
    await texts(8)
    await a?.start()
    await until(async () => (await texts(2)).includes('a'))
    expect((await states())[0]).toBe('in')
  })

  test('never all of them: the last one is asked, whatever it answers', async () => {
    await serversNamed('a', 'b', 'c')
    for (const server of servers) server.setReply((_, res) => void res.writeHead(502).end('ill'))
    await open(quoted(servers), 'outliers: { consecutiveFailures: 1, ejectFor: 1h, maxEjected: 100% }')
    await texts(20)
    expect((await states()).toSorted()).toEqual(['ejected', 'ejected', 'in'])
    expect((await get()).status).toBe(502)
  })

  test('faults of an application and of clients are not held against a server', async () => {
    await serversNamed('a', 'b')
    for (const server of servers) server.setReply((req, res) => void res.writeHead(req.url === '/app/500' ? 500 : 404).end())
    await open(quoted(servers), 'outliers: { consecutiveFailures: 1, ejectFor: 1h }, breaker: { minRequests: 1 }')
    for (let turn = 0; turn < 10; turn += 1) await get(turn % 2 === 0 ? '/app/500' : '/app/404')
    expect(await state()).toMatchObject({ breaker: 'closed', targets: [{ state: 'in' }, { state: 'in' }] })
  })
})
