/**
 * Which route a request is for, and what of it reaches the upstream.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/config/config.ts'
import { openScene, valuesOf, type Ask, type Scene } from '../support/attack.ts'

let scene: Scene

/** A route that tells its upstream its name. */
function route(name: string, match: string, more = ''): string {
  return `  - { name: ${name}, match: { ${match} }, auth: public, upstream: recorder, requestHeaders: { set: { x-route: ${name} } }${more} }`
}

beforeAll(async () => {
  scene = await openScene({
    upstreams: '  based: { targets: ["http://127.0.0.1:$PORT/base/"] }',
    routes: [
      route('exact', 'path: /shop'),
      route('below', 'path: /shop/*'),
      route('deeper', 'path: /shop/cart/*'),
      route('deepest', 'path: /shop/cart/items'),
      route('deepest-post', 'path: /shop/cart/items, methods: [POST]'),
      route('beta', 'path: /shop/*, headers: { x-beta: "1" }'),
      route('beta-eu', 'path: /shop/*, headers: { x-beta: "1", x-region: eu }'),
      route('host', 'hosts: [shop.test], path: /*'),
      route('hosts-below', 'hosts: ["*.shop.test"], path: /*'),
      route('host-exact-below', 'hosts: [eu.shop.test], path: /*'),
      route('reads', 'path: /things/*, methods: [GET]'),
      route('writes', 'path: /things/*, methods: [POST, DELETE]'),
      route('strip', 'path: /v1/things/*', ', stripPrefix: /v1'),
      route('preserve', 'path: /preserve/*', ', host: preserve'),
      route('keeps', 'path: /keeps/*', ', paths: { encodedSlash: keep }'),
      '  - { name: based, match: { path: /b/* }, auth: public, upstream: based, stripPrefix: /b }',
      '  - { name: answers, match: { path: /answers/* }, auth: public, upstream: recorder, responseHeaders: { set: { x-frame-options: DENY }, remove: [Date] } }',
    ].join('\n'),
  })
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

/** Name of the route that a request took, or the answer. */
async function taken(request: Ask): Promise<string> {
  const answer = await scene.ask(request)
  if (answer.status !== 200) return `${answer.status} ${answer.body === '' ? '' : String(answer.json()['error'])}`.trim()
  return valuesOf(scene.upstream.seen.at(-1)?.rawHeaders ?? [], 'x-route').join()
}

describe('the most specific route wins', () => {
  it.each([
    [{ target: '/shop' }, 'exact'],
    [{ target: '/shop/' }, 'below'],
    [{ target: '/shop/x/y' }, 'below'],
    [{ target: '/shopping' }, '404 no_route'],
    [{ target: '/shop/cart' }, 'deeper'],
    [{ target: '/shop/cart/x' }, 'deeper'],
    [{ target: '/shop/carts' }, 'below'],
    [{ target: '/shop/cart/items' }, 'deepest'],
    [{ target: '/shop/cart/items', method: 'POST', body: '' }, 'deepest-post'],
    [{ target: '/shop/cart/items', method: 'PUT', body: '' }, 'deepest'],
    [{ target: '/shop/x', lines: ['X-Beta: 1'] }, 'beta'],
    [{ target: '/shop/x', lines: ['X-Beta: 1', 'X-Region: eu'] }, 'beta-eu'],
    [{ target: '/shop/x', lines: ['X-Beta: 2', 'X-Region: eu'] }, 'below'],
    [{ target: '/shop/x', lines: ['X-Beta: 1', 'X-Beta: 1'] }, 'below'],
    [{ target: '/shop/x', host: 'shop.test' }, 'host'],
    [{ target: '/shop/x', host: 'SHOP.test:8080' }, 'host'],
    [{ target: '/shop/x', host: 'a.shop.test' }, 'hosts-below'],
    [{ target: '/shop/x', host: 'a.b.shop.test' }, 'hosts-below'],
    [{ target: '/shop/x', host: 'eu.shop.test' }, 'host-exact-below'],
  ] as const)('%j → %s', async (request, name) => {
    expect(await taken(request)).toBe(name)
  })
})

describe('a method', () => {
  it.each([
    ['GET', 'reads', undefined],
    ['HEAD', 'reads', undefined],
    ['POST', 'writes', undefined],
    ['DELETE', 'writes', undefined],
    ['PUT', '405', ['DELETE, GET, HEAD, POST']],
    ['OPTIONS', '405', ['DELETE, GET, HEAD, POST']],
    ['PATCH', '405', ['DELETE, GET, HEAD, POST']],
    ['get', '400', undefined],
    ['BREW', '400', undefined],
  ])('%s comes to %s', async (method, expected, allow) => {
    const answer = await scene.ask({
      method,
      target: '/things/1',
      ...(method === 'GET' || method === 'HEAD' ? {} : { body: '' }),
    })
    const route = valuesOf(scene.upstream.seen[0]?.rawHeaders ?? [], 'x-route').join()
    expect([answer.status === 200 ? route : String(answer.status), answer.headers.get('allow')]).toEqual([expected, allow])
    if (answer.status === 200) expect(scene.upstream.seen[0]?.method).toBe(method)
  })

  it('that does not fit never leads to a less specific path', async () => {
    const answer = await scene.ask({ method: 'DELETE', target: '/shop/cart', body: '' })
    expect([answer.status, valuesOf(scene.upstream.seen[0]?.rawHeaders ?? [], 'x-route')]).toEqual([200, ['deeper']])
    expect(await taken({ method: 'PUT', target: '/things/1', body: '' })).toBe('405 method_not_allowed')
  })
})

describe('the upstream gets', () => {
  it.each([
    ['/shop/a%2Db/./c//d?x=%2F&y=a+b&y', '/shop/a-b/c/d?x=%2F&y=a+b&y'],
    ['/v1/things/1?q', '/things/1?q'],
    ['/v1/things', '/things'],
    ['/b/x?y', '/base/x?y'],
    ['/b', '/base/'],
    ['/keeps/a%2fb', '/keeps/a%2Fb'],
    ['/shop/x?', '/shop/x?'],
    ['http://gateway.test/shop/x?y=1', '/shop/x?y=1'],
    ['http://gateway.test', undefined],
  ])('%s as %s', async (target, forwarded) => {
    await scene.ask({ target })
    expect(scene.upstream.seen[0]?.target).toBe(forwarded)
  })

  it('its own Host, or the client’s where the route says so', async () => {
    await scene.ask({ target: '/shop/x', host: 'Client.test:8080' })
    await scene.ask({ target: '/preserve/x', host: 'Client.test:8080' })
    expect(scene.upstream.seen.map(({ rawHeaders }) => valuesOf(rawHeaders, 'host'))).toEqual([
      [`127.0.0.1:${scene.upstream.port}`],
      ['Client.test:8080'],
    ])
  })

  it('its path and its body under the same route, whatever the query says', async () => {
    await scene.ask({
      method: 'POST',
      target: '/shop/x?path=/admin&_method=DELETE',
      lines: ['Content-Type: application/json ; charset=utf-8'],
      body: '{"method":..}',
    })
    const [seen] = scene.upstream.seen
    expect([seen?.method, seen?.target, seen?.body, valuesOf(seen?.rawHeaders ?? [], 'content-type')]).toEqual([
      'POST',
      '/shop/x?path=/admin&_method=DELETE',
      '{"method":..}',
      ['application/json ; charset=utf-8'],
    ])
  })
})

it('the client gets the answer under the rules of the route', async () => {
  const plain = await scene.ask({ target: '/shop/x' })
  const ruled = await scene.ask({ target: '/answers/x' })
  expect([plain.headers.get('x-frame-options'), ruled.headers.get('x-frame-options'), ruled.body]).toEqual([
    undefined,
    ['DENY'],
    'ok',
  ])
  expect(ruled.headers.get('x-request-id')).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)])
})

describe('two routes that no request could tell apart', () => {
  it.each([
    ['the same path', [route('one', 'path: /x/*'), route('two', 'path: /x/*')]],
    ['a shared method', [route('one', 'path: /x, methods: [GET, POST]'), route('two', 'path: /x, methods: [POST]')]],
    ['a shared host', [route('one', 'hosts: [a.test, b.test], path: /x'), route('two', 'hosts: [B.test], path: /x')]],
    [
      'headers that do not contradict each other',
      [route('one', 'path: /x, headers: { a: "1" }'), route('two', 'path: /x, headers: { b: "1" }')],
    ],
  ])('are a configuration error: %s', async (_, routes) => {
    const started = openScene({ routes: routes.join('\n') }).then((open) => open.close())
    await expect(started).rejects.toThrow(ConfigError)
    await expect(started).rejects.toThrow(/two/)
  })

  it('a route that does not say who may use it is a configuration error', async () => {
    const started = openScene({ routes: '  - { name: silent, match: { path: /x/* }, upstream: recorder }' }).then((open) =>
      open.close(),
    )
    await expect(started).rejects.toThrow(/auth: is required: write required, optional or public/)
  })
})
