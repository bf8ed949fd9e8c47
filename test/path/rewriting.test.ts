/** What a route makes of a request on its way to the upstream: prefixes, the Host, how long the answer may be silent. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openScene, valuesOf, type Scene } from '../support/attack.ts'
import { HANDSHAKE } from '../support/websocket.ts'

let scene: Scene
let silent: Server

beforeAll(async () => {
  silent = createServer(sayHalf)
  await new Promise<void>((resolve) => {
    silent.listen(0, '127.0.0.1', resolve)
  })
  scene = await openScene({
    upstreams: `  based: { targets: ["http://127.0.0.1:$PORT/base/"] }
  silent: { targets: ["http://127.0.0.1:${(silent.address() as AddressInfo).port}"] }`,
    routes: `
  - { name: rewritten, match: { path: /v1/orders/* }, auth: public, upstream: recorder, websocket: true, stripPrefix: /v1, addPrefix: /v2, host: { set: "orders.internal:8443" } }
  - { name: all-off, match: { path: /off/* }, auth: public, upstream: recorder, stripPrefix: /off, addPrefix: /on }
  - { name: added, match: { path: /added }, auth: public, upstream: based, addPrefix: /below }
  - { name: echo, match: { path: /echo/* }, auth: public, service: echo, stripPrefix: /echo, addPrefix: /e }
  - { name: silent, match: { path: /silent }, auth: public, upstream: silent, timeouts: { idle: 50ms } }`,
  })
})
afterAll(async () => {
  await scene.close()
  silent.closeAllConnections()
  await new Promise((resolve) => silent.close(resolve))
})
beforeEach(() => {
  scene.upstream.seen.length = 0
})

/** The beginning of an answer, and nothing more. */
function sayHalf(_: IncomingMessage, res: ServerResponse): void {
  res.writeHead(200, { 'content-length': '10' })
  res.write('half')
}

describe('the path that the upstream gets', () => {
  it.each([
    ['/v1/orders/7?q=/v1', '/v2/orders/7?q=/v1'],
    ['/v1/orders', '/v2/orders'],
    ['/v1//orders/./x', '/v2/orders/x'],
    ['/v1/orders/a%2db', '/v2/orders/a-b'],
    ['/off', '/on/'],
    ['/off/', '/on/'],
    ['/off/x/', '/on/x/'],
    ['/added', '/base/below/added'],
  ])('of %s is %s', async (target, forwarded) => {
    const answer = await scene.ask({ target })
    expect([answer.status, scene.upstream.seen.map((seen) => seen.target)]).toEqual([200, [forwarded]])
  })

  it.each(['/v1/../admin/x', '/v1/orders/..%2f..%2fadmin', '/v1/orders%2f..', '/off/..;/admin', '/off/%2e%2e%2fadmin'])(
    'of %s is none',
    async (target) => {
      const answer = await scene.ask({ target })
      expect([[400, 401].includes(answer.status), scene.upstream.seen]).toEqual([true, []])
    },
  )
})

describe('the Host that the upstream gets', () => {
  it('is the one that the route says, whatever the client sends', async () => {
    await scene.ask({ target: '/v1/orders/7', host: 'client.test' })
    await scene.ask({ target: '/v1/orders/7', lines: HANDSHAKE })
    expect(scene.upstream.seen.map(({ method, rawHeaders }) => [method, valuesOf(rawHeaders, 'host')])).toEqual([
      ['GET', ['orders.internal:8443']],
      ['UPGRADE GET', ['orders.internal:8443']],
    ])
  })
})

it('an answer that is silent for longer than the route allows is cut', async () => {
  const answer = await scene.ask({ target: '/silent' })
  expect([answer.status, answer.body]).toEqual([200, 'half'])
})
