/** The feed of revocations, asked by whom it is not for, or for what it should not tell; and gateways that lie to the library. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { createValidator, type Validator } from '../../src/validator/validator.ts'
import { basic } from '../support/clients.ts'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { makeKey, signJwt, startKeyServer, tokenClaims, type KeyServer } from '../support/passports.ts'
import { until } from '../support/until.ts'

const SECRET = 'a secret of thirty-two characters'
const YAML = `
listeners:
  public: { {{public}} }
  admin: { address: 127.0.0.1:0 }
tenants: { default: {}, acme: { hosts: [acme.test] } }
clients:
  reader: { tenant: default, secret: { env: SECRET }, scopes: [revocations:read] }
  reader-acme: { tenant: acme, secret: { env: SECRET }, scopes: [revocations:read] }
  other: { tenant: default, secret: { env: SECRET }, scopes: [sessions:write, sessions:read, tokens:introspect] }
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: revocations, match: { path: /revocations }, service: revocations }
`.replace('{ {{public}} }', '\n    {{public}}')

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway(YAML, { environment: { SECRET } })
})
afterAll(() => gateway.close())

interface Said {
  readonly status: number
  readonly text: string
}

async function ask(query: string, headers: Record<string, string> = { authorization: basic('reader', SECRET) }): Promise<Said> {
  const response = await fetch(`${gateway.url}/revocations${query}`, { headers })
  return { status: response.status, text: await response.text() }
}

async function positionNow(): Promise<string> {
  const { text } = await ask('')
  return (JSON.parse(text.split('\n')[0] ?? '') as { position: string }).position
}

describe('who may read the feed', () => {
  it.each<[string, () => Promise<Record<string, string>>, number]>([
    ['nobody', async () => ({}), 401],
    ['a user', async () => bearer((await login(gateway.url)).access_token), 401],
    ['an unknown client', async () => ({ authorization: basic('nobody', SECRET) }), 401],
    ['a wrong secret', async () => ({ authorization: basic('reader', 'x') }), 401],
    ['a client with every other scope', async () => ({ authorization: basic('other', SECRET) }), 403],
    ['a client at the host of another tenant', async () => ({ authorization: basic('reader', SECRET), host: 'acme.test' }), 403],
  ])('not %s', async (_, headers, status) => {
    const fields = await headers()
    if (fields['host'] !== undefined) return expect(await statusAt(fields)).toBe(status)
    const answer = await ask('', fields)
    expect([answer.status, answer.text.includes('"position"')]).toEqual([status, false])
  })

  async function statusAt(headers: Record<string, string>): Promise<number> {
    const { request } = await import('node:http')
    return new Promise((resolve, reject) => {
      const asking = request(`${gateway.url}/revocations`, { headers }, (response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
      asking.on('error', reject).end()
    })
  }
})

describe('what is asked of the feed', () => {
  it.each([
    '?after=',
    '?after=a&after=b',
    '?wait_ms=100',
    '?after=MA&wait_ms=-1',
    '?after=MA&wait_ms=99999',
    '?after=MA&wait_ms=1e3',
    '?after=MA&tenant=acme',
    '?tenant_id=acme',
    `?after=${'x'.repeat(5_000)}`,
  ])('is refused when it is not understood: %s', async (query) => {
    expect((await ask(query)).status).toBe(400)
  })

  it.each([
    'AAAA',
    'x',
    '-1',
    '../..',
    '%00',
    Buffer.from('["999-9"]').toString('base64url'),
    Buffer.from('99999').toString('base64url'),
  ])('is answered with «restart» for a position that nobody was given: %s', async (after) => {
    const { status, text } = await ask(`?after=${after}`)
    expect([status, text.split('\n').length]).toEqual([200, 3])
    expect(JSON.parse(text.split('\n')[0] ?? '')).toMatchObject({ kind: 'restart', complete: false })
  })

  it('keeps nobody longer than was asked, and wakes nobody with what is of another tenant', async () => {
    const after = await positionNow()
    const startedMs = performance.now()
    const waiting = ask(`?after=${after}&wait_ms=300`, { authorization: basic('reader-acme', SECRET) })
    const { refresh_token: token } = await login(gateway.url)
    await createClient({ origin: gateway.url }).revoke(token)
    const { text } = await waiting
    const lines = text.trimEnd().split('\n')
    expect(performance.now() - startedMs).toBeGreaterThan(290)
    expect([JSON.parse(lines[0] ?? ''), lines.slice(1)]).toMatchObject([{ kind: 'tail', tenant: 'acme' }, ['{"end":0}']])
    expect((await ask(`?after=${after}`)).text.split('\n')[1]).toMatch(/^\["session","[0-9a-f]{32}",\d+\]$/)
  })

  it('shows no token, address, user agent or reason, and leaves none of the query in the log', async () => {
    const { refresh_token: refresh, access_token: access } = await login(gateway.url)
    const body = JSON.stringify({ token: refresh, reason: 'a-reason-to-hide' })
    await fetch(`${gateway.url}/sessions/revoke`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const after = await positionNow()
    const { text } = await ask('')
    for (const hidden of [refresh, access, '127.0.0.1', 'a-reason-to-hide']) expect(text).not.toContain(hidden)
    await ask(`?after=${after}&wait_ms=1`)
    await until(() => gateway.lines().some((line) => line['route'] === 'revocations.read'))
    expect(gateway.log()).not.toMatch(/wait_ms|after=/)
    expect(gateway.log()).not.toContain(SECRET)
  })
})

describe('a client that is moved to another tenant while a service follows with it', () => {
  let gate: Validator | undefined
  afterEach(() => gate?.close())

  it('does not make tokens good that were revoked there before', async () => {
    let reader = 'reader'
    gate = createValidator({
      origin: 'http://gateway.test',
      reachAt: gateway.url,
      tenants: ['default', 'acme'],
      tokens: { revocations: { feed: { clientId: 'reader', clientSecret: SECRET }, maxStalenessMs: 2_000 } },
      fetch(input, init) {
        const { url } = new Request(input)
        const isFeed = new URL(url).pathname === '/revocations'
        return fetch(url, isFeed ? { ...init, headers: { authorization: basic(reader, SECRET) } } : init)
      },
    })
    const [ended, going] = await Promise.all([login(gateway.url, 'acme'), login(gateway.url, 'acme')])
    await createClient({ origin: gateway.url, tenant: 'acme' }).revoke(ended.refresh_token)
    await gate.ready()
    reader = 'reader-acme'
    const seen = new Set<string>()
    await until(async () => {
      seen.add(await outcome(ended.access_token))
      return (await outcome(going.access_token)) === 'good'
    }, 'it did not follow the other tenant')
    expect([await outcome(ended.access_token), seen.has('good')]).toEqual(['token_revoked', false])
  })

  async function outcome(token: string): Promise<string> {
    try {
      await gate?.verifyToken(token)
      return 'good'
    } catch (error) {
      return String((error as { readonly code?: string }).code)
    }
  }
})

describe('a gateway that tells nonsense', () => {
  const key = makeKey()
  let keys: KeyServer
  let gate: Validator | undefined
  beforeAll(async () => {
    keys = await startKeyServer([key])
  })
  afterAll(() => keys.close())
  afterEach(() => gate?.close())

  const HEAD = '{"kind":"whole","tenant":"default","position":"MA","complete":true,"lag_ms":0}\n'

  /** A token of a session that nobody revoked, judged by what such a gateway says. */
  async function judged(body: string, whenStale: 'deny' | 'allow' = 'deny'): Promise<string> {
    const server = createServer((_, response) => void response.end(body))
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    try {
      gate = createValidator({
        origin: keys.origin,
        tokens: { revocations: { feed: { clientId: 'reader', clientSecret: SECRET }, whenStale } },
        fetch(input, init) {
          const { url } = new Request(input)
          return fetch(url.endsWith('/revocations') ? `http://127.0.0.1:${port}` : url, init)
        },
      })
      const token = signJwt(key, tokenClaims(keys.origin, { sid: 's1' }), { typ: 'at+jwt' })
      await gate.verifyToken(token)
      return 'good'
    } catch (error) {
      return String((error as { readonly code?: string }).code)
    } finally {
      await gate?.close()
      server.close()
    }
  }

  it('is believed when it makes sense', async () => {
    expect(await judged(`${HEAD}{"end":0}\n`)).toBe('good')
    expect(await judged(`${HEAD}["session","s1",9999999999]\n{"end":1}\n`)).toBe('token_revoked')
  })

  it.each([
    ['nothing', ''],
    ['a page', '<html></html>\n'],
    ['no end', `${HEAD}["session","x",9999999999]\n`],
    ['an end that counts more than came', `${HEAD}["session","x",9999999999]\n{"end":2}\n`],
    ['half a line', `${HEAD}["session","x"`],
    ['a kind of fact that is none', `${HEAD}["banana","x",9999999999]\n{"end":1}\n`],
    ['a time that is text', `${HEAD}["session","x","1"]\n{"end":1}\n`],
    ['no heading', '{"end":0}\n'],
    ['a heading of another answer', `${HEAD.replace('whole', 'tail')}{"end":0}\n`],
    ['no tenant', `${HEAD.replace('"default"', '""')}{"end":0}\n`],
    ['an age that it does not know', `${HEAD.replace('"lag_ms":0', '"lag_ms":null')}{"end":0}\n`],
    ['an age below zero', `${HEAD.replace('"lag_ms":0', '"lag_ms":-1')}{"end":0}\n`],
    ['that it knows of another tenant', `${HEAD.replace('default', 'acme')}{"end":0}\n`],
    ['a line without an end', `${HEAD}["session","${'x'.repeat(100_000)}`],
  ])('is not taken for «nothing was revoked»: %s', async (_, body) => {
    expect(await judged(body)).toBe('revocation_unavailable')
  })

  it('is not asked again and again where it lets the client not in, which would look like guessing', async () => {
    let asked = 0
    const server = createServer((_, response) => void ((asked += 1), response.writeHead(401).end()))
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const causes: unknown[] = []
    gate = createValidator({
      origin: `http://127.0.0.1:${port}`,
      tokens: { revocations: { feed: { clientId: 'reader', clientSecret: 'wrong' } } },
      fetch(input, init) {
        if (!new Request(input).url.endsWith('/revocations')) return Promise.reject(new Error('no keys here'))
        return fetch(input, init)
      },
      onEvent: (event) => void (event.kind === 'revocations' && causes.push(event.cause)),
    })
    await expect(gate.ready(1_000)).rejects.toThrow()
    expect(asked).toBe(1)
    expect(JSON.stringify(causes)).not.toContain('wrong')
    await gate.close()
    server.close()
  })

  it('keeps a tenant that it does not tell of out, also where stale knowledge is allowed', async () => {
    expect(await judged(`${HEAD.replace('default', 'acme')}{"end":0}\n`, 'allow')).toBe('revocation_unavailable')
  })
})
