import { beforeAll, describe, expect, it } from 'vitest'
import type { Auth, Routed } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createKey, createWorld, exchange, ORIGIN, outcome, ownClaims, OWN_ISSUER_URL, sign, tenant } from './world.ts'
import type { World } from './world.ts'

const key = createKey('k-1')
const COOKIE = '__Host-gw_at'
let world: World
let token: string

beforeAll(async () => {
  world = createWorld({
    issuers: [],
    tenants: [
      tenant({ hosts: ['acme.example.com', 'shop.example.org'] }),
      tenant({ id: 'globex', issuer: 'https://api.example.com/t/globex', hosts: ['globex.example.com'] }),
    ],
  })
  world.ownKeys.set('acme', [key.jwk])
  await world.authenticator.start()
  token = await sign(key, ownClaims({ iss: OWN_ISSUER_URL }))
})

const ask = (rawHeaders: readonly string[], auth: Auth = 'required', changes: Partial<Routed> = {}) =>
  outcome(() => world.authenticator.authenticate(exchange(rawHeaders, auth, changes)))

describe('the token in the cookie', () => {
  it('is taken where there is no Authorization header, and the exchange says where it came from', async () => {
    const authenticated = await world.authenticator.authenticate(exchange(['Cookie', `${COOKIE}=${token}`]))
    expect(authenticated).toMatchObject({ principal: { kind: 'identified', user: 'u-1' }, byCookie: true })
    const bearer = await world.authenticator.authenticate(exchange(['Authorization', `Bearer ${token}`]))
    expect(bearer).not.toHaveProperty('byCookie')
    expect(await ask(['cookie', `${COOKIE}=${token}`], 'optional')).toBe('ok u-1')
  })

  it.each([
    ['alone', (value: string) => [`${COOKIE}=${value}`]],
    ['among others', (value: string) => [`a=1; ${COOKIE}=${value}; b=2`]],
    ['without spaces', (value: string) => [`a=1;${COOKIE}=${value};b=2`]],
    ['in a field of its own', (value: string) => ['a=1', `${COOKIE}=${value}`]],
    ['beside a name that holds its own', (value: string) => [`x${COOKIE}=y; ${COOKIE}2=z; ${COOKIE}=${value}`]],
  ])('is found %s', async (_, fields) => {
    expect(await ask(fields(token).flatMap((value) => ['Cookie', value]))).toBe('ok u-1')
  })

  it.each([
    ['two cookies in one field', (value: string) => [`${COOKIE}=${value}; ${COOKIE}=${value}`]],
    ['two fields', (value: string) => [`${COOKIE}=${value}`, `${COOKIE}=other`]],
  ])('is refused as %s', async (_, fields) => {
    const rawHeaders = fields(token).flatMap((value) => ['Cookie', value])
    expect(await ask(rawHeaders)).toBe('repeated_cookie: repeated_cookie')
    expect(await ask(rawHeaders, 'optional')).toBe('repeated_cookie: repeated_cookie')
  })

  it.each([
    ['another case', (value: string) => `__host-gw_at=${value}`],
    ['the prefix left out', (value: string) => `gw_at=${value}`],
    ['a no-break space before it', (value: string) => `\u00a0${COOKIE}=${value}`],
    ['quotes around the name', (value: string) => `"${COOKIE}"=${value}`],
    ['no equals sign', (value: string) => `${COOKIE} ${value}`],
    ['the name of the refresh cookie', (value: string) => `__Secure-gw_rt=${value}`],
    ['another name whose value names it', (value: string) => `a="; b=${COOKIE}=${value}`],
  ])('is not there with %s', async (_, cookie) => {
    expect(await ask(['Cookie', cookie(token)])).toBe('unauthorized: no_token')
  })

  it('is verified like any other, also where it is optional', async () => {
    expect(await ask(['Cookie', `${COOKIE}=garbage`], 'optional')).toBe('invalid_token: malformed')
    expect(await ask(['Cookie', `${COOKIE}=`])).toBe('invalid_token: malformed')
    expect(await ask(['Cookie', `${COOKIE}="${token}"`])).toBe('invalid_token: malformed')
    const other = createKey('k-1')
    expect(await ask(['Cookie', `${COOKIE}=${await sign(other, ownClaims())}`])).toBe('invalid_signature: signature')
  })

  it('is not looked at on a public route', async () => {
    expect(await ask(['Cookie', `${COOKIE}=garbage`], 'public', { method: 'POST' })).toBe('anonymous')
  })

  it('is not looked at beside any Authorization header', async () => {
    const cookie = ['Cookie', `${COOKIE}=${token}`]
    expect(await ask([...cookie, 'Authorization', 'Bearer garbage'])).toBe('invalid_token: malformed')
    expect(await ask([...cookie, 'Authorization', 'Basic dTpw'])).toBe('unauthorized: no_token')
    expect(await ask([...cookie, 'Authorization', ''], 'optional')).toBe('anonymous')
    const twice = ['Cookie', `${COOKIE}=a; ${COOKIE}=b`, 'Authorization', `Bearer ${token}`]
    expect(await ask(twice)).toBe('ok u-1')
  })
})

const PASSES = 'ok u-1'
const REFUSED = 'cross_site_request: cross_site'
const EVIL = 'https://evil.example'
const SITES = [
  undefined,
  'same-origin',
  'none',
  'same-site',
  'cross-site',
  'same-origin, same-origin',
  'Same-Origin',
  '',
] as const
const ORIGINS = [undefined, ORIGIN, EVIL, 'null'] as const

/** What an unsafe request is answered: by site, then for each of the origins. */
const UNSAFE: readonly (readonly [(typeof SITES)[number], readonly boolean[]])[] = [
  [undefined, [false, true, false, false]],
  ['same-origin', [true, true, true, true]],
  ['none', [false, true, false, false]],
  ['same-site', [false, true, false, false]],
  ['cross-site', [false, false, false, false]],
  ['same-origin, same-origin', [false, false, false, false]],
  ['Same-Origin', [false, false, false, false]],
  ['', [false, false, false, false]],
]

const ROWS = UNSAFE.flatMap(([site, passes]) => ORIGINS.map((origin, at) => ({ site, origin, passes: passes[at] === true })))

function metadata({ site, origin }: { readonly site: string | undefined; readonly origin: string | undefined }): string[] {
  return [...(site === undefined ? [] : ['Sec-Fetch-Site', site]), ...(origin === undefined ? [] : ['Origin', origin])]
}

describe('a request with the cookie', () => {
  it('has a row for every site and origin', () => {
    expect(ROWS).toHaveLength(SITES.length * ORIGINS.length)
  })

  it.each(ROWS)('that changes something, from the site $site and the origin $origin: passes $passes', async (row) => {
    const rawHeaders = ['Cookie', `${COOKIE}=${token}`, ...metadata(row)]
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PURGE', 'get']) {
      for (const auth of ['required', 'optional'] as const) {
        expect([method, auth, await ask(rawHeaders, auth, { method })]).toEqual([method, auth, row.passes ? PASSES : REFUSED])
      }
    }
  })

  it.each(ROWS)('that opens a WebSocket, from the site $site and the origin $origin: passes $passes', async (row) => {
    const rawHeaders = ['Cookie', `${COOKIE}=${token}`, ...metadata(row)]
    expect(await ask(rawHeaders, 'required', { upgrade: true })).toBe(row.passes ? PASSES : REFUSED)
  })

  it.each(ROWS)('that only reads passes from the site $site and the origin $origin', async (row) => {
    const rawHeaders = ['Cookie', `${COOKIE}=${token}`, ...metadata(row)]
    for (const method of ['GET', 'HEAD', 'OPTIONS']) expect(await ask(rawHeaders, 'required', { method })).toBe(PASSES)
  })

  it.each(ROWS)('is never held against a token in a header, from the site $site and the origin $origin', async (row) => {
    const rawHeaders = ['Cookie', `${COOKIE}=${token}`, 'Authorization', `Bearer ${token}`, ...metadata(row)]
    expect(await ask(rawHeaders, 'required', { method: 'POST' })).toBe(PASSES)
    expect(await ask(rawHeaders, 'required', { upgrade: true })).toBe(PASSES)
  })

  it('is refused before its token is looked at', async () => {
    const rawHeaders = ['Cookie', `${COOKIE}=garbage`, 'Sec-Fetch-Site', 'cross-site']
    expect(await ask(rawHeaders, 'required', { method: 'POST' })).toBe(REFUSED)
    expect(world.events.decided.at(-1)).toEqual([undefined, 'refused', 'cross_site'])
  })
})

describe('the origin of a page', () => {
  const post = (host: string, origin: string, authority = host) =>
    ask(['Cookie', `${COOKIE}=${token}`, 'Origin', origin], 'required', { method: 'POST', host, authority })

  it.each([
    ['the public origin', 'api.example.com', ORIGIN, PASSES],
    ['the public origin, where the Host is rewritten on the way', 'internal', ORIGIN, PASSES],
    ['that of the Host', 'other.example.com', 'https://other.example.com', PASSES],
    ['a host of the tenant', 'acme.example.com', 'https://acme.example.com', PASSES],
    ['another host of the same tenant', 'acme.example.com', 'https://shop.example.org', PASSES],
    ['a host of another tenant', 'acme.example.com', 'https://globex.example.com', REFUSED],
    ['a host of a tenant, where the Host is nobody’s', 'api.example.com', 'https://acme.example.com', REFUSED],
    ['the public origin, where the Host is a tenant’s', 'acme.example.com', ORIGIN, REFUSED],
    ['plain http', 'api.example.com', 'http://api.example.com', REFUSED],
    ['another port', 'api.example.com', 'https://api.example.com:8443', REFUSED],
    ['a longer name', 'api.example.com', 'https://api.example.com.evil.example', REFUSED],
    ['a name before it', 'api.example.com', 'https://evil-api.example.com', REFUSED],
    ['a name below it', 'api.example.com', 'https://x.api.example.com', REFUSED],
    ['with a path', 'api.example.com', 'https://api.example.com/', REFUSED],
    ['in capitals', 'api.example.com', 'HTTPS://API.EXAMPLE.COM', REFUSED],
    ['two at once', 'api.example.com', `${ORIGIN}, ${ORIGIN}`, REFUSED],
    ['nothing', 'api.example.com', '', REFUSED],
  ])('%s', async (_, host, origin, expected) => {
    expect(await post(host, origin)).toBe(expected)
  })

  it('counts with its port', async () => {
    expect(await post('localhost', 'https://localhost:8443', 'localhost:8443')).toBe(PASSES)
    expect(await post('localhost', 'https://localhost:9443', 'localhost:8443')).toBe(REFUSED)
    expect(await post('localhost', 'https://localhost', 'localhost:8443')).toBe(REFUSED)
  })

  it('is refused where it stands in two fields', async () => {
    const rawHeaders = ['Cookie', `${COOKIE}=${token}`, 'Origin', ORIGIN, 'origin', ORIGIN]
    expect(await ask(rawHeaders, 'required', { method: 'POST' })).toBe(REFUSED)
  })
})

describe('what sets a cookie, or renews one', () => {
  it.each(ROWS)('from the site $site and the origin $origin: passes $passes', (row) => {
    // The method plays no part: a cookie that is set is a change.
    for (const method of ['POST', 'GET']) {
      const check = () => world.authenticator.checkOrigin(exchange(metadata(row), 'public', { method }))
      if (row.passes) expect(check).not.toThrow()
      else expect(check).toThrow(expect.objectContaining({ kind: 'cross_site_request' }))
    }
    expect(new Problem('cross_site_request')).toMatchObject({ status: 403, error: 'access_denied' })
  })
})
