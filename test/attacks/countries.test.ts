/** Clients that claim to be in another country, to get past the countries of a route or a tenant. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openScene, valuesOf, type Answered, type Scene } from '../support/attack.ts'
import { openHttp2, openTlsScene } from '../support/http2.ts'
import { HANDSHAKE } from '../support/websocket.ts'

const ROUTES = `
  - { name: north, match: { path: /north/* }, auth: public, upstream: recorder, websocket: true, countries: { allow: [NO, SE] } }
  - { name: others, match: { path: /others/* }, auth: public, upstream: recorder, countries: { deny: [KP] } }
  - { name: accounts, match: { path: /auth/* }, service: accounts }`
const TENANTS = '  nordic: { signing: ES256, hosts: [nordic.test], countries: { allow: [NO] } }'
const FILES = { 'countries.csv': '10.0.0.0/8,NO\n192.0.2.0/24,KP\n203.0.113.0/24,DE\n2001:db8::/32,SE\n127.0.0.0/8,DE\n' }

let direct: Scene
let behind: Scene

beforeAll(async () => {
  const listener = '    trustedProxies: [192.0.2.0/24]'
  const both = 'geography: { header: cf-ipcountry, file: countries.csv }'
  direct = await openScene({ routes: ROUTES, tenants: TENANTS, files: FILES, more: both, listener })
  behind = await openScene({
    routes: ROUTES,
    tenants: TENANTS,
    files: FILES,
    more: both,
    listener: '    trustedProxies: [127.0.0.1/32]',
  })
})
afterAll(async () => {
  await direct.close()
  await behind.close()
})
beforeEach(() => {
  direct.upstream.seen.length = 0
  behind.upstream.seen.length = 0
})

const outcome = (answer: Answered) => (answer.status === 200 ? 'in' : `${answer.status} ${String(answer.json()['title'])}`)
const REFUSED = '403 Country refused'

describe('a country that a client claims', () => {
  it.each([
    'CF-IPCountry',
    'cf-ipcountry',
    'CF_IPCOUNTRY',
    'cf.ipcountry',
    'X-Country',
    'CloudFront-Viewer-Country',
    'X-AppEngine-Country',
  ])('in %s opens nothing, and does not reach the upstream as if a proxy had said it', async (name) => {
    const refused = await direct.ask({ target: '/north/x', lines: [`${name}: NO`] })
    const tunnel = await direct.ask({ target: '/north/x', lines: [`${name}: NO`, ...HANDSHAKE] })
    expect([outcome(refused), outcome(tunnel), direct.upstream.seen]).toEqual([REFUSED, REFUSED, []])
    expect(outcome(await direct.ask({ target: '/others/x', lines: [`${name}: NO`] }))).toBe('in')
    expect(valuesOf(direct.upstream.seen[0]?.rawHeaders ?? [], 'cf-ipcountry')).toEqual([])
  })

  it.each([
    ['in another spelling, beside that of the proxy', ['CF_IPCountry: NO', 'CF-IPCountry: KP']],
    ['in another spelling, where the proxy says nothing', ['CF_IPCountry: NO', 'X-Forwarded-For: 192.0.2.1']],
    ['in a second line, which the proxy let pass', ['CF-IPCountry: NO', 'CF-IPCountry: KP']],
    ['in one line with that of the proxy', ['CF-IPCountry: NO, KP', 'X-Forwarded-For: 203.0.113.9']],
    ['in an address before the one that the proxy saw', ['X-Forwarded-For: 10.0.0.1, 203.0.113.9']],
  ])('%s opens nothing behind a proxy', async (_, lines) => {
    expect([outcome(await behind.ask({ target: '/north/x', lines })), behind.upstream.seen]).toEqual([REFUSED, []])
  })

  it('goes to the upstream from the proxy alone, in its spelling alone', async () => {
    await behind.ask({ target: '/north/x', lines: ['CF-IPCountry: NO', 'CF_IPCountry: KP', 'cf.ipcountry: KP'] })
    expect(behind.upstream.seen.map(({ rawHeaders }) => valuesOf(rawHeaders, 'cf-ipcountry'))).toEqual([['NO']])
  })
})

describe('a country that is not known', () => {
  it.each([['CF-IPCountry: XX'], ['CF-IPCountry: T1'], ['CF-IPCountry: ZZ'], ['CF-IPCountry:']])(
    'by %s is in no list: closed to allow, open to deny',
    async (line) => {
      const lines = [line, 'X-Forwarded-For: 198.51.100.1']
      const [north, others] = [await behind.ask({ target: '/north/x', lines }), await behind.ask({ target: '/others/x', lines })]
      expect([outcome(north), outcome(others)]).toEqual([REFUSED, 'in'])
    },
  )

  it('is what somebody without an address is in', async () => {
    const lines = ['X-Forwarded-For: somewhere']
    expect(outcome(await behind.ask({ target: '/north/x', lines }))).toBe(REFUSED)
  })
})

describe('an address', () => {
  it.each([
    ['192.0.2.66', '/others/x'],
    ['::ffff:192.0.2.66', '/others/x'],
    ['::FFFF:c000:242', '/others/x'],
    ['0:0:0:0:0:ffff:c000:0242', '/others/x'],
    ['203.0.113.9', '/north/x'],
    ['::ffff:203.0.113.9', '/north/x'],
  ])('%s is in its country however it is spelled', async (address, target) => {
    const answer = await behind.ask({ target, lines: [`X-Forwarded-For: ${address}`] })
    expect([outcome(answer), behind.upstream.seen]).toEqual([REFUSED, []])
  })

  it.each(['10.1.2.3', '::ffff:10.1.2.3', '2001:db8::7', '2001:DB8:0:0::7'])('%s comes in where it may', async (address) => {
    expect(outcome(await behind.ask({ target: '/north/x', lines: [`X-Forwarded-For: ${address}`] }))).toBe('in')
  })
})

describe('a tenant that is open to some countries', () => {
  const LOGIN = { method: 'POST', target: '/auth/login', lines: ['Content-Type: application/json'] }
  const body = (more: object) => JSON.stringify({ email: 'a@example.com', password: 'wrong horse battery', ...more })

  it.each([
    ['by its host', { host: 'nordic.test', body: body({}) }],
    ['by its name in the body', { body: body({ tenant_id: 'nordic' }) }],
  ])('takes no login from elsewhere, %s', async (_, how) => {
    expect(outcome(await direct.ask({ ...LOGIN, ...how }))).toBe(REFUSED)
    const near = { ...LOGIN, ...how, lines: [...LOGIN.lines, 'CF-IPCountry: NO'] }
    expect((await behind.ask(near)).status).toBe(401)
  })

  it('is closed to requests of its host, public ones too', async () => {
    expect(outcome(await direct.ask({ target: '/public/x', host: 'nordic.test' }))).toBe(REFUSED)
    expect(outcome(await behind.ask({ target: '/public/x', host: 'nordic.test', lines: ['CF-IPCountry: NO'] }))).toBe('in')
    expect(direct.upstream.seen).toEqual([])
  })

  it('leaves other tenants open', async () => {
    expect(outcome(await direct.ask({ target: '/public/x', host: 'acme.test' }))).toBe('in')
  })
})

describe('over HTTP/2', () => {
  it('is the same: nothing that a client says, and what a proxy says once', async () => {
    const more = { routes: ROUTES, files: FILES, more: 'geography: { header: cf-ipcountry, file: countries.csv }' }
    for (const [trusted, expected] of [
      ['192.0.2.0/24', [403, 403, 403, 403]],
      ['127.0.0.1/32', [200, 403, 403, 403]],
    ] as const) {
      const scene = await openTlsScene({ ...more, listener: `    trustedProxies: [${trusted}]` })
      const client = await openHttp2(scene.port)
      try {
        const asked = [{ 'cf-ipcountry': 'NO' }, { cf_ipcountry: 'NO' }, { 'cf-ipcountry': ['NO', 'KP'] }, {}]
        const answers = []
        for (const headers of asked) answers.push(await client.ask({ path: '/north/x', headers }))
        expect(answers.map(({ status }) => status)).toEqual(expected)
        expect(scene.upstream.seen.length).toBe(expected.filter((status) => status === 200).length)
      } finally {
        client.close()
        await scene.close()
      }
    }
  })
})
