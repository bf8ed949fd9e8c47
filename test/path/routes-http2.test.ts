/** What routes say of pages, addresses and several upstreams, for clients that speak HTTP/2. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openHttp2, openTlsScene, type Http2Answer, type Http2Client, type TlsScene } from '../support/http2.ts'

const APP = 'https://app.example.com'
const CORS = 'cors: { origins: [https://app.example.com], methods: [GET, PUT], headers: [authorization] }'

let scene: TlsScene
let client: Http2Client

beforeAll(async () => {
  scene = await openTlsScene({
    routes: `
  - { name: shared, match: { path: /shared/* }, auth: required, upstream: recorder, ${CORS} }
  - { name: near, match: { path: /near/* }, auth: public, upstream: recorder, ip: { deny: [127.0.0.0/8] }, ${CORS} }
  - { name: split, match: { path: /split/* }, auth: required, split: [{ upstream: recorder, weight: 1 }, { upstream: again, weight: 1 }] }`,
    upstreams: '  again: { targets: ["http://127.0.0.1:$PORT"] }',
  })
  client = await openHttp2(scene.port)
})
afterAll(async () => {
  client.close()
  await scene.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
})

function said({ headers }: Http2Answer): Record<string, unknown> {
  const names = Object.keys(headers).filter((name) => name.startsWith('access-control-') || name === 'vary')
  return Object.fromEntries(names.toSorted((a, b) => a.localeCompare(b)).map((name) => [name, headers[name]]))
}

const READABLE = {
  'access-control-allow-origin': APP,
  'access-control-expose-headers': 'x-request-id, retry-after, ratelimit, ratelimit-policy',
  vary: 'origin',
}

describe('over HTTP/2', () => {
  it('a preflight is answered without a token, and comes to no upstream', async () => {
    const headers = { origin: APP, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'authorization' }
    const answer = await client.ask({ method: 'OPTIONS', path: '/shared/x', headers })
    expect([answer.status, answer.body, said(answer), scene.upstream.seen]).toEqual([
      204,
      '',
      {
        'access-control-allow-headers': 'authorization',
        'access-control-allow-methods': 'GET, PUT',
        'access-control-allow-origin': APP,
        'access-control-max-age': '600',
        vary: 'origin, access-control-request-method, access-control-request-headers',
      },
      [],
    ])
  })

  it('a preflight of another page is refused, and OPTIONS that is none needs a token', async () => {
    const headers = { origin: 'https://evil.test', 'access-control-request-method': 'PUT' }
    const refused = await client.ask({ method: 'OPTIONS', path: '/shared/x', headers })
    const plain = await client.ask({ method: 'OPTIONS', path: '/shared/x', headers: { origin: APP } })
    expect([refused.status, plain.status, scene.upstream.seen]).toEqual([403, 401, []])
  })

  it('an answer and a refusal may be read by the page', async () => {
    const good = await client.ask({ path: '/shared/x', headers: { origin: APP, authorization: `Bearer ${scene.token()}` } })
    const refused = await client.ask({ path: '/shared/x', headers: { origin: APP } })
    expect([good.status, good.body, said(good)]).toEqual([200, 'ok', READABLE])
    expect([refused.status, refused.json()['error'], said(refused)]).toEqual([401, 'unauthorized', READABLE])
  })

  it('the address of the client counts', async () => {
    const answer = await client.ask({ path: '/near/x', headers: { 'x-forwarded-for': '192.0.2.1' } })
    expect([answer.status, answer.json()['title'], scene.upstream.seen]).toEqual([403, 'Address refused', []])
  })

  it('a split route serves', async () => {
    const answer = await client.ask({ path: '/split/x', headers: { authorization: `Bearer ${scene.token()}` } })
    expect([answer.status, scene.upstream.seen.length]).toEqual([200, 1])
  })
})
