/**
 * The console: what other pages, other names and many readers can make of it.
 */
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../support/attack.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { until } from '../support/until.ts'

const TOKEN = 'the-admin-token-of-this-test-0123456789'
const ROUTES = 'routes:\n  - { name: "health", match: { path: /health }, service: health }'
const CHANGES = [
  '/tenants/default/keys/rotate',
  '/tenants/default/users/ada/sessions/revoke',
  '/tenants/default/users/ada/sessions/s1/revoke',
  '/tenants/default/revoke',
  '/tenants/default/keys/k1/revoke',
  '/tenants/default/users/ada/disable',
  '/tenants/default/users/ada/enable',
  '/explain',
]
const READS = ['/events', '/routes', '/tenants', '/tenants/default/users/ada/sessions', '/metrics']

let open: TestGateway
let guarded: TestGateway
let port = 0
let guardedPort = 0

beforeAll(async () => {
  open = await startGateway(ROUTES)
  guarded = await startGateway(
    `listeners:\n  public:\n    {{public}}\n  admin: { address: 127.0.0.1:0, token: { env: ADMIN_TOKEN } }\n${ROUTES}`,
    { environment: { ADMIN_TOKEN: TOKEN } },
  )
  port = Number(new URL(open.adminUrl).port)
  guardedPort = Number(new URL(guarded.adminUrl).port)
})
afterAll(async () => {
  await open?.close()
  await guarded?.close()
})

const MARK = 'x-gatehouse-admin: 1'
const BEARER = `Authorization: Bearer ${TOKEN}`

/** Opens the stream and reads its beginning; `head` is undefined when it was closed without one. */
async function follow(at: number, ...lines: readonly string[]): Promise<{ readonly socket: Socket; text(): string }> {
  const socket = connect(at, '127.0.0.1')
  let text = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  socket.on('error', () => undefined)
  socket.write(['GET /events HTTP/1.1', `Host: localhost:${at}`, ...lines, '', ''].join('\r\n'))
  await until(() => text.includes('\r\n\r\n') || socket.destroyed, 'the stream did not answer')
  return { socket, text: () => text }
}

describe('a page of another origin', () => {
  it.each(CHANGES)('changes nothing, in whatever way it asks: POST %s', async (target) => {
    for (const lines of [
      ['Origin: https://evil.test', MARK],
      ['Origin: null', MARK],
      ['Sec-Fetch-Site: cross-site', MARK],
      ['Sec-Fetch-Site: same-site', MARK],
      ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate', 'Sec-Fetch-Dest: document', MARK],
      ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site', MARK],
      [`Origin: http://localhost:${port + 1}`, MARK],
    ]) {
      const told = ['Content-Type: application/json', ...lines]
      const one = await ask(port, { method: 'POST', target, host: `localhost:${port}`, lines: told, body: '{}' })
      expect([lines, one.status, one.json()['error']]).toEqual([lines, 403, 'access_denied'])
      const other = await ask(guardedPort, {
        method: 'POST',
        target,
        host: 'admin.example.com',
        lines: [...told, BEARER],
        body: '{}',
      })
      expect([lines, other.status]).toEqual([lines, 403])
    }
  })

  it.each(READS)('reads nothing, and takes no place from those who do: GET %s', async (target) => {
    for (const site of ['cross-site', 'same-site', 'none-of-these']) {
      const lines = [`Sec-Fetch-Site: ${site}`, 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: empty']
      expect((await ask(port, { target, host: `localhost:${port}`, lines })).status).toBe(403)
    }
  })

  it('may link to the console, and not put it into a frame', async () => {
    const from = ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate']
    const linked = await ask(port, { target: '/', host: `localhost:${port}`, lines: [...from, 'Sec-Fetch-Dest: document'] })
    expect(linked.status).toBe(200)
    expect(linked.headers.get('x-frame-options')).toEqual(['DENY'])
    expect(linked.headers.get('content-security-policy')?.[0]).toContain("frame-ancestors 'none'")
    for (const dest of ['iframe', 'embed', 'object', 'frame'])
      expect(
        (await ask(port, { target: '/', host: `localhost:${port}`, lines: [...from, `Sec-Fetch-Dest: ${dest}`] })).status,
      ).toBe(403)
  })

  it('is told apart from the console itself', async () => {
    const own = ['Sec-Fetch-Site: same-origin', `Origin: http://localhost:${port}`, MARK, 'Content-Type: application/json']
    const body = '{"url":"/health"}'
    expect((await ask(port, { method: 'POST', target: '/explain', host: `localhost:${port}`, lines: own, body })).status).toBe(
      200,
    )
    // Behind a TLS that ends in front, whose browsers send no Fetch Metadata.
    const behind = ['Origin: https://admin.example.com', BEARER, 'Content-Type: application/json']
    expect(
      (await ask(guardedPort, { method: 'POST', target: '/explain', host: 'admin.example.com', lines: behind, body })).status,
    ).toBe(200)
  })
})

describe('DNS rebinding', () => {
  it.each(['/', '/events', '/console/console.js', '/tenants'])(
    'a name that is not of loopback finds nothing at %s',
    async (target) => {
      const answer = await ask(port, { target, host: 'evil.test', lines: ['Sec-Fetch-Site: same-origin'] })
      expect([answer.status, answer.json()['error']]).toEqual([403, 'access_denied'])
    },
  )
})

describe('the page', () => {
  it('runs its own files alone', async () => {
    const page = await ask(port, { target: '/', host: 'localhost' })
    expect(page.headers.get('content-security-policy')).toEqual([
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ])
    expect(page.headers.get('referrer-policy')).toEqual(['no-referrer'])
    expect(page.headers.get('cross-origin-opener-policy')).toEqual(['same-origin'])
    expect(page.body).not.toMatch(/<script(?![^>]* src="\/console\/)|<style|\son\w+=|https?:/i)
  })

  it.each([
    '/console/../console/console.ts',
    '/console/..%2fassets.ts',
    '/console/console.ts',
    '/console/console.html',
    '/console/.js',
    '/console/%63onsole.js',
    '/console//console.js',
    '/console/console.js/',
    '/console/CONSOLE.JS',
    '/console/__proto__.js',
    '/console/constructor.js',
  ])('serves no file but its own: %s', async (target) => {
    expect((await ask(port, { target, host: 'localhost' })).status).toBe(404)
    expect([401, 404]).toContain((await ask(guardedPort, { target, host: 'localhost' })).status)
  })

  it('has nothing in it that a client said', async () => {
    await ask(open.port, { target: '/<script>alert(1)</script>', lines: ['User-Agent: <script>alert(2)</script>'] })
    for (const target of ['/', '/console/console.js'])
      expect((await ask(port, { target, host: 'localhost' })).body).not.toContain('alert(')
  })
})

describe('the stream', () => {
  it('asks for the token, and takes it from nowhere but its header', async () => {
    for (const lines of [[], ['Authorization: Bearer wrong'], [`Cookie: token=${TOKEN}`], [MARK]]) {
      const { socket, text } = await follow(guardedPort, ...lines)
      expect(text()).toMatch(/^HTTP\/1\.1 401 /)
      socket.destroy()
    }
    expect((await ask(guardedPort, { target: `/events?token=${TOKEN}&access_token=${TOKEN}` })).status).toBe(401)
    const { socket, text } = await follow(guardedPort, BEARER)
    expect(text()).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(text()).toContain('content-type: text/event-stream')
    socket.destroy()
  })

  it('is for sixteen at once, and has room again when one is gone', async () => {
    const all = await Promise.all(Array.from({ length: 40 }, () => follow(port)))
    const readers = all.filter(({ text }) => text().startsWith('HTTP/1.1 200 '))
    expect([readers.length, all.filter(({ text }) => text().startsWith('HTTP/1.1 503 ')).length]).toEqual([16, 24])
    const late = await follow(port)
    expect(late.text()).toMatch(/^HTTP\/1\.1 503 /)
    expect(late.text()).toContain('retry-after: 5')
    expect((await ask(port, { target: '/healthz', host: 'localhost' })).status).toBe(200)
    late.socket.destroy()
    readers[0]?.socket.destroy()
    await until(async () => {
      const { socket, text } = await follow(port)
      socket.destroy()
      return text().startsWith('HTTP/1.1 200 ')
    })
    for (const { socket } of all) socket.destroy()
  })

  it('says nothing of tokens, and what clients say as JSON alone', async () => {
    const hostile = '/\u007f"</script><script>alert(1)</script>\\n\\ndata: {}'.replaceAll(' ', '')
    const secret = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl'
    await ask(open.port, { target: encodeURI(hostile), lines: [`Authorization: Bearer ${secret}`] })
    await ask(open.port, { target: `/health/${secret}?refresh_token=${secret}` })
    const { socket, text } = await follow(port)
    await until(() => text().includes('\n\n') && text().includes('"refusals"'), 'no event came')
    await until(() => text().includes('[jwt]'), 'the refusal was not told of')
    expect(text()).not.toContain(secret)
    expect(text()).not.toContain('eyJ')
    socket.destroy()
  })

  it('cuts whoever does not read', async () => {
    const { createAdminFront } = await import('../../src/admin/admin.ts')
    let stopped = 0
    const front = createAdminFront(
      {
        answer: async () => ({
          status: 200,
          contentType: 'text/event-stream',
          body: '',
          stream(send) {
            const timer = setInterval(() => send('x'.repeat(512 * 1024)), 1)
            return () => {
              clearInterval(timer)
              stopped += 1
            }
          },
        }),
      },
      { host: '127.0.0.1', port: 0 },
    )
    const address = await front.listen()
    const socket = connect(address.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await once(socket, 'connect')
    await until(() => stopped === 1, 'it was not cut')
    socket.destroy()
    await front.close()
  })
})
