import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createAdmin } from '../../../src/admin/admin.ts'
import type { Admin, AdminNeeds, Readiness } from '../../../src/admin/admin.ts'
import { NO_TENANTS } from './no-tenants.ts'

const TOKEN = 'correct-horse-battery-staple'
const admins: Admin[] = []
const PATHS = ['/healthz', '/readyz', '/metrics', '/routes', '/config', '/upstreams', '/openapi.json']

afterEach(async () => {
  await Promise.all(admins.splice(0).map((admin) => admin.close()))
})

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

interface Started {
  readonly port: number
  readonly ask: (path: string, asked?: Asked) => Promise<Answer>
}

async function start(needs: Partial<AdminNeeds> = {}, token?: string): Promise<Started> {
  const admin = createAdmin(
    {
      readiness: () => ({ status: 'ready' }),
      scrape: async () => ({ contentType: 'text/plain; version=0.0.4', body: 'up 1\n' }),
      routes: () => [{ name: 'orders', auth: 'required' }],
      config: () => ({ version: '0123' }),
      upstreams: () => [],
      openApi: () => ({ openapi: '3.1.1' }),
      usernames: () => ({ tenants: {} }),
      tenants: NO_TENANTS,
      ...needs,
    },
    { host: '127.0.0.1', port: 0, ...(token === undefined ? {} : { token }) },
  )
  admins.push(admin)
  const { port } = await admin.listen()
  return { port, ask: (path, asked = {}) => ask(port, path, asked) }
}

async function ask(port: number, path: string, { method = 'GET', headers = {}, body }: Asked): Promise<Answer> {
  const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false })
  outgoing.end(body)
  const [incoming] = await once(outgoing, 'response')
  let text = ''
  for await (const chunk of incoming) text += String(chunk)
  return { status: incoming.statusCode, headers: incoming.headers, body: text }
}

/** Sends bytes as they are and reads until the other end closes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.end(bytes)
  let text = ''
  for await (const chunk of socket) text += String(chunk)
  return text
}

describe('the endpoints', () => {
  it.each([
    ['/healthz', 'application/json; charset=utf-8', { status: 'ok' }],
    ['/readyz', 'application/json; charset=utf-8', { status: 'ready' }],
    ['/routes', 'application/json; charset=utf-8', [{ name: 'orders', auth: 'required' }]],
    ['/openapi.json', 'application/json; charset=utf-8', { openapi: '3.1.1' }],
    ['/config?pretty', 'application/json; charset=utf-8', { version: '0123' }],
  ])('GET %s answers', async (path, type, value) => {
    const { ask } = await start()
    const answer = await ask(path)
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toEqual(value)
    expect(answer.headers).toMatchObject({
      'content-type': type,
      'content-length': String(Buffer.byteLength(answer.body)),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
  })

  it('GET /metrics answers what was scraped, in its type', async () => {
    const { ask } = await start()
    expect(await ask('/metrics')).toMatchObject({
      status: 200,
      body: 'up 1\n',
      headers: { 'content-type': 'text/plain; version=0.0.4', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
    })
  })

  it.each([
    ['ready', 200],
    ['degraded', 200],
    ['starting', 503],
    ['draining', 503],
  ] as const)('/readyz while %s is %i with the facts, and /healthz is 200', async (status, code) => {
    const readiness: Readiness = { status, revocation: { staleness_ms: 12 } }
    const { ask } = await start({ readiness: () => readiness })
    const answer = await ask('/readyz')
    expect([answer.status, JSON.parse(answer.body)]).toEqual([code, readiness])
    expect((await ask('/healthz')).status).toBe(200)
  })

  it.each(PATHS)('HEAD %s has the headers of GET and no body', async (path) => {
    const { ask } = await start()
    const [get, head] = [await ask(path), await ask(path, { method: 'HEAD' })]
    expect(head).toMatchObject({ status: 200, body: '' })
    expect(head.headers['content-length']).toBe(get.headers['content-length'])
  })

  it.each(['/', '/healthz/', '/HEALTHZ', '//healthz', '/x/../config', '/debug/pprof', '*', 'http://localhost/config'])(
    'GET %s is 404',
    async (path) => {
      const { ask } = await start()
      const answer = await ask(path)
      expect(answer.status).toBe(404)
      expect(answer.headers['content-type']).toBe('application/problem+json')
      expect(JSON.parse(answer.body)).toMatchObject({ status: 404, error: 'no_route', request_id: 'admin-1' })
    },
  )

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'])('%s is 405', async (method) => {
    const { ask } = await start()
    for (const path of PATHS) {
      const answer = await ask(path, { method })
      expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD', 'content-type': 'application/problem+json' } })
    }
  })

  it('answers 500 without the cause when it cannot say, and tells it to those who run it', async () => {
    const causes: unknown[] = []
    const cause = new Error('secret path')
    const { ask } = await start({ scrape: () => Promise.reject(cause), failed: (thrown) => causes.push(thrown) })
    const answer = await ask('/metrics')
    expect(answer.status).toBe(500)
    expect(JSON.parse(answer.body)).toMatchObject({ error: 'internal_error' })
    expect(answer.body).not.toContain('secret')
    expect(causes).toEqual([cause])
    expect((await ask('/healthz')).status).toBe(200)
  })
})

describe('the token', () => {
  it('opens everything', async () => {
    const { ask } = await start({}, TOKEN)
    for (const path of PATHS) {
      expect((await ask(path, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(200)
      expect((await ask(path, { headers: { authorization: `bearer ${TOKEN}`, host: 'gateway.internal' } })).status).toBe(200)
    }
  })

  it.each([
    ['none', {}],
    ['an empty one', { authorization: '' }],
    ['an empty bearer token', { authorization: 'Bearer ' }],
    ['another', { authorization: 'Bearer edd1c9f034335f136f87ad84b625c8f1' }],
    ['a longer one', { authorization: `Bearer ${TOKEN}x` }],
    ['a part of it', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
    ['another scheme', { authorization: `Basic ${TOKEN}` }],
    ['no scheme', { authorization: TOKEN }],
    ['a header of another name', { 'x-admin-token': TOKEN }],
  ])('is needed: with %s, all but the probes is 401', async (_, headers: Record<string, string>) => {
    const { ask } = await start({}, TOKEN)
    for (const path of [
      '/metrics',
      '/routes',
      '/config',
      '/events',
      '/console',
      '/nowhere',
      '/openapi.json',
      `/config?token=${TOKEN}`,
    ]) {
      for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
        const answer = await ask(path, { method, headers })
        expect(answer.status).toBe(401)
        expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm="gatehouse"/)
        expect(answer.body).not.toContain(TOKEN)
      }
    }
    expect((await ask('/healthz', { headers })).status).toBe(200)
    expect((await ask('/readyz', { headers })).status).toBe(200)
  })

  it('is taken from one Authorization header only', async () => {
    const { port } = await start({}, TOKEN)
    const line = `Authorization: Bearer ${TOKEN}\r\n`
    expect(await raw(port, `GET /config HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${line}\r\n`)).toMatch(/^HTTP\/1.1 200 /)
    expect(await raw(port, `GET /config HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${line}${line}\r\n`)).toMatch(
      /^HTTP\/1.1 401 /,
    )
    const other = 'authorization: Bearer other\r\n'
    expect(await raw(port, `GET /config HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${line}${other}\r\n`)).toMatch(
      /^HTTP\/1.1 401 /,
    )
  })
})

describe('without a token', () => {
  it.each([
    'localhost',
    'localhost:9901',
    'LOCALHOST.',
    'admin.localhost:1',
    '127.0.0.1',
    '127.8.9.1:9901',
    '[::1]:9901',
    '[::1]',
  ])('it answers to %s', async (host) => {
    const { ask } = await start()
    expect((await ask('/config', { headers: { host } })).status).toBe(200)
  })

  it.each([
    'attacker.example',
    'attacker.example:9901',
    'localhost.attacker.example',
    '127.0.0.1.attacker.example',
    'notlocalhost',
    '0.0.0.0',
    '10.0.0.1',
    '[::2]',
    '[::ffff:10.0.0.1]',
    'localhost:9901@attacker.example',
    'localhost, attacker.example',
  ])('it refuses a page that came by the name %j', async (host) => {
    const { ask } = await start()
    for (const path of [...PATHS, '/nowhere']) {
      const answer = await ask(path, { headers: { host } })
      expect(answer.status).toBe(403)
      expect(JSON.parse(answer.body)).toMatchObject({ error: 'access_denied' })
    }
  })

  it('refuses a request without Host, with an empty one and with two', async () => {
    const { port } = await start()
    expect(await raw(port, 'GET /config HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 403 /)
    expect(await raw(port, 'GET /config HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 403 /)
    const twice = 'GET /config HTTP/1.1\r\nHost: localhost\r\nHost: attacker.example\r\nConnection: close\r\n\r\n'
    expect(await raw(port, twice)).toMatch(/^HTTP\/1.1 40[03] /)
  })
})

describe('the listener', () => {
  it('takes no body: the connection ends with the answer', async () => {
    const { port } = await start()
    const head = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n'
    expect(await raw(port, `${head}\r\n`)).not.toMatch(/^connection: close/im)
    for (const framing of ['Content-Length: 5\r\n\r\nhello', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n']) {
      const answers = await raw(port, `${head}${framing}${head}\r\n`)
      expect(answers.match(/^HTTP\/1.1 200 /gm)).toHaveLength(1)
      expect(answers).toMatch(/^connection: close/im)
    }
  })

  it('answers garbage with 400, too many headers with 431, and lives on', async () => {
    const { port, ask } = await start()
    expect(await raw(port, 'garbage\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    const large = `GET /config HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
    expect(await raw(port, large)).toMatch(/^HTTP\/1.1 431 /)
    expect((await ask('/healthz')).status).toBe(200)
  })

  it('says why it cannot listen', async () => {
    const { port } = await start()
    const second = createAdmin(
      {
        readiness: () => ({ status: 'ready' }),
        scrape: async () => ({ contentType: '', body: '' }),
        routes: () => [],
        config: () => ({}),
        upstreams: () => [],
        openApi: () => ({}),
        usernames: () => ({}),
        tenants: NO_TENANTS,
      },
      { host: '127.0.0.1', port },
    )
    await expect(second.listen()).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await second.close()
  })

  it('closes at once, idle connections and waiting ones too', async () => {
    const { port } = await start({ scrape: () => new Promise(() => undefined) })
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
    socket.resume()
    await once(socket, 'connect')
    // The end may come as a reset: nothing more is read.
    const closed = new Promise((resolve) => socket.on('error', () => undefined).on('close', resolve))
    await admins.splice(0)[0]?.close()
    await closed
    await expect(once(connect(port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})
