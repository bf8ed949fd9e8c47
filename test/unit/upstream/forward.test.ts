/** The edges of the forward step that no client can reach from outside. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { ANONYMOUS, type Admitted } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createUpstreams, type Upstreams } from '../../../src/upstream/upstream.ts'
import { strictUpstream, type StrictUpstream } from '../../support/wire.ts'
import { testConfig } from '../../support/config.ts'

let server: Server | undefined
let upstream: StrictUpstream | undefined
let upstreams: Upstreams | undefined

afterEach(async () => {
  server?.closeAllConnections()
  server?.close()
  await upstreams?.close()
  await upstream?.close()
})

const record = () => ({
  status: 0,
  bytesIn: 0,
  bytesOut: 0,
  upstream: undefined,
  upstreamMs: 0,
  aborted: false,
  ended: undefined,
})

async function open(): Promise<{ forward: Upstreams['forward']; exchange: Admitted }> {
  upstream = await strictUpstream()
  const config = testConfig(
    `upstreams: { main: { targets: ["http://127.0.0.1:${upstream.port}"] } }\nroutes: [{ name: all, match: { path: /* }, auth: public, upstream: main }]`,
  )
  const route = config.routes[0]
  if (route?.target.kind !== 'upstream') throw new Error('no route')
  upstreams = createUpstreams(
    {
      monotonicMs: () => performance.now(),
      schedule: () => () => undefined,
      endOfTurn: setImmediate,
      live: { enter: () => undefined, hold: () => undefined, leave: () => undefined },
      answered: () => undefined,
      random: () => 0,
      names: { find: async () => undefined, stop: () => undefined },
      events: {
        retried: () => undefined,
        breaker: () => undefined,
        target: () => undefined,
        allOut: () => undefined,
        moved: () => undefined,
      },
      moved: () => undefined,
      stallMs: 1000,
    },
    config.upstreams.values(),
  )
  const exchange: Admitted = {
    id: 'id-1',
    method: 'GET',
    target: '/',
    host: 'a',
    authority: 'a',
    rawHeaders: [],
    peer: '127.0.0.1',
    trusted: false,
    client: '127.0.0.1',
    scheme: 'http',
    upgrade: false,
    bodyLength: 0,
    expectsContinue: false,
    startedMs: 0,
    route: { ...route, auth: 'public', target: route.target },
    path: '/',
    forwardPath: '/',
    query: '',
    params: new Map(),
    principal: ANONYMOUS,
    revocation: 'none',
    tenant: undefined,
    admitted: true,
  }
  return { forward: upstreams.forward, exchange }
}

/** One request of a client, as the server has it. */
async function arrive(octets: string): Promise<{ req: IncomingMessage; res: ServerResponse; leave(): void }> {
  return new Promise((resolve) => {
    const one = createServer((req, res) => resolve({ req, res, leave: () => void client.destroy() }))
    server = one
    let client: ReturnType<typeof connect>
    one.listen(0, '127.0.0.1', () => {
      client = connect((one.address() as AddressInfo).port, '127.0.0.1', () => client.write(octets))
      client.on('error', () => undefined)
    })
  })
}

test.each([
  ['a value with a line end', ['x-a', 'a\r\nx-b: c']],
  ['a name with a space', ['x a', 'b']],
  ['a second length', ['content-length', '1', 'content-length', '1']],
  ['a transfer coding', ['transfer-encoding', 'chunked']],
])('%s is a fault of ours, not the upstream’s, and never a hang', async (_, fields) => {
  const { forward, exchange } = await open()
  const { req, res } = await arrive('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const failure = await forward(exchange, { list: [...fields] }, { req, res }, record()).catch((error: unknown) => error)
  expect(failure instanceof Problem && failure.kind).toBe('internal_error')
  expect(upstream?.requests).toEqual([])
})

test('a client that went while the steps before waited is not forwarded, and does not hang', async () => {
  const { forward, exchange } = await open()
  const { req, res, leave } = await arrive('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab')
  leave()
  await new Promise((resolve) => res.once('close', resolve))
  const noted = record()
  await forward({ ...exchange, method: 'POST', bodyLength: 5 }, { list: [] }, { req, res }, noted)
  expect(noted).toMatchObject({ aborted: true, status: 0 })
  await upstream?.until(() => false, 100)
  expect(upstream?.requests).toEqual([])
})
