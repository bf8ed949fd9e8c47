/** Routes that are open to some networks only: requests, WebSockets, services; behind a proxy and without one. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openScene, type Answered, type Scene } from '../support/attack.ts'
import { HANDSHAKE } from '../support/websocket.ts'

const ROUTES = `
  - { name: office, match: { path: /office/* }, auth: public, upstream: recorder, websocket: true, ip: { allow: [10.0.0.0/8, "2001:db8::/32"], deny: [10.9.0.0/16] } }
  - { name: here, match: { path: /here/* }, auth: public, upstream: recorder, websocket: true, ip: { allow: [127.0.0.0/8] } }
  - { name: not-here, match: { path: /not-here/* }, auth: required, upstream: recorder, ip: { deny: [127.0.0.1] } }
  - { name: accounts, match: { path: /auth/* }, service: accounts, ip: { deny: [127.0.0.1] } }`

let direct: Scene
let behind: Scene

beforeAll(async () => {
  direct = await openScene({ routes: ROUTES })
  behind = await openScene({ routes: ROUTES, listener: '    trustedProxies: [127.0.0.0/8]' })
})
afterAll(async () => {
  await direct.close()
  await behind.close()
})
beforeEach(() => {
  direct.upstream.seen.length = 0
  behind.upstream.seen.length = 0
})

const outcome = (answer: Answered) => [answer.status, answer.status === 200 ? answer.body : answer.json()['title']]
const REFUSED = [403, 'Address refused']

describe('a client', () => {
  it('comes in from where the route is open', async () => {
    expect(outcome(await direct.ask({ target: '/here/x' }))).toEqual([200, 'ok'])
  })

  it('is refused from elsewhere, before it is asked for a token', async () => {
    const answers = [
      await direct.ask({ target: '/office/x' }),
      await direct.ask({ target: '/not-here/x' }),
      await direct.ask({ target: '/not-here/x', token: direct.token() }),
      await direct.ask({ method: 'POST', target: '/auth/login', body: '{}' }),
    ]
    expect([answers.map(outcome), direct.upstream.seen]).toEqual([[REFUSED, REFUSED, REFUSED, REFUSED], []])
    expect(answers.map((answer) => answer.json()['error'])).toEqual(Array(4).fill('access_denied'))
    expect(answers[0]?.json()['detail']).toBe('This resource is not open to your network. No token changes that.')
  })

  it('opens a WebSocket from where the route is open, and none from elsewhere', async () => {
    const open = await direct.ask({ target: '/here/x', lines: HANDSHAKE })
    const refused = await direct.ask({ target: '/office/x', lines: HANDSHAKE })
    expect([direct.upstream.seen.map(({ target }) => target), open.status, outcome(refused)]).toEqual([['/here/x'], 200, REFUSED])
  })
})

describe('a client behind a proxy that is trusted', () => {
  it.each([
    ['10.1.2.3', 200],
    ['10.9.2.3', 403],
    ['11.1.2.3', 403],
    ['2001:db8:5::1', 200],
    ['2001:db9::1', 403],
    ['::ffff:10.1.2.3', 200],
    ['::ffff:a01:203', 200],
    ['::ffff:10.9.2.3', 403],
    ['::FFFF:0a09:0203', 403],
    ['0:0:0:0:0:ffff:10.9.2.3', 403],
    ['11.1.2.3, 10.1.2.3', 200],
    ['10.1.2.3, 11.1.2.3', 403],
    ['10.1.2.3, not an address', 403],
    ['', 403],
  ])('at %j: %i', async (address, status) => {
    const answer = await behind.ask({ target: '/office/x', lines: [`X-Forwarded-For: ${address}`] })
    expect([answer.status, behind.upstream.seen.length]).toEqual([status, status === 200 ? 1 : 0])
  })
})
