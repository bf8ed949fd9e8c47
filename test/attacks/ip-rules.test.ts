/** Clients that claim another address, or another path, to get past the networks of a route. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openScene, type Scene } from '../support/attack.ts'
import { HANDSHAKE } from '../support/websocket.ts'

const ROUTES = `
  - { name: inside, match: { path: /inside/* }, auth: public, upstream: recorder, websocket: true, ip: { allow: [10.0.0.0/8] } }
  - { name: denied, match: { path: /denied/* }, auth: public, upstream: recorder, ip: { deny: [127.0.0.0/8, 192.0.2.66] } }
  - { name: all, match: { path: /* }, auth: public, upstream: recorder }`

let direct: Scene
let behind: Scene

beforeAll(async () => {
  direct = await openScene({ routes: ROUTES })
  behind = await openScene({ routes: ROUTES, listener: '    trustedProxies: [127.0.0.1/32]' })
})
afterAll(async () => {
  await direct.close()
  await behind.close()
})
beforeEach(() => {
  direct.upstream.seen.length = 0
  behind.upstream.seen.length = 0
})

const CLAIMS = [
  'X-Forwarded-For',
  'Forwarded',
  'X-Real-IP',
  'True-Client-IP',
  'CF-Connecting-IP',
  'X-Client-IP',
  'X-Cluster-Client-IP',
  'X-Originating-IP',
  'Client-IP',
  'X_Forwarded_For',
  'X-Envoy-External-Address',
]

describe('an address that a client claims', () => {
  it.each(CLAIMS)('in %s opens nothing', async (name) => {
    const line = name === 'Forwarded' ? 'Forwarded: for=10.0.0.1' : `${name}: 10.0.0.1`
    const answers = [
      await direct.ask({ target: '/inside/x', lines: [line] }),
      await direct.ask({ target: '/denied/x', lines: [line] }),
      await direct.ask({ target: '/inside/x', lines: [line, ...HANDSHAKE] }),
    ]
    expect([answers.map(({ status }) => status), direct.upstream.seen]).toEqual([[403, 403, 403], []])
  })

  it.each([
    ['before the one that the proxy saw', ['X-Forwarded-For: 10.0.0.1, 192.0.2.66']],
    ['in a line of its own', ['X-Forwarded-For: 10.0.0.1', 'X-Forwarded-For: 192.0.2.66']],
    ['in another field', ['X-Real-IP: 10.0.0.1', 'X-Forwarded-For: 192.0.2.66']],
    ['in the standard field', ['Forwarded: for=10.0.0.1', 'X-Forwarded-For: 192.0.2.66']],
  ])('%s opens nothing behind a proxy', async (_, lines) => {
    const answers = [await behind.ask({ target: '/inside/x', lines }), await behind.ask({ target: '/denied/x', lines })]
    expect([answers.map(({ status }) => status), behind.upstream.seen]).toEqual([[403, 403], []])
  })

  it.each([
    '::ffff:192.0.2.66',
    '::FFFF:192.0.2.66',
    '::ffff:c000:242',
    '0:0:0:0:0:ffff:c000:0242',
    '0000::ffff:192.0.2.66',
    '::ffff:c000:242%1',
  ])('is the one that is denied, spelled %s', async (address) => {
    const answer = await behind.ask({ target: '/denied/x', lines: [`X-Forwarded-For: ${address}`] })
    expect([answer.status, behind.upstream.seen]).toEqual([403, []])
  })

  it.each([
    '3221226050',
    '0xC0000242',
    '192.0.2.066',
    '192.0.2.66.',
    '192.0.578',
    '[::ffff:192.0.2.66]',
    '"192.0.2.66"',
    '192.0.2.66:80',
  ])('is none, spelled %s, and the proxy itself counts', async (address) => {
    const answer = await behind.ask({ target: '/denied/x', lines: [`X-Forwarded-For: ${address}`] })
    expect([answer.status, behind.upstream.seen]).toEqual([403, []])
  })
})

describe('a spelling of the path (CVE-2021-43557)', () => {
  it.each([
    '/./denied/x',
    '//denied/x',
    '/denied//x',
    '/%64enied/x',
    '/a/../denied/x',
    '/denied/./x',
    '/x/%2e%2e/denied/x',
    '/./inside/x',
    '//inside/x',

    '/denied;a=b/x',
    '/denied%2fx',
    '/denied\\x',
    '/denied/%2e%2e/inside/x',
    '/DENIED/../denied/x',
    'http://gateway.test/denied/x',
    '/denied/..%2f/denied/x',
  ])('%s does not get past the networks of a route', async (target) => {
    const answer = await direct.ask({ target })
    expect([[400, 403].includes(answer.status), direct.upstream.seen.map((seen) => seen.target)]).toEqual([true, []])
  })
})
