/** The console of several workers: one stream, in which all of them are. */
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { until } from '../support/until.ts'
import type { GatewayProcess } from '../support/process.ts'
import { ask, startCrew, workersOf } from './crew.ts'

let gateway: GatewayProcess

beforeAll(async () => {
  gateway = await startCrew(
    2,
    `upstreams:
  orders: { targets: ["http://127.0.0.1:1", "http://127.0.0.1:2"], outliers: { consecutiveFailures: 1, ejectFor: 60s, maxEjected: 100% } }
routes:
  - { name: health, match: { path: /health }, service: health }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
  - { name: orders, match: { path: /orders/* }, auth: public, upstream: orders }
`,
  )
}, 120_000)
afterAll(async () => {
  await gateway?.end()
}, 60_000)

interface Said {
  readonly points: readonly { readonly all: readonly number[]; readonly routes: Record<string, readonly number[]> }[]
  readonly refusals: readonly { readonly path: string }[]
  readonly figures: { readonly revocation: { readonly staleness_seconds: number } }
  readonly overview: {
    readonly readiness: { readonly status: string; readonly workers: unknown }
    readonly upstreams: readonly { readonly upstream: string; readonly targets: readonly Record<string, unknown>[] }[]
  }
}

/** What the stream says first: all there is. */
async function look(): Promise<Said> {
  const port = Number(new URL(gateway.adminUrl).port)
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  socket.write(`GET /events HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
  const event = () => /^event: all\ndata: (.*)\n\n/m.exec(text.replaceAll(/\r\n[0-9a-f]+\r\n/g, ''))?.[1]
  await until(() => event() !== undefined, 'the stream said nothing')
  socket.destroy()
  return JSON.parse(event() ?? '') as Said
}

function requestsOf(said: Said, route: string): number {
  return said.points.reduce((sum, { routes }) => sum + (routes[route]?.[0] ?? 0), 0)
}

it('adds up what they count, and shows the refusals of each', { timeout: 60_000 }, async () => {
  for (let count = 0; count < 20; count += 1) await ask(gateway, '/health')
  for (let count = 0; count < 8; count += 1) await ask(gateway, `/api/${count}`)
  let said = await look()
  await until(async () => {
    said = await look()
    return requestsOf(said, 'health.health') === 20 && said.refusals.length >= 8
  })
  const paths = said.refusals.map(({ path }) => path).filter((path) => path.startsWith('/api/'))
  expect(paths.toSorted()).toEqual(Array.from({ length: 8 }, (_, index) => `/api/${index}`))
  expect(said.overview.readiness).toMatchObject({ status: 'ready', workers: { wanted: 2, ready: 2 } })
  expect(said.figures.revocation.staleness_seconds).toBeLessThan(60)
})

it('shows the worst that any of them knows of an upstream, there and at /upstreams', { timeout: 60_000 }, async () => {
  for (let count = 0; count < 8; count += 1) await ask(gateway, '/orders/1')
  const listed = (await (await fetch(`${gateway.adminUrl}/upstreams`)).json()) as Said['overview']['upstreams']
  expect(listed).toMatchObject([
    {
      upstream: 'orders',
      targets: [
        { target: 0, weight: 1, state: 'ejected', ejections: 2 },
        { target: 1, weight: 1 },
      ],
    },
  ])
  // Time goes on between the two.
  const steady = (text: string): unknown => JSON.parse(text.replaceAll(/"state_seconds":\d+,/g, ''))
  expect(steady(JSON.stringify((await look()).overview.upstreams))).toMatchObject(steady(JSON.stringify(listed)) as object)
})

it('loses no count when a worker dies, and shows that one is missing', { timeout: 60_000 }, async () => {
  const before = requestsOf(await look(), 'health.health')
  const [victim = 0] = workersOf(gateway)
  process.kill(victim, 'SIGKILL')
  await until(async () => !workersOf(gateway).includes(victim) && workersOf(gateway).length === 2, 'it was not replaced')
  await until(async () => (await look()).overview.readiness.status === 'ready')
  for (let count = 0; count < 6; count += 1) await ask(gateway, '/health')
  await until(async () => requestsOf(await look(), 'health.health') === before + 6, 'not every request was counted')
})
