import { describe, expect, it } from 'vitest'
import { check } from '../../../src/commands/check.ts'
import { routes } from '../../../src/commands/routes.ts'
import { testConfig } from '../../support/config.ts'

const CONFIG = testConfig(`
routes:
  - { name: auth, match: { path: /auth/* }, service: accounts }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
  - { name: open, match: { path: /open }, auth: public, service: echo }
  - { name: maybe, match: { path: /maybe }, auth: optional, service: echo }
`)

/** Mark and words of each route. */
function listed(): Record<string, string> {
  const rows = JSON.parse(routes(CONFIG, true)) as { mark: string; name: string; authentication: string }[]
  return Object.fromEntries(rows.map((row) => [row.name, `${row.mark}|${row.authentication}`]))
}

describe('the list of routes', () => {
  it('says of endpoints that ask for a proof themselves which one, and does not call them public', () => {
    expect(listed()).toMatchObject({
      'sessions.create': '|a client (HTTP Basic)',
      'sessions.refresh': '|whoever holds the token in the body',
      'sessions.revoke': '|whoever holds the token in the body, or a client (HTTP Basic)',
      'sessions.revoke-all': '|a token, or a client (HTTP Basic)',
      'sessions.list': '|a token',
      'oauth.token': '|a client (HTTP Basic)',
      'oauth.introspect': '|a client (HTTP Basic)',
      'oauth.revoke': '|a client (HTTP Basic)',
    })
  })

  it('marks what anyone may use, and the check counts the same', () => {
    const open = Object.entries(listed()).flatMap(([name, words]) => (words === 'PUBLIC|none: anyone' ? [name] : []))
    expect(open).toEqual(expect.arrayContaining(['auth.register', 'auth.login', 'sessions.validate']))
    expect(open.filter((name) => name.startsWith('sessions.') || name.startsWith('oauth.'))).toEqual(['sessions.validate'])
    expect(listed()['maybe.root']).toBe('|a token, or anonymous')
    expect((JSON.parse(check(CONFIG, true)) as { public: string[] }).public).toEqual(open)
  })

  it('says where clients must be, and which upstreams share the users', () => {
    const config = testConfig(`
upstreams: { a: { targets: [http://127.0.0.1:1] }, b: { targets: [http://127.0.0.1:2] } }
routes:
  - { name: near, match: { path: /near }, auth: required, upstream: a, ip: { allow: [10.0.0.0/8, 192.0.2.7], deny: [10.9.0.0/16] } }
  - { name: not, match: { path: /not }, auth: public, upstream: a, ip: { deny: [10.9.0.0/16] } }
  - { name: shared, match: { path: /shared }, auth: public, split: [{ upstream: a, weight: 999 }, { upstream: b, weight: 1 }] }
`)
    const rows = JSON.parse(routes(config, true)) as { readonly authentication: string; readonly target: string }[]
    expect(rows.map(({ authentication, target }) => [authentication, target])).toEqual([
      ['a token, in 10.0.0.0/8 or 192.0.2.7, not in 10.9.0.0/16', 'upstream a'],
      ['none: anyone, not in 10.9.0.0/16', 'upstream a'],
      ['none: anyone', '99.9% upstream a, 0.1% upstream b'],
    ])
  })

  it('says where a certificate of the client is asked for, and calls no such route public', () => {
    const config = {
      ...CONFIG,
      routes: CONFIG.routes.map((route) => ({ ...route, clientCertificate: 'required' as const })),
    }
    const rows = JSON.parse(routes(config, true)) as { mark: string; name: string; authentication: string }[]
    const said = Object.fromEntries(rows.map((row) => [row.name, `${row.mark}|${row.authentication}`]))
    expect(said).toMatchObject({
      'open.root': '|a client certificate',
      'maybe.root': '|a token, or anonymous and a client certificate',
    })
    expect((JSON.parse(check(config, true)) as { public: string[] }).public).toEqual([])
  })

  it('says the rate limits, where there are any', () => {
    const limited = testConfig(`
routes:
  - { name: one, match: { path: /one }, auth: public, service: echo, rateLimit: { requests: 100, per: 90s, by: ip } }
  - name: two
    match: { path: /two }
    auth: required
    service: echo
    rateLimit: [{ requests: 10, per: 1m, by: user, burst: 20 }, { requests: 5000, per: 1d, by: tenant }]
  - { name: none, match: { path: /none }, auth: public, service: echo }
`)
    const rows = JSON.parse(routes(limited, true)) as { readonly name: string; readonly limits?: string }[]
    expect(Object.fromEntries(rows.map(({ name, limits }) => [name, limits]))).toMatchObject({
      'one.root': '100 per 90s by ip',
      'two.root': '10 per 1m by user, 20 at once, 5000 per 1d by tenant',
      'none.root': undefined,
    })
    const [heading = '', ...lines] = routes(limited, false).split('\n')
    expect(heading).toMatch(/TARGET +LIMITS$/)
    expect(lines.find((line) => line.includes(' one.root '))).toMatch(/ 100 per 90s by ip$/)
    expect(routes(CONFIG, false).split('\n')[0]).toMatch(/TARGET$/)
  })
})
