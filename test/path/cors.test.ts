/** Pages of other origins: what a browser is told before and with an answer, whoever gives it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { lineOf, openScene, type Answered, type Ask, type Scene } from '../support/attack.ts'
import { rawUpstream, type RawUpstream } from '../support/raw.ts'

const APP = 'https://app.example.com'
const CORS =
  'cors: { origins: [https://app.example.com, "https://*.example.org"], methods: [GET, PUT], headers: [authorization, x-csrf], maxAge: 5m }'

let scene: Scene
let talkative: RawUpstream

beforeAll(async () => {
  const answer =
    'HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\nAccess-Control-Expose-Headers: x-secret\r\nVary: Accept-Encoding\r\ncontent-length: 2\r\n\r\nok'
  talkative = await rawUpstream((socket) => socket.end(answer))
  scene = await openScene({
    upstreams: `  talkative: { targets: ["http://127.0.0.1:${talkative.port}"] }`,
    routes: `
  - { name: shared, match: { path: /shared/* }, auth: required, scopes: [read], upstream: recorder, ${CORS} }
  - { name: reads, match: { path: /reads/*, methods: [GET] }, auth: required, upstream: recorder, ${CORS} }
  - { name: writes, match: { path: /reads/*, methods: [PUT] }, auth: required, upstream: recorder }
  - { name: anyone, match: { path: /anyone/* }, auth: public, upstream: recorder, cors: { origins: ["*"], exposedHeaders: [] } }
  - { name: talkative, match: { path: /talkative/* }, auth: public, upstream: talkative, ${CORS} }
  - { name: beta, match: { path: /headers/*, headers: { x-beta: "1" } }, auth: required, upstream: recorder, cors: { origins: ["https://beta.test"], headers: [x-beta] } }
  - { name: plain, match: { path: /headers/* }, auth: required, upstream: recorder, ${CORS} }
  - { name: near, match: { path: /near/* }, auth: required, upstream: recorder, ip: { allow: [192.0.2.0/24] }, ${CORS} }
  - { name: echo, match: { path: /echo/* }, auth: required, service: echo, ${CORS} }
  - { name: accounts, match: { path: /auth/* }, service: accounts, cors: { origins: [https://app.example.com] } }
  - { name: own, match: { path: /own/* }, auth: public, upstream: recorder }
  - { name: slashes, match: { path: /slashes/* }, auth: required, upstream: recorder, ${CORS} }`,
  })
})
afterAll(async () => {
  await scene.close()
  await talkative.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
})

/** Everything about pages of other origins that an answer says. */
function said(answer: Answered): Record<string, string> {
  const names = [...answer.headers.keys()].filter((name) => name.startsWith('access-control-') || name === 'vary')
  return Object.fromEntries(
    names.toSorted().map((name) => [name.replace('access-control-', ''), answer.headers.get(name)?.join(' | ') ?? '']),
  )
}

function preflight(target: string, method = 'PUT', lines: readonly string[] = [], origin = APP): Promise<Answered> {
  return scene.ask({
    method: 'OPTIONS',
    target,
    lines: [`Origin: ${origin}`, `Access-Control-Request-Method: ${method}`, ...lines],
  })
}

const PERMITTED = {
  'allow-headers': 'authorization, x-csrf',
  'allow-methods': 'GET, PUT',
  'allow-origin': APP,
  'max-age': '300',
  vary: 'origin, access-control-request-method, access-control-request-headers',
}
const READABLE = {
  'allow-origin': APP,
  'expose-headers': 'x-request-id, retry-after, ratelimit, ratelimit-policy',
  vary: 'origin',
}

describe('a preflight', () => {
  it('is answered by the gateway, before anybody is asked for a token', async () => {
    const answer = await preflight('/shared/x', 'PUT', ['Access-Control-Request-Headers: authorization'])
    expect([answer.status, answer.body, said(answer), scene.upstream.seen]).toEqual([204, '', PERMITTED, []])
    expect(await lineOf(scene.gateway, answer)).toMatchObject({
      route: 'shared',
      status: 204,
      path: '/shared/x',
      method: 'OPTIONS',
    })
  })

  it('of a subdomain is answered with that', async () => {
    const answer = await preflight('/shared/x', 'GET', [], 'https://eu.shop.example.org')
    expect([answer.status, said(answer)['allow-origin']]).toEqual([204, 'https://eu.shop.example.org'])
  })

  it('for a method or a header that is not welcome says which are', async () => {
    const answer = await preflight('/shared/x', 'DELETE', ['Access-Control-Request-Headers: x-other'])
    expect([answer.status, said(answer), scene.upstream.seen]).toEqual([204, PERMITTED, []])
  })

  it('of another page is refused, and says nothing', async () => {
    const answer = await preflight('/shared/x', 'PUT', [], 'https://evil.test')
    const { vary } = PERMITTED
    expect([answer.status, answer.json()['title'], said(answer), scene.upstream.seen]).toEqual([
      403,
      'Origin refused',
      { vary },
      [],
    ])
  })

  it('is for the route that the request itself would take', async () => {
    expect(said(await preflight('/reads/x', 'GET'))['allow-origin']).toBe(APP)
    // The other route says nothing of pages, and takes no OPTIONS.
    const other = await preflight('/reads/x', 'PUT')
    expect([other.status, said(other)]).toEqual([405, {}])
  })

  it('is for the route that takes a header which it names', async () => {
    const named = ['Access-Control-Request-Headers: authorization,X-Beta']
    expect(said(await preflight('/headers/x', 'PUT', named, 'https://beta.test'))['allow-origin']).toBe('https://beta.test')
    expect(said(await preflight('/headers/x', 'PUT'))['allow-origin']).toBe(APP)
    expect((await preflight('/headers/x', 'PUT', [], 'https://beta.test')).status).toBe(403)
  })

  it('of a service is answered for the endpoint', async () => {
    const answer = await preflight('/auth/login', 'POST', ['Access-Control-Request-Headers: content-type'])
    expect([answer.status, said(answer)['allow-origin'], said(answer)['allow-headers']]).toEqual([
      204,
      APP,
      'authorization, content-type',
    ])
    expect((await preflight('/auth/nothing', 'POST')).status).toBe(404)
  })

  it('comes from where the route lets clients in', async () => {
    const answer = await preflight('/near/x')
    expect([answer.status, answer.json()['title']]).toEqual([403, 'Address refused'])
  })

  it('goes to the upstream of a route that says nothing of pages', async () => {
    const answer = await preflight('/own/x', 'PUT', ['Access-Control-Request-Headers: x-own'])
    expect([answer.status, said(answer), scene.upstream.seen.map(({ method, target }) => `${method} ${target}`)]).toEqual([
      200,
      {},
      ['OPTIONS /own/x'],
    ])
  })

  it('carries no body', async () => {
    const request: Ask = {
      method: 'OPTIONS',
      target: '/shared/x',
      lines: [`Origin: ${APP}`, 'Access-Control-Request-Method: PUT'],
      body: 'x',
    }
    expect((await scene.ask(request)).status).toBe(413)
  })
})

describe('an answer', () => {
  const asked = (target: string, lines: readonly string[] = [`Origin: ${APP}`], token?: string): Promise<Answered> =>
    scene.ask({ target, lines, token })

  it('of the upstream may be read by the page', async () => {
    const answer = await asked('/shared/x', undefined, scene.token())
    expect([answer.status, answer.body, said(answer)]).toEqual([200, 'ok', READABLE])
  })

  it('of a service may be read by the page', async () => {
    const answer = await asked('/echo/x', undefined, scene.token())
    expect([answer.status, said(answer)]).toEqual([200, READABLE])
  })

  it.each([
    ['without a token', '/shared/x', undefined, 401],
    ['without the scope', '/shared/x', { scope: 'write' }, 403],
    ['from elsewhere', '/near/x', {}, 403],
  ])('that refuses a request %s may be read by the page', async (_, target, claims, status) => {
    const answer = await asked(target, undefined, claims && scene.token(claims))
    expect([answer.status, answer.json()['status'], said(answer), scene.upstream.seen]).toEqual([status, status, READABLE, []])
  })

  it.each([
    ['another page', ['Origin: https://evil.test']],
    ['a page without an origin', ['Origin: null']],
    ['nobody’s page', []],
  ])('to %s says only that there are others', async (_, lines) => {
    const answer = await asked('/shared/x', lines, scene.token())
    expect([answer.status, said(answer)]).toEqual([200, { vary: 'origin' }])
  })

  it('for all pages is the same for all', async () => {
    const answers = [
      await asked('/anyone/x', ['Origin: https://one.test']),
      await asked('/anyone/x', ['Origin: null']),
      await asked('/anyone/x', []),
    ]
    expect(answers.map(said)).toEqual([{ 'allow-origin': '*' }, { 'allow-origin': '*' }, {}])
  })

  it('has the gateway’s word in place of the upstream’s, and what both vary by', async () => {
    const both = { vary: 'Accept-Encoding, origin' }
    expect(said(await asked('/talkative/x'))).toEqual({ ...READABLE, ...both })
    expect(said(await asked('/talkative/x', ['Origin: https://evil.test']))).toEqual(both)
  })

  it('where there is no route is read by nobody', async () => {
    expect(said(await asked('/nowhere'))).toEqual({})
  })
})
