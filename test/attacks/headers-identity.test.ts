/**
 * Who a caller is, the gateway says: nothing that a client sends under one of these names, in any spelling, reaches an
 * upstream, and nothing that it sends takes ours away.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fold, openScene, valuesOf, type Scene, type Seen } from '../support/attack.ts'

const NAMES = ['x-user-id', 'x-tenant-id', 'x-scopes', 'x-session-id', 'x-token-id', 'x-gatehouse-identity']

let scene: Scene

beforeAll(async () => {
  scene = await openScene({
    upstreams: '  bare: { targets: ["http://127.0.0.1:$PORT"], passport: false }',
    routes: `
  - { name: bare, match: { path: /bare/* }, auth: optional, upstream: bare }
  - { name: forwards, match: { path: /forwards/* }, auth: required, upstream: recorder, forwardToken: true }
  - { name: removes, match: { path: /removes/* }, auth: public, upstream: recorder, requestHeaders: { remove: [X-DEBUG], set: { X-Env: prod, x-forwarded-proto: https } } }`,
  })
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

/** The one request that the upstream saw. */
function onlySeen(): Seen {
  expect(scene.upstream.seen.length).toBe(1)
  return scene.upstream.seen[0] ?? { method: '', target: '', rawHeaders: [], body: '', trailers: [] }
}

/** Everything that the upstream could take for an identity, by folded name. */
function identityOf(seen: Seen): Record<string, readonly string[]> {
  const found = NAMES.map((name) => [name, valuesOf(seen.rawHeaders, name)] as const)
  return Object.fromEntries(found.filter(([, values]) => values.length > 0))
}

const OURS = {
  'x-user-id': ['alice'],
  'x-tenant-id': ['acme'],
  'x-scopes': ['read'],
  'x-token-id': ['token-1'],
  'x-gatehouse-identity': [expect.stringMatching(/^eyJ/)],
}

/** Each way to write a name that some server reads as the same one. */
const SPELLINGS: readonly (readonly [string, (name: string) => string])[] = [
  ['as it is', (name) => name],
  ['CVE-2026-33433: in upper case', (name) => name.toUpperCase()],
  [
    'CVE-2026-33433: in mixed case',
    (name) => name.replace(/[a-z]/g, (letter, at: number) => (at % 2 === 0 ? letter.toUpperCase() : letter)),
  ],
  ['CVE-2026-54763, GHSA-x677-9fxg-v5c5, CVE-2025-64484: with underscores', (name) => name.replaceAll('-', '_')],
  ['CVE-2026-54763, GHSA-x677-9fxg-v5c5: with one underscore', (name) => name.replace(/-([^-]*)$/, '_$1')],
  ['CVE-2026-88011, CVE-2026-88879, GHSA-49wc-4hcv-v58q: with dots', (name) => name.replaceAll('-', '.').toUpperCase()],
  ['CVE-2026-88011: with a dot and an underscore', (name) => name.replace('-', '.').replace('-', '_')],
  ['with tildes', (name) => name.replaceAll('-', '~')],
  ...[..."!#$%&'*+^`|"].map((mark) => [`with ${mark}`, (name: string) => name.replaceAll('-', mark)] as const),
]

describe('a forged identity header', () => {
  it.each(SPELLINGS)('%s: is removed on a public route', async (_, spell) => {
    const answer = await scene.ask({ target: '/public/x', lines: NAMES.map((name) => `${spell(name)}: forged`) })
    expect([answer.status, identityOf(onlySeen())]).toEqual([200, {}])
  })

  it.each(SPELLINGS)('%s: is removed on an optional route without a token', async (_, spell) => {
    const answer = await scene.ask({ target: '/optional/x', lines: NAMES.map((name) => `${spell(name)}: forged`) })
    expect([answer.status, identityOf(onlySeen())]).toEqual([200, {}])
  })

  it.each(SPELLINGS)('%s: gives way to ours on a required and an optional route', async (_, spell) => {
    for (const target of ['/admin/x', '/optional/x', '/forwards/x']) {
      scene.upstream.seen.length = 0
      const lines = NAMES.map((name) => `${spell(name)}: forged`)
      const answer = await scene.ask({ target, lines, token: scene.token({ jti: 'token-1' }) })
      expect([answer.status, identityOf(onlySeen())]).toEqual([200, OURS])
    }
  })

  it.each(SPELLINGS)('%s: is removed where the upstream gets no passport', async (_, spell) => {
    const { 'x-gatehouse-identity': _passport, ...headers } = OURS
    for (const [token, expected] of [
      [scene.token({ jti: 'token-1' }), headers],
      [undefined, {}],
    ] as const) {
      scene.upstream.seen.length = 0
      const lines = NAMES.map((name) => `${spell(name)}: forged`)
      const answer = await scene.ask({ target: '/bare/x', lines, ...(token !== undefined && { token }) })
      expect([answer.status, identityOf(onlySeen())]).toEqual([200, expected])
    }
  })

  it('CVE-2026-26308, CVE-2020-25017: repeated fields are removed, all of them', async () => {
    await scene.ask({
      target: '/admin/x',
      lines: ['X-User-Id: root', 'x-user-id: admin', 'X_User_Id: admin'],
      token: scene.token({ jti: 'token-1' }),
    })
    expect(identityOf(onlySeen())).toEqual(OURS)
  })

  it('a trailer is no header: it reaches no upstream', async () => {
    const answer = await scene.ask({
      method: 'POST',
      target: '/public/x',
      lines: ['Transfer-Encoding: chunked', 'Trailer: x-user-id, X_Tenant_Id'],
      rawBody: '2\r\nhi\r\n0\r\nX-User-Id: forged\r\nX_Tenant_Id: forged\r\n\r\n',
    })
    const seen = onlySeen()
    expect([answer.status, seen.body, seen.trailers, identityOf(seen), valuesOf(seen.rawHeaders, 'trailer')]).toEqual([
      200,
      'hi',
      [],
      {},
      [],
    ])
  })

  it('CVE-2026-30851, GHSA-7r4p-vjf4-gxv4: is removed where the token says nothing to put in its place', async () => {
    const token = scene.token({ scope: undefined, jti: undefined, sid: undefined })
    await scene.ask({ target: '/admin/x', lines: ['x-scopes: admin', 'x-session-id: forged', 'x-token-id: forged'], token })
    expect(Object.keys(identityOf(onlySeen()))).toEqual(['x-user-id', 'x-tenant-id', 'x-gatehouse-identity'])
  })

  it('a passport that was made for another request is not handed on', async () => {
    await scene.ask({ target: '/admin/x', token: scene.token() })
    const passport = valuesOf(onlySeen().rawHeaders, 'x-gatehouse-identity')[0] ?? ''
    scene.upstream.seen.length = 0
    await scene.ask({ target: '/public/x', lines: [`x-gatehouse-identity: ${passport}`, `X_Gatehouse_Identity: ${passport}`] })
    expect(identityOf(onlySeen())).toEqual({})
  })

  it.each([
    'X_Forwarded_User',
    'X-Forwarded-User',
    'Remote_user',
    'Remote-User',
    'Remote.user',
    'REMOTE_GROUPS',
    'X-Forwarded-Email',
  ])('GHSA-f59h-q822-g45g, GHSA-49wc-4hcv-v58q: %s of other gateways is removed too', async (name) => {
    await scene.ask({ target: '/public/x', lines: [`${name}: attacker`] })
    expect(valuesOf(onlySeen().rawHeaders, fold(name))).toEqual([])
  })
})

describe('a user, tenant, scope or session of the token', () => {
  it('cannot leave its line', async () => {
    await scene.ask({ target: '/admin/x', token: scene.token({ sub: 'jürgen "x" \u{1F600}', sid: 'sitzung-ä' }) })
    const seen = onlySeen()
    expect([valuesOf(seen.rawHeaders, 'x-user-id'), valuesOf(seen.rawHeaders, 'x-session-id')]).toEqual([
      ['j%C3%BCrgen "x" %F0%9F%98%80'],
      ['sitzung-%C3%A4'],
    ])
  })

  it.each([
    { sub: 'alice\r\nX-Admin: 1' },
    { sub: '' },
    { sub: 'x'.repeat(257) },
    { sid: 'a\nb' },
    { jti: 'a\u0000b' },
    { scope: ['a\nb'] },
    { sub: ['alice'] },
    { sub: '\ud800' },
  ])('that could is refused: %j', async (more) => {
    const answer = await scene.ask({ target: '/admin/x', token: scene.token(more) })
    expect([answer.status, answer.json()['error'], scene.upstream.seen]).toEqual([401, 'invalid_token', []])
  })
})

describe('a Connection field', () => {
  it.each([
    ['CVE-2026-33805, GHSA-gwhp-pf74-vj37', ['Connection: close, X-User-Id']],
    ['CVE-2026-33805, GHSA-gwhp-pf74-vj37', ['Connection: x-user-id, x-tenant-id, close']],
    ['CVE-2026-33805, GHSA-gwhp-pf74-vj37', ['Connection: X-USER-ID', 'Connection: x-Tenant-Id, close']],
    ['CVE-2026-33805, GHSA-gwhp-pf74-vj37', ['Connection: x-gatehouse-identity, close']],
    ['CVE-2026-33805, GHSA-gwhp-pf74-vj37', ['Connection: authorization, close']],
    ['CVE-2024-45410, GHSA-62c8-mh53-4cqv, CVE-2026-29054', ['Connection: X-Forwarded-Host, x-user-id, close']],
    [
      'CVE-2024-45410, GHSA-62c8-mh53-4cqv, CVE-2026-29054',
      ['Connection: x-forwarded-for, x-forwarded-proto, forwarded, x-request-id, traceparent, host, close'],
    ],
    ['CVE-2026-29054', ['cOnNeCtIoN: x-FORWARDED-for', 'CONNECTION: close']],
  ])('%s: %j takes none of our headers away', async (_, lines) => {
    const answer = await scene.ask({ target: '/forwards/x', lines, token: scene.token({ jti: 'token-1' }) })
    const seen = onlySeen()
    expect([answer.status, identityOf(seen)]).toEqual([200, OURS])
    const written = ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'x-request-id', 'forwarded', 'traceparent'].map(
      (name) => valuesOf(seen.rawHeaders, name).length,
    )
    expect(written).toEqual([1, 1, 1, 1, 1, 1])
    expect(valuesOf(seen.rawHeaders, 'connection').join(',')).not.toMatch(/x-|authorization|forwarded/i)
  })

  it('takes away what it names of the client’s own, and the hop-by-hop fields besides', async () => {
    const lines = [
      'Connection: x-mine, close',
      'X-Mine: 1',
      'X-Other: 2',
      'TE: trailers',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic eDp5',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
    ]
    await scene.ask({ target: '/public/x', lines })
    const seen = onlySeen()
    const passed = [
      'x-mine',
      'x-other',
      'te',
      'keep-alive',
      'proxy-connection',
      'proxy-authorization',
      'upgrade',
      'http2-settings',
    ].map((name) => valuesOf(seen.rawHeaders, name))
    expect(passed).toEqual([[], ['2'], [], [], [], [], [], []])
  })
})

describe('the rules of a route', () => {
  it.each(['X-Debug', 'x-debug', 'X_DEBUG', 'X.Debug'])(
    'CVE-2026-107832, GHSA-qc2q-p7wx-3px3: remove: [X-DEBUG] removes %s',
    async (name) => {
      await scene.ask({ target: '/removes/x', lines: [`${name}: 1`] })
      expect(valuesOf(onlySeen().rawHeaders, 'x-debug')).toEqual([])
    },
  )

  it('set leaves one field of a name, whoever else would have written it', async () => {
    await scene.ask({ target: '/removes/x', lines: ['X_Env: forged', 'x-env: forged', 'X-Forwarded-Proto: gopher'] })
    const seen = onlySeen()
    expect([valuesOf(seen.rawHeaders, 'x-env'), valuesOf(seen.rawHeaders, 'x-forwarded-proto')]).toEqual([['prod'], ['https']])
  })
})

describe('credentials', () => {
  it('stay here unless the route forwards them, in every spelling', async () => {
    const token = scene.token()
    const lines = [
      'Cookie: a=1; __Host-gw_at=x; b=2; __Secure-gw_rt=y',
      'Authorization_: x',
      'Proxy-Authorization: Basic eDp5',
      'X-Authorization: mine',
    ]
    await scene.ask({ target: '/admin/x', token, lines })
    const seen = onlySeen()
    expect([
      valuesOf(seen.rawHeaders, 'authorization'),
      valuesOf(seen.rawHeaders, 'cookie'),
      valuesOf(seen.rawHeaders, 'proxy-authorization'),
    ]).toEqual([[], ['a=1; b=2'], []])
    expect(seen.rawHeaders.join('\n')).not.toContain(token)
  })

  it('are one field where the route forwards them', async () => {
    const token = scene.token()
    await scene.ask({ target: '/forwards/x', token })
    expect(valuesOf(onlySeen().rawHeaders, 'authorization')).toEqual([`Bearer ${token}`])
  })
})

describe('identity headers of other names', () => {
  let other: Scene

  beforeAll(async () => {
    other = await openScene({
      more: `identity: { headers: { user: X-USER-id, tenant: Remote_Tenant }, passport: { header: X.Pass } }`,
    })
  })
  afterAll(() => other.close())

  it('CVE-2026-33433: a configured name in another case makes one header, ours', async () => {
    const lines = [
      'x-user-id: forged',
      'X_USER_ID: forged',
      'remote-tenant: forged',
      'REMOTE.TENANT: forged',
      'x-pass: forged',
      'X_PASS: forged',
    ]
    await other.ask({ target: '/admin/x', token: other.token(), lines })
    await other.ask({ target: '/public/x', lines })
    const found = other.upstream.seen.map(({ rawHeaders }) =>
      ['x-user-id', 'remote-tenant', 'x-pass'].map((name) => valuesOf(rawHeaders, name)),
    )
    expect(found).toEqual([
      [['alice'], ['acme'], [expect.stringMatching(/^eyJ/)]],
      [[], [], []],
    ])
  })
})
