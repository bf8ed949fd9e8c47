/**
 * Every request that is refused is refused in the same words: a status, a stable code, a challenge where one is due, and
 * nothing of what is behind the gateway.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openScene, type Answered, type Ask, type Scene } from '../support/attack.ts'
import { readChallenge } from '../support/challenge.ts'
import { freePort } from '../support/ports.ts'
import { claims, createSigner, seconds } from '../support/foreign.ts'
import { bearer, login, SERVICE_ROUTES } from '../support/gateway.ts'
import { rawUpstream, type RawUpstream } from '../support/raw.ts'

let scene: Scene
let silent: RawUpstream
let garbled: RawUpstream
let deadPort = 0

beforeAll(async () => {
  deadPort = await freePort()
  silent = await rawUpstream(() => undefined)
  garbled = await rawUpstream('SSH-2.0-OpenSSH_9.2\r\n\r\n')
  scene = await openScene({
    listener: '    limits: { headerBytes: 8KiB, headers: 40, urlBytes: 1KiB, bodyBytes: 1MiB }',
    tenants: '  closed: { signing: ES256, registration: closed }',
    upstreams: `  dead: { targets: ["http://127.0.0.1:${deadPort}"] }
  silent: { targets: ["http://127.0.0.1:${silent.port}"] }
  garbled: { targets: ["http://127.0.0.1:${garbled.port}"] }`,
    routes: `
  - { name: only-get, match: { path: /only-get, methods: [GET] }, auth: public, upstream: recorder }
  - { name: only-write, match: { path: /only-write/*, methods: [POST, PUT] }, auth: required, upstream: recorder }
  - { name: scoped, match: { path: /scoped/* }, auth: required, scopes: [read, orders:write, orders:admin], upstream: recorder }
  - { name: other-tenant, match: { path: /other-tenant/* }, auth: required, tenants: [default], upstream: recorder }
  - { name: other-issuer, match: { path: /other-issuer/* }, auth: required, issuers: [gateway], upstream: recorder }
  - { name: claimed, match: { path: /claimed/* }, auth: required, claims: { plan: [pro] }, upstream: recorder }
  - { name: recent, match: { path: /recent/* }, auth: required, maxAuthAge: 60s, upstream: recorder }
  - { name: small, match: { path: /small/* }, auth: public, bodyBytes: 1KiB, upstream: recorder }
  - { name: echo, match: { path: /echo/* }, auth: public, bodyBytes: 1KiB, service: echo }
  - { name: dead, match: { path: /dead/* }, auth: public, upstream: dead }
  - { name: silent, match: { path: /silent/* }, auth: public, timeouts: { response: 150ms }, upstream: silent }
  - { name: garbled, match: { path: /garbled/* }, auth: public, upstream: garbled }
${SERVICE_ROUTES}`,
  })
})
afterAll(async () => {
  await scene.close()
  await silent.close()
  await garbled.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
})

interface Row {
  readonly request: () => Ask | Promise<Ask>
  readonly status: number
  readonly error: string
  /** Parameters of the challenge besides the realm; undefined: no challenge. */
  readonly challenge?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, unknown>>
}

const DESCRIPTION = expect.stringMatching(/^[A-Z].+\.$/) as unknown
const INVALID = { error: 'invalid_token', error_description: DESCRIPTION }
const FORBIDDEN = { error: 'insufficient_scope', error_description: DESCRIPTION }
const stranger = createSigner('ES256', 'foreign-1')

const post = (target: string, body: unknown, lines: readonly string[] = []): Ask => ({
  method: 'POST',
  target,
  lines: ['Content-Type: application/json', ...lines],
  body: JSON.stringify(body),
})

const ROWS: Readonly<Record<string, Row>> = {
  'an unknown route': { request: () => ({ target: '/nowhere' }), status: 404, error: 'no_route' },
  'a wrong method': {
    request: () => ({ method: 'POST', target: '/only-get', body: '' }),
    status: 405,
    error: 'method_not_allowed',
    headers: { allow: ['GET, HEAD'] },
  },
  'a wrong method without a token, where one is needed': {
    request: () => ({ target: '/only-write/x' }),
    status: 405,
    error: 'method_not_allowed',
    headers: { allow: ['POST, PUT'] },
  },
  'a missing token': { request: () => ({ target: '/admin' }), status: 401, error: 'unauthorized', challenge: {} },
  'credentials of another scheme': {
    request: () => ({ target: '/admin', lines: ['Authorization: Basic eDp5'] }),
    status: 401,
    error: 'unauthorized',
    challenge: {},
  },
  'a malformed token': {
    request: () => ({ target: '/admin', token: 'garbage' }),
    status: 401,
    error: 'invalid_token',
    challenge: INVALID,
  },
  'an empty token': {
    request: () => ({ target: '/admin', lines: ['Authorization: Bearer'] }),
    status: 401,
    error: 'invalid_token',
    challenge: INVALID,
  },
  'a token of an unknown issuer': {
    request: () => ({ target: '/admin', token: stranger.token(claims('https://nobody.test/')) }),
    status: 401,
    error: 'invalid_token',
    challenge: INVALID,
  },
  'a token for another audience': {
    request: () => ({ target: '/admin', token: scene.token({ aud: 'billing' }) }),
    status: 401,
    error: 'invalid_token',
    challenge: INVALID,
  },
  'a token of an unknown key': {
    request: () => ({ target: '/admin', token: scene.token({}, { kid: 'unknown' }) }),
    status: 401,
    error: 'invalid_token',
    challenge: INVALID,
  },
  'a token that is not valid yet': {
    request: () => ({ target: '/admin', token: scene.token({ nbf: seconds() + 600 }) }),
    status: 401,
    error: 'invalid_token',
    challenge: INVALID,
  },
  'an expired token': {
    request: () => ({ target: '/admin', token: scene.token({ exp: seconds() - 10 }) }),
    status: 401,
    error: 'token_expired',
    challenge: INVALID,
  },
  'a bad signature': {
    request: () => ({ target: '/admin', token: stranger.token(claims('https://foreign.test/')) }),
    status: 401,
    error: 'invalid_signature',
    challenge: INVALID,
  },
  'a bad token on an optional route': {
    request: () => ({ target: '/optional/x', token: 'garbage' }),
    status: 401,
    error: 'invalid_token',
    challenge: INVALID,
  },
  'a revoked token': {
    request: async () => ({ target: '/admin', token: await revokedToken() }),
    status: 401,
    error: 'token_revoked',
    challenge: INVALID,
  },
  'a login that is too long ago': {
    request: () => ({ target: '/recent/x', token: scene.token({ auth_time: seconds() - 120 }) }),
    status: 401,
    error: 'access_denied',
    challenge: { error: 'insufficient_user_authentication', error_description: DESCRIPTION, max_age: '60' },
  },
  'two tokens': {
    request: () => ({ target: '/admin', token: scene.token(), lines: [`Authorization: Bearer ${scene.token()}`] }),
    status: 400,
    error: 'invalid_request',
  },
  'a token of another tenant': {
    request: () => ({ target: '/other-tenant/x', token: scene.token() }),
    status: 403,
    error: 'tenant_mismatch',
    challenge: FORBIDDEN,
  },
  'a token of another tenant than the host': {
    request: async () => ({ target: '/admin', host: 'acme.test', token: (await login(scene.gateway.url)).access_token }),
    status: 403,
    error: 'tenant_mismatch',
    challenge: FORBIDDEN,
  },
  'a token of an issuer that the route does not take': {
    request: () => ({ target: '/other-issuer/x', token: scene.token() }),
    status: 403,
    error: 'access_denied',
    challenge: FORBIDDEN,
  },
  'a token without the claim': {
    request: () => ({ target: '/claimed/x', token: scene.token({ plan: 'free' }) }),
    status: 403,
    error: 'access_denied',
    challenge: FORBIDDEN,
  },
  'a token without the scopes': {
    request: () => ({ target: '/scoped/x', token: scene.token({ scope: 'read' }) }),
    status: 403,
    error: 'insufficient_scope',
    challenge: {
      error: 'insufficient_scope',
      error_description: expect.stringMatching(/orders:write orders:admin/),
      scope: 'read orders:write orders:admin',
    },
  },
  'a body over the limit': {
    request: () => ({ method: 'POST', target: '/small/x', body: 'x'.repeat(2000) }),
    status: 413,
    error: 'payload_too_large',
  },
  'a body over the limit that is announced and not sent': {
    request: () => ({ method: 'POST', target: '/small/x', lines: ['Content-Length: 99999999999'], rawBody: 'x' }),
    status: 413,
    error: 'payload_too_large',
  },
  'a body over the limit of a service': {
    request: () => ({ method: 'POST', target: '/echo/x', body: 'x'.repeat(2000) }),
    status: 413,
    error: 'payload_too_large',
  },
  'a body over the limit of a service, in chunks': {
    request: () => ({
      method: 'POST',
      target: '/echo/x',
      lines: ['Transfer-Encoding: chunked'],
      rawBody: `7d0\r\n${'x'.repeat(2000)}\r\n0\r\n\r\n`,
    }),
    status: 413,
    error: 'payload_too_large',
  },
  'an ambiguous path': { request: () => ({ target: '/public%2fadmin' }), status: 400, error: 'ambiguous_path' },
  'a request target that is no path': { request: () => ({ target: 'http:admin' }), status: 400, error: 'invalid_request' },
  'a target that is too long': {
    request: () => ({ target: `/public/${'x'.repeat(1100)}` }),
    status: 414,
    error: 'invalid_request',
  },
  'too many headers': {
    request: () => ({ target: '/public/x', lines: Array.from({ length: 50 }, (_, index) => `X-H${index}: 1`) }),
    status: 431,
    error: 'invalid_request',
  },
  'headers that are too large': {
    request: () => ({ target: '/public/x', lines: [`X-Large: ${'x'.repeat(9000)}`] }),
    status: 431,
    error: 'invalid_request',
  },
  'no Host': { request: () => ({ target: '/public/x', host: undefined }), status: 400, error: 'invalid_request' },
  'two lengths': {
    request: () => ({ method: 'POST', target: '/public/x', lines: ['Content-Length: 1', 'Content-Length: 2'], rawBody: 'ab' }),
    status: 400,
    error: 'invalid_request',
  },
  'a length and a coding': {
    request: () => ({
      method: 'POST',
      target: '/public/x',
      lines: ['Content-Length: 1', 'Transfer-Encoding: chunked'],
      rawBody: '0\r\n\r\n',
    }),
    status: 400,
    error: 'invalid_request',
  },
  'another expectation than 100-continue': {
    request: () => ({ method: 'POST', target: '/public/x', lines: ['Expect: miracles'], body: 'x' }),
    status: 417,
    error: 'invalid_request',
  },
  'a WebSocket of another version': {
    request: () => ({
      target: '/public/x',
      lines: ['Connection: Upgrade, close', 'Upgrade: websocket', 'Sec-WebSocket-Version: 8', 'Sec-WebSocket-Key: x'],
    }),
    status: 426,
    error: 'invalid_request',
    headers: { 'sec-websocket-version': ['13'] },
  },
  'a WebSocket where none is taken': {
    request: () => ({
      target: '/only-get',
      lines: [
        'Connection: Upgrade, close',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ],
    }),
    status: 400,
    error: 'invalid_request',
  },
  'an upstream that is down': { request: () => ({ target: '/dead/x' }), status: 502, error: 'upstream_unreachable' },
  'an upstream that answers garbage': { request: () => ({ target: '/garbled/x' }), status: 502, error: 'upstream_unreachable' },
  'an upstream that is slow': { request: () => ({ target: '/silent/x' }), status: 504, error: 'upstream_timeout' },
  'a wrong password': {
    request: () => post('/auth/login', { email: 'nobody@example.com', password: 'wrong password' }),
    status: 401,
    error: 'unauthorized',
    challenge: {},
  },
  'a registration where none is open': {
    request: () => post('/auth/register', { email: 'new@example.com', password: 'long enough', tenant_id: 'closed' }),
    status: 403,
    error: 'access_denied',
    challenge: {},
  },
  'an unknown tenant': {
    request: () => post('/auth/login', { email: 'a@example.com', password: 'x', tenant_id: 'nobody' }),
    status: 404,
    error: 'tenant_not_found',
  },
  'a body of another type': {
    request: () => ({ method: 'POST', target: '/auth/login', lines: ['Content-Type: text/plain'], body: '{}' }),
    status: 415,
    error: 'invalid_request',
  },
}

async function revokedToken(): Promise<string> {
  const user = await login(scene.gateway.url)
  const response = await fetch(`${scene.gateway.url}/auth/logout`, { method: 'POST', headers: bearer(user.access_token) })
  expect(response.status).toBe(204)
  return user.access_token
}

const MEMBERS = ['type', 'title', 'status', 'detail', 'instance', 'error', 'error_description', 'request_id']

describe('a refusal of', () => {
  it.each(Object.entries(ROWS))('%s', async (_, { request, status, error, challenge, headers = {} }) => {
    const asked = await request()
    const answer = await scene.ask(asked)
    const problem = answer.json()
    expect({ status: answer.status, error: problem['error'], upstream: scene.upstream.seen }).toEqual({
      status,
      error,
      upstream: [],
    })
    for (const [name, value] of Object.entries(headers)) expect([name, answer.headers.get(name)]).toEqual([name, value])
    expectWholeProblem(answer, problem, status)
    expectChallenge(answer, challenge)
    expectNothingInside(answer, asked)
  })

  it('anything leaves the gateway alive and the next request untouched', async () => {
    const answer = await scene.ask({ target: '/admin', token: scene.token() })
    expect([answer.status, scene.upstream.seen.length]).toEqual([200, 1])
  })
})

function expectWholeProblem(answer: Answered, problem: Record<string, unknown>, status: number): void {
  const id = answer.headers.get('x-request-id')
  expect(id).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)])
  expect(Object.keys(problem)).toEqual(expect.arrayContaining(MEMBERS))
  expect(Object.keys(problem).filter((member) => !MEMBERS.includes(member) && member !== 'fields')).toEqual([])
  expect(problem).toMatchObject({
    type: expect.stringMatching(/^urn:gatehouse:problem:[a-z_]+$/),
    title: expect.stringMatching(/^[A-Z]/),
    status,
    detail: problem['error_description'],
    instance: `urn:gatehouse:request:${id?.[0]}`,
    request_id: id?.[0],
  })
  expect(answer.headers.get('content-type')).toEqual(['application/problem+json'])
  expect(answer.headers.get('cache-control')).toEqual(['no-store'])
  expect(answer.headers.get('content-length')).toEqual([String(answer.body.length)])
}

/** 401 and 403 carry exactly one challenge, which says `error` only where there was a token (RFC 6750 §3). */
function expectChallenge(answer: Answered, challenge: Row['challenge']): void {
  const fields = answer.headers.get('www-authenticate')
  if (challenge === undefined) {
    expect(fields).toBeUndefined()
    return
  }
  expect(fields?.length).toBe(1)
  const { scheme, parameters } = readChallenge(fields?.[0] ?? '')
  const { realm, ...rest } = parameters
  expect([scheme, realm]).toEqual(['Bearer', 'gatehouse'])
  expect(rest).toEqual(challenge)
}

/** No address of an upstream, no stack, no file, nothing of a token. */
function expectNothingInside(answer: Answered, asked: Ask): void {
  const ports = [deadPort, silent.port, garbled.port, scene.upstream.port].map(String)
  for (const port of ports) expect(answer.raw.includes(`:${port}`)).toBe(false)
  expect(answer.raw).not.toMatch(/127\.0\.0\.1|ECONN|ENOENT|node:|\.ts\b|\n\s+at |undici|SSH-2/)
  for (const part of (asked.token ?? '').split('.')) if (part.length > 7) expect(answer.raw).not.toContain(part)
}
