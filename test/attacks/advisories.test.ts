/**
 * Advisories and regression tests of other gateways and token libraries, each one as a test against this gateway.
 *
 * Where an entry holds whole request lines, they are sent as they stand. Where it describes a request in words, the table
 * below turns it into real ones.
 */
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { z } from 'zod'
import { ConfigError } from '../../src/config/config.ts'
import { expectNoPass, FOREIGN, lineOf, openScene, valuesOf, type Scene } from '../support/attack.ts'
import { claims, compact, createSigner, hs, jwksServer, segment, signWith, type JwksServer } from '../support/foreign.ts'
import { bearer, login, SERVICE_ROUTES } from '../support/gateway.ts'
import { readVectors } from '../support/vectors.ts'

const ENTRY = z.object({ id: z.string(), cls: z.string(), requests: z.array(z.string()).min(1), invariant: z.string() })
const FILE = z.object({ count: z.number(), entries: z.array(ENTRY) })
type Entry = z.infer<typeof ENTRY>

const { data, missing } = readVectors('cve/gateway_cve_regressions.json')
const file = FILE.parse(data ?? { count: 0, entries: [] })

/** Entries that do not apply to what is built so far, with the reason. */
const NOT_YET = new Map<string, string>()

const HS_SECRET = 'a shared secret of more than thirty-two bytes'
const TENANT_HOSTS = Array.from({ length: 120 }, (_, index) => `tenant-${index}.example.test`)

const rsa = createSigner('RS256', 'rsa-1')
const twin = createSigner('ES256', 'foreign-1')
const remote = createSigner('ES256', 'remote-1')

let scene: Scene
let keys: JwksServer

beforeAll(async () => {
  keys = await jwksServer()
  keys.serve('remote', [remote.jwk])
  const { alg: _alg, ...rsaWithoutAlgorithm } = rsa.jwk
  scene = await openScene({
    environment: { JWT_SECRET: HS_SECRET },
    files: { 'rsa.json': JSON.stringify({ keys: [rsaWithoutAlgorithm] }), 'twin.json': JSON.stringify({ keys: [twin.jwk] }) },
    tenants: `  a: { signing: ES256, hosts: [tenant-a.example.test, ${TENANT_HOSTS.join(', ')}] }`,
    issuers: `
  rsa: { issuer: "https://rsa.test/", tenant: acme, audiences: [api], algorithms: [RS256], jwks: { file: rsa.json } }
  twin: { issuer: "https://foreign.test/1", tenant: a, audiences: [api], algorithms: [ES256], jwks: { file: twin.json } }
  shared: { issuer: shared, tenant: acme, audiences: any, algorithms: [HS256], secrets: [{ env: JWT_SECRET }] }
  remote: { issuer: "https://remote.test/", tenant: acme, audiences: [api], algorithms: [ES256], jwks: { uri: "${keys.uri('remote')}", timeout: 300ms, refresh: 1s } }`,
    upstreams: '  based: { targets: ["http://127.0.0.1:$PORT/hi/"] }',
    routes: `
  - { name: based, match: { path: /ho/* }, auth: public, upstream: based, stripPrefix: /ho }
  - { name: writes, match: { path: /writes/* }, auth: required, scopes: [write], upstream: recorder }
  - { name: stale, match: { path: /stale/* }, auth: required, revocation: { whenStale: allow, maxStaleness: 1ms }, upstream: recorder }
${SERVICE_ROUTES}`,
  })
})
afterAll(async () => {
  await scene.close()
  await keys.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
})

/** Sent without a token: refused, and the upstream saw nothing. */
async function noPass(request: Parameters<Scene['ask']>[0]): Promise<void> {
  expectNoPass(await scene.ask(request), scene.upstream)
}

async function refusedToken(token: string, target = '/admin'): Promise<void> {
  const answer = await scene.ask({ target, token })
  expectNoPass(answer, scene.upstream)
  expect(answer.status).toBe(401)
}

/** Names and values of the identity that the upstream got in the last request. */
function told(...names: string[]): readonly string[][] {
  return names.map((name) => [...valuesOf(scene.upstream.seen.at(-1)?.rawHeaders ?? [], name)])
}

async function forged(lines: readonly string[], folded: string): Promise<void> {
  for (const target of ['/public/x', '/optional/x']) {
    await scene.ask({ target, lines })
    expect(told(folded, 'x-user-id')).toEqual([[], []])
  }
  await scene.ask({ target: '/admin', lines, token: scene.token() })
  expect(told(folded)).toEqual([folded === 'x-user-id' ? ['alice'] : []])
}

/** The real requests of an entry whose requests are described in words, by the beginning of its id. */
const PROSE: Readonly<Record<string, (entry: Entry) => Promise<void>>> = {
  'CVE-2025-64484': async () => {
    await forged(['X_Forwarded_User: admin'], 'x-forwarded-user')
    await forged(['X_User_Id: admin'], 'x-user-id')
    await forged(['x-user_id: admin'], 'x-user-id')
  },
  'GHSA-f59h-q822-g45g': () => forged(['Remote_user: attacker'], 'remote-user'),
  'GHSA-49wc-4hcv-v58q': async () => {
    await forged(['Remote.user: attacker'], 'remote-user')
    await forged(['X.User.Id: admin'], 'x-user-id')
  },
  'CVE-2026-27588': async () => {
    const token = scene.token()
    for (const host of [
      'TENANT-A.EXAMPLE.TEST',
      'tenant-a.example.test',
      'Tenant-A.example.test.:80',
      'TENANT-119.EXAMPLE.TEST',
    ]) {
      // The token is of another tenant: it passes only where the host is taken for nobody's.
      expect((await scene.ask({ target: '/admin', host, token })).status).toBe(403)
      expect((await scene.ask({ target: '/admin', host, token: twin.token(claims('https://foreign.test/1')) })).status).toBe(200)
    }
  },
  'CVE-2026-33805': async () => {
    for (const lines of [
      ['Connection: close, X-User-Id'],
      ['Connection: X-User-Id, X-Tenant-Id', 'Connection: close'],
      ['Connection: Authorization, close'],
    ]) {
      const answer = await scene.ask({ target: '/admin', lines, token: scene.token() })
      expect([answer.status, told('x-user-id', 'x-tenant-id')]).toEqual([200, [['alice'], ['acme']]])
    }
  },
  'CVE-2024-45410': async () => {
    await scene.ask({ target: '/public/x', lines: ['Connection: X-Forwarded-Host, X-Forwarded-For, close'] })
    expect(told('x-forwarded-host', 'x-forwarded-for')).toEqual([['gateway.test'], ['127.0.0.1']])
  },
  'GHSA-v574-6498-x57v': async () => {
    // `…test/` + `1foreign-1` and `…test/1` + `foreign-1` are one text when they are joined without a mark.
    expect((await scene.ask({ target: '/admin', token: twin.token(claims('https://foreign.test/1')) })).status).toBe(200)
    await refusedAfterGood(twin.token(claims(FOREIGN), { kid: '1foreign-1' }))
    await refusedAfterGood(scene.signer.token(claims('https://foreign.test/1')))
    await refusedAfterGood(twin.token(claims(FOREIGN)))
  },
  'GHSA-2q7r-29rg-6m5h': async () => {
    await noPass({ target: '/ho/%2E%2E/hi' })
    await noPass({ target: '/ho/%2E%2E/%2E%2E/admin' })
    await noPass({ target: '/ho/%2E%2E%2Fadmin' })
    await scene.ask({ target: '/ho/x' })
    expect(scene.upstream.seen.map((seen) => seen.target)).toEqual(['/hi/x'])
  },
  'GHSA-v2v2-hph8-q5xp': async () => {
    const body = '{"method":..}\r\n\xff'
    await scene.ask({ method: 'POST', target: '/public/x', lines: ['Content-Type: application/json ; charset=utf-8'], body })
    expect([scene.upstream.seen[0]?.body, told('content-type')]).toEqual([body, [['application/json ; charset=utf-8']]])
  },
  'GHSA-ggv3-7p47-pfv8': async () => {
    const hidden = 'GET /admin HTTP/1.1\r\nHost: x\r\nX-User-Id: forged\r\n\r\n'
    const rawBody = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`
    for (const method of ['DELETE', 'OPTIONS', 'GET', 'POST']) {
      for (const connection of ['Connection: keep-alive, close', 'Connection: upgrade, close']) {
        scene.upstream.seen.length = 0
        await scene.ask({ method, target: '/public/x', lines: ['Transfer-Encoding: chunked', connection], rawBody })
        await setTimeout(20)
        expect(scene.upstream.seen.map((seen) => [seen.method, seen.target, seen.body])).toEqual([[method, '/public/x', hidden]])
      }
    }
  },
  'CVE-2026-3635': async () => {
    await scene.ask({ target: '/public/x', lines: ['X-Forwarded-Proto: https', 'X-Forwarded-Host: evil'] })
    expect(told('x-forwarded-proto', 'x-forwarded-host')).toEqual([['http'], ['gateway.test']])
  },
  'CVE-2021-32701': async () => {
    const token = scene.token({ scope: 'read' })
    expect((await scene.ask({ target: '/admin', token })).status).toBe(200)
    const answer = await scene.ask({ target: '/writes/x', token })
    expect([answer.status, answer.json()['error'], scene.upstream.seen.length]).toEqual([403, 'insufficient_scope', 1])
  },
  'CVE-2022-29226': async () => {
    await refusedToken('garbage')
    await noPass({ target: '/admin', lines: ['Cookie: BearerToken=x'] })
  },
  'CVE-2024-23324': async () => {
    const user = await login(scene.gateway.url)
    const known = remote.token(claims('https://remote.test/'))
    expect((await scene.ask({ target: '/stale/x', token: known })).status).toBe(200)
    await fetch(`${scene.gateway.url}/auth/logout`, { method: 'POST', headers: bearer(user.access_token) })
    keys.serve('remote', (_, res) => void res.destroy())
    const fetched = keys.fetches('remote')
    while (keys.fetches('remote') === fetched) await setTimeout(20)
    scene.upstream.seen.length = 0
    await refusedToken(user.access_token, '/stale/x')
    await refusedToken(scene.token({ iat: 1, exp: 2 }), '/stale/x')
    await refusedToken(compact({ alg: 'none', kid: 'remote-1' }, claims('https://remote.test/')), '/stale/x')
    await refusedToken(
      compact({ alg: 'ES256', kid: 'remote-1' }, claims('https://remote.test/'), (data) =>
        signWith('ES256', twin.privateKey, data),
      ),
      '/stale/x',
    )
    keys.serve('remote', [remote.jwk])
  },
  'CVE-2024-45809': async () => {
    const server = await jwksServer()
    server.serve('slow', () => undefined)
    server.serve('error', (_, res) => void res.writeHead(500).end())
    server.serve('garbage', (_, res) => void res.end('{'))
    const other = await openScene({
      issuers: ['slow', 'error', 'garbage']
        .map(
          (name) =>
            `  ${name}: { issuer: ${name}, tenant: acme, audiences: any, algorithms: [ES256], jwks: { uri: "${server.uri(name)}", timeout: 200ms } }`,
        )
        .join('\n'),
    })
    const names = ['slow', 'error', 'garbage', 'slow', 'error', 'garbage']
    const raced = await Promise.all(names.map((name) => other.ask({ target: '/admin', token: remote.token(claims(name)) })))
    expect(raced.map((answer) => answer.status)).toEqual(names.map(() => 401))
    expect((await other.ask({ target: '/admin', token: other.token() })).status).toBe(200)
    await other.close()
    await server.close()
  },
  'CVE-2024-45806': async () => {
    await scene.ask({ target: '/public/x', lines: ['X-Envoy-External-Address: 10.0.0.1', 'X-Envoy-Internal: true'] })
    expect(told('x-envoy-external-address', 'x-envoy-internal')).toEqual([[], []])
    await scene.ask({ target: '/admin', lines: ['X-Envoy-External-Address: 10.0.0.1', 'X-Envoy-Internal: true'] })
    expect(scene.upstream.seen.length).toBe(1)
  },
  'CVE-2024-45808': async () => {
    await lineOf(scene.gateway, await scene.ask({ target: '/public/before' }))
    const before = scene.gateway.lines().length
    await scene.ask({ target: '/x%0aFAKE' })
    await scene.ask({ target: '/public/x', lines: ['User-Agent: a\x1b[31m'] })
    await scene.ask({ target: '/admin', token: scene.token({}, { kid: 'a\nFAKE' }) })
    await lineOf(scene.gateway, await scene.ask({ target: '/public/after' }))
    expect(scene.gateway.lines().length - before).toBe(4)
    expect(scene.gateway.log()).toMatch(/^[\x20-\x7e\n]*$/)
  },
  'CVE-2024-23326': async () => {
    const lines = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]
    const hidden = 'GET /admin HTTP/1.1\r\nHost: gateway.test\r\n\r\n'
    const answer = await scene.ask({ target: '/public/x', lines, rawBody: hidden })
    expect([answer.status, answer.headers.get('upgrade')]).toEqual([200, undefined])
    // It is answered, and no tunnel: what came behind the handshake has reached nobody.
    expect(scene.upstream.seen.map((seen) => seen.target)).toEqual(['/public/x'])
  },
  'CVE-2026-26308': async () => {
    await scene.ask({
      target: '/admin',
      lines: ['X-User-Id: user', 'X-User-Id: admin', 'X-Scopes: user,admin'],
      token: scene.token(),
    })
    expect(told('x-user-id', 'x-scopes')).toEqual([['alice'], ['read']])
    scene.upstream.seen.length = 0
    const good = scene.token()
    for (const other of ['bad', good]) {
      const answer = await scene.ask({
        target: '/admin',
        lines: [`Authorization: Bearer ${good}`, `Authorization: Bearer ${other}`],
      })
      expectNoPass(answer, scene.upstream)
      expect(answer.status).toBe(400)
    }
  },
  'CVE-2026-31908': async () => {
    await scene.ask({ target: '/public/x', lines: ['X-Forwarded-For: 1%0d%0aX-Admin: 1', 'X-Note: 1%0d%0aX-Admin: 1'] })
    expect(told('x-admin', 'x-forwarded-for', 'x-note')).toEqual([[], ['127.0.0.1'], ['1%0d%0aX-Admin: 1']])
    scene.upstream.seen.length = 0
    for (const octet of ['\x00', '\x01', '\x0b', '\x7f', '\rX-Admin: 1', '\nX-Admin: 1'])
      await noPass({ target: '/public/x', lines: [`X-Note: 1${octet}`] })
  },
  'CVE-2022-29266': async () => {
    const tokens = [
      compact({ alg: 'HS256' }, claims('shared'), hs('HS256', 'another secret of more than thirty-two bytes')),
      rsa.token(claims('shared')),
    ]
    for (const token of tokens) {
      const answer = await scene.ask({ target: '/admin', token })
      expectNoPass(answer, scene.upstream)
      await lineOf(scene.gateway, answer)
      expect([answer.status, answer.raw.includes(HS_SECRET), scene.gateway.log().includes(HS_SECRET)]).toEqual([
        401,
        false,
        false,
      ])
    }
  },
  'lua-resty-jwt auth bypass': async () => {
    for (const key of ['', segment('x'.repeat(32))]) {
      await refusedToken(
        [
          segment({ alg: 'dir', enc: 'A256GCM' }),
          key,
          segment('iv'.repeat(6)),
          segment(claims('https://rsa.test/')),
          segment('tag'.repeat(5)),
        ].join('.'),
      )
    }
  },
  'CVE-2023-48223': async () => {
    const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' })
    const forms = [
      pem,
      `\n${pem}`,
      pem.trim(),
      rsa.publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(rsa.jwk),
      JSON.stringify({ keys: [rsa.jwk] }),
    ]
    for (const secret of forms)
      await refusedToken(compact({ alg: 'HS256', kid: 'rsa-1' }, claims('https://rsa.test/'), hs('HS256', secret)))
  },
  'GHSA-rp9m-7r4c-75qg': async () => {
    const said = claims(FOREIGN, { jti: 'one' })
    const token = scene.signer.token(said)
    expect((await scene.ask({ target: '/admin', token })).status).toBe(200)
    await refusedAfterGood(twin.token(said))
    await refusedAfterGood(`${token.slice(0, -40)}${'A'.repeat(40)}`)
    expect((await scene.ask({ target: '/admin', token: scene.signer.token({ ...said, sub: 'bob' }) })).status).toBe(200)
    expect(told('x-user-id')).toEqual([['bob']])
  },
  'GHSA-gmvf-9v4p-v8jc': async () => {
    const issuers = '  empty: { issuer: empty, tenant: acme, audiences: any, algorithms: [HS256], secrets: [{ env: SECRET }] }'
    for (const environment of [{}, { SECRET: '' }]) await expect(openScene({ issuers, environment })).rejects.toThrow(ConfigError)
    await refusedToken(compact({ alg: 'HS256' }, claims('shared'), hs('HS256', '')))
  },
  'CVE-2015-9235': async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', undefined, ['none'], null])
      await refusedToken(compact({ alg, kid: 'foreign-1' }, claims(FOREIGN)))
  },
  'CVE-2022-21449': async () => {
    const n = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
    const sign = (data: string) => signWith('ES256', scene.signer.privateKey, data)
    const der = (data: string) =>
      Buffer.concat([
        Buffer.from([0x30, 0x44, 0x02, 0x20]),
        sign(data).subarray(0, 32),
        Buffer.from([0x02, 0x20]),
        sign(data).subarray(32),
      ])
    const signatures = [
      () => Buffer.alloc(64),
      der,
      () => Buffer.concat([n, n]),
      () => Buffer.alloc(64, 0xff),
      (data: string) => sign(data).subarray(1),
      (data: string) => Buffer.concat([sign(data), Buffer.from([0])]),
    ]
    for (const signature of signatures)
      await refusedToken(compact({ alg: 'ES256', kid: 'foreign-1' }, claims(FOREIGN), signature))
  },
  'CVE-2018-0114': async () => {
    for (const header of [
      { jwk: twin.jwk },
      { jwk: twin.jwk, kid: undefined },
      { jku: keys.uri('remote') },
      { x5u: keys.uri('remote') },
      { x5c: ['AA=='] },
    ])
      await refusedToken(twin.token(claims(FOREIGN), header))
    const fetched = keys.fetches('trap')
    await refusedToken(twin.token(claims(FOREIGN), { jku: keys.uri('trap'), x5u: keys.uri('trap'), jwk: twin.jwk }))
    expect(keys.fetches('trap')).toBe(fetched)
  },
}

/** A token that must be refused although another one has passed in the same test. */
async function refusedAfterGood(token: string): Promise<void> {
  const seen = scene.upstream.seen.length
  const answer = await scene.ask({ target: '/admin', token })
  expect([answer.status, scene.upstream.seen.length]).toEqual([401, seen])
}

/** `GET /path HTTP/1.1 + Name: value`; without the first part it is `GET /admin`. */
const WRITTEN = /^(?:(GET) (\S+)(?: HTTP\/1\.1)?)?(?: ?\+ ([\w-]+: .+))?$/

function requestOf(text: string): Parameters<Scene['ask']>[0] {
  const [whole, method = 'GET', target = '/admin', line] = WRITTEN.exec(text) ?? []
  if (whole === undefined) throw new Error(`not a request: ${text}`)
  return { method, target, ...(line === undefined ? {} : { lines: [line] }) }
}

function proseOf(entry: Entry): ((entry: Entry) => Promise<void>) | undefined {
  return PROSE[Object.keys(PROSE).find((id) => entry.id.startsWith(id)) ?? '']
}

it.skipIf(missing !== undefined)(`every advisory is read, and each row of the table is one of them ${missing ?? ''}`, () => {
  expect([file.entries.length, file.count]).toEqual([46, 46])
  expect(new Set(file.entries.map((entry) => entry.id)).size).toBe(46)
  for (const id of [...Object.keys(PROSE), ...NOT_YET.keys()])
    expect([id, file.entries.filter((entry) => entry.id.startsWith(id)).length]).toEqual([id, 1])
})

it
  .skipIf(missing !== undefined)
  .each(file.entries.filter((entry) => !NOT_YET.has(entry.id)).map((entry) => [entry.id, entry.cls, entry] as const))(
  '%s: %s',
  async (_, __, entry) => {
    const prose = proseOf(entry)
    if (prose !== undefined) {
      await prose(entry)
      return
    }
    for (const request of entry.requests) await noPass(requestOf(request))
  },
)
