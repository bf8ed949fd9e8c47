/**
 * The functional cases of the Autobahn test-suite, against an echo directly, through the gateway, and through one that ends TLS
 * and takes on another configuration all the while: what comes back must be the same, event by event.
 */
import type { AddressInfo, Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { selfSigned } from '../support/certificates.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { readVectors } from '../support/vectors.ts'
import { normal, playCase, type AutobahnCase, type Played } from '../support/autobahn.ts'
import { openWire, wireText } from '../support/wire.ts'

const { data, missing } = readVectors('websocket/autobahn_cases.json')
const { cases, count } = (data ?? { cases: [], count: 0 }) as { cases: readonly AutobahnCase[]; count: number }
const functional = cases.filter(({ perf }) => !perf)
/** Cases that wait for a second are played beside each other. */
const AT_ONCE = 24
const CHANGE_MS = 50
/** Cases whose outcome directly is not the one that the suite wants, and why; through the gateway it is the same. */
const NOT_STRICT: Readonly<Record<string, string>> = {
  '7.1.6': 'the suite leaves open what is echoed in front of a close; the echo sends both messages',
}

describe.skipIf(missing !== undefined)(missing ?? 'the cases of Autobahn', () => {
  let echo: WebSocketServer
  let gateway: TestGateway
  let restless: TestGateway
  let reloads = 0
  const directly = new Map<string, Played>()
  const through = new Map<string, Played>()
  const throughTls = new Map<string, Played>()

  beforeAll(async () => {
    echo = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 64 * 1024 * 1024, perMessageDeflate: false })
    await new Promise((resolve) => echo.once('listening', resolve))
    echo.on('connection', (socket) => {
      socket.on('error', () => undefined)
      socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }))
    })
    const { port } = echo.address() as AddressInfo
    gateway = await openWire(port, { route: ['websocket: true'] })
    await playAll(port, directly)
    await playAll(gateway.port, through)
    restless = await startRestless(port)
    const over = new AbortController()
    const changing = change(port, over.signal)
    await playAll(
      () => connectTls({ port: restless.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }),
      throughTls,
    )
    over.abort()
    await changing
  }, 120_000)
  afterAll(async () => {
    await gateway.close()
    await restless.close()
    for (const socket of echo.clients) socket.terminate()
    echo.close()
  })

  /** Another upstream each time: what it was opened with is given up, but for what is open. */
  const textOf = (port: number): string =>
    wireText(port, {
      listener: ['tls: { certificate: cert.pem, key: key.pem }'],
      upstream: [`connections: ${10 + (reloads % 2)}`],
      route: ['websocket: true', `requestHeaders: { set: { x-round: "${reloads}" } }`],
    })

  function startRestless(port: number): Promise<TestGateway> {
    const { certificate, key } = selfSigned('DNS:gateway.test')
    return startGateway(textOf(port), { files: { 'cert.pem': certificate, 'key.pem': key } })
  }

  async function change(port: number, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      reloads += 1
      await restless.reload(textOf(port))
      await new Promise((resolve) => setTimeout(resolve, CHANGE_MS))
    }
  }

  async function playAll(to: number | (() => Socket), into: Map<string, Played>): Promise<void> {
    const left = [...functional]
    const lane = async (): Promise<void> => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) into.set(one.id, await playCase(to, one))
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
  }

  test('every row is here', () => {
    expect({ all: cases.length, functional: functional.length }).toEqual({ all: count, functional: 247 })
  })

  test('the configuration was another all the while', () => {
    expect(reloads).toBeGreaterThan(10)
  })

  test.each(functional.map((one) => [one.id, one] as const))('%s', (id, one) => {
    const played = directly.get(id)
    expect(through.get(id)).toEqual(played)
    expect(throughTls.get(id)).toEqual(played)
    if (NOT_STRICT[id] === undefined)
      expect(Object.values(one.expected).map((events) => events.map(normal))).toContainEqual(played?.events)
  })
})
