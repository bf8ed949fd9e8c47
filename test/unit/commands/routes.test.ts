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
})
