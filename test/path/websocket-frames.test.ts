/**
 * The functional cases of the Autobahn test-suite, against an echo directly and through the gateway: what comes back must be
 * the same, event by event.
 */
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import type { TestGateway } from '../support/gateway.ts'
import { readVectors } from '../support/vectors.ts'
import { normal, playCase, type AutobahnCase, type Played } from '../support/autobahn.ts'
import { openWire } from '../support/wire.ts'

const { data, missing } = readVectors('websocket/autobahn_cases.json')
const { cases, count } = (data ?? { cases: [], count: 0 }) as { cases: readonly AutobahnCase[]; count: number }
const functional = cases.filter(({ perf }) => !perf)
/** Cases that wait for a second are played beside each other. */
const AT_ONCE = 24
/** Cases whose outcome directly is not the one that the suite wants, and why; through the gateway it is the same. */
const NOT_STRICT: Readonly<Record<string, string>> = {
  '7.1.6': 'the suite leaves open what is echoed in front of a close; the echo sends both messages',
}

describe.skipIf(missing !== undefined)(missing ?? 'the cases of Autobahn', () => {
  let echo: WebSocketServer
  let gateway: TestGateway
  const directly = new Map<string, Played>()
  const through = new Map<string, Played>()

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
  }, 60_000)
  afterAll(async () => {
    await gateway.close()
    for (const socket of echo.clients) socket.terminate()
    echo.close()
  })

  async function playAll(port: number, into: Map<string, Played>): Promise<void> {
    const left = [...functional]
    const lane = async (): Promise<void> => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) into.set(one.id, await playCase(port, one))
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
  }

  test('every row is here', () => {
    expect({ all: cases.length, functional: functional.length }).toEqual({ all: count, functional: 247 })
  })

  test.each(functional.map((one) => [one.id, one] as const))('%s', (id, one) => {
    const played = directly.get(id)
    expect(through.get(id)).toEqual(played)
    if (NOT_STRICT[id] === undefined)
      expect(Object.values(one.expected).map((events) => events.map(normal))).toContainEqual(played?.events)
  })
})
