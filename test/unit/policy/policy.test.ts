import { describe, expect, it } from 'vitest'
import { ANONYMOUS, type Identified, type Principal, type Route, type Unrevoked } from '../../../src/exchange/exchange.ts'
import { describeProblem, Problem } from '../../../src/problem/problem.ts'
import { createPolicy } from '../../../src/policy/policy.ts'

const NOW = 1_800_000_000
const policy = createPolicy(
  new Map([
    ['acme.test', 'acme'],
    ['globex.test', 'globex'],
  ]),
  () => NOW,
)

const ROUTE: Route = {
  name: 'orders',
  match: { hosts: [], path: '/*', methods: [], headers: new Map() },
  auth: 'required',
  scopes: [],
  claims: new Map(),
  revocation: { whenStale: 'deny', maxStalenessMs: 10_000 },
  bodyBytes: 1,
  forwardToken: false,
  host: 'upstream',
  requestHeaders: { set: new Map(), remove: new Set() },
  responseHeaders: { set: new Map(), remove: new Set() },
  websocket: false,
  encodedSlash: 'reject',
  target: { kind: 'upstream', upstream: 'orders' },
}

const ALICE: Identified = {
  kind: 'identified',
  issuer: 'gateway',
  tenant: 'acme',
  user: 'alice',
  scopes: ['orders:read', 'profile'],
  expiresAt: NOW + 900,
  authTime: NOW - 100,
  skewSeconds: 2,
  tokenType: 'at+jwt',
  algorithm: 'RS256',
  claims: { plan: 'pro', level: 3, staff: true, groups: ['dev', 7], nothing: null, nested: { plan: 'pro' }, empty: [] },
}

const INHERITED: Readonly<Record<string, unknown>> = Object.setPrototypeOf({}, { role: 'admin' })

function exchange(route: Partial<Route> = {}, principal: Principal = ALICE, host = 'gateway.test'): Unrevoked {
  return {
    id: 'id-1',
    method: 'GET',
    target: '/',
    host,
    authority: host,
    rawHeaders: [],
    peer: '192.0.2.1',
    trusted: false,
    client: '192.0.2.1',
    scheme: 'http',
    upgrade: false,
    bodyLength: 0,
    expectsContinue: false,
    startedMs: 0,
    route: { ...ROUTE, ...route },
    path: '/',
    forwardPath: '/',
    query: '',
    params: new Map(),
    principal,
    revocation: 'checked',
  }
}

function refusal(asked: Unrevoked): Problem | undefined {
  try {
    policy.admit(asked)
    return undefined
  } catch (error) {
    if (error instanceof Problem) return error
    throw error
  }
}

function withoutLogin(): Identified {
  const { authTime: _, ...principal } = ALICE
  return principal
}

function claims(name: string, ...allowed: readonly string[]): Partial<Route> {
  return { claims: new Map([[name, new Set(allowed)]]) }
}

describe('the policy admits', () => {
  it.each<[string, Partial<Route>, Principal, string, string | undefined]>([
    ['a caller where the route asks for nothing', {}, ALICE, 'gateway.test', 'acme'],
    ['a caller at the host of its tenant', {}, ALICE, 'acme.test', 'acme'],
    ['a tenant of the route', { tenants: new Set(['globex', 'acme']) }, ALICE, 'gateway.test', 'acme'],
    ['an issuer of the route', { issuers: new Set(['gateway']) }, ALICE, 'gateway.test', 'acme'],
    ['every scope', { scopes: ['profile', 'orders:read'] }, ALICE, 'gateway.test', 'acme'],
    ['a text claim', claims('plan', 'team', 'pro'), ALICE, 'gateway.test', 'acme'],
    ['a number as text', claims('level', '3'), ALICE, 'gateway.test', 'acme'],
    ['a boolean as text', claims('staff', 'true'), ALICE, 'gateway.test', 'acme'],
    ['one member of an array', claims('groups', 'ops', 'dev'), ALICE, 'gateway.test', 'acme'],
    ['a number in an array', claims('groups', '7'), ALICE, 'gateway.test', 'acme'],
    ['a login as old as may be', { maxAuthAgeSeconds: 100 }, ALICE, 'gateway.test', 'acme'],
    ['nobody on a public route', { auth: 'public' }, ANONYMOUS, 'gateway.test', undefined],
    [
      'nobody on an optional route',
      { auth: 'optional', scopes: ['x'], tenants: new Set(['x']) },
      ANONYMOUS,
      'gateway.test',
      undefined,
    ],
    ['nobody, with the tenant of the host', { auth: 'public' }, ANONYMOUS, 'globex.test', 'globex'],
  ])('%s', (_, route, principal, host, tenant) => {
    const asked = exchange(route, principal, host)
    expect(policy.admit(asked)).toEqual({ ...asked, tenant, admitted: true })
  })
})

describe('the policy on a route that takes each token once', () => {
  const once = { replay: 'once' } as const

  it('lets a caller in, but does not admit: that is for the next step', () => {
    const asked = exchange(once)
    expect(policy.admit(asked)).toEqual({ ...asked, tenant: 'acme' })
  })

  it('refuses whom it refuses elsewhere, and everyone without a token', () => {
    expect(refusal(exchange({ ...once, scopes: ['orders:write'] }))?.kind).toBe('insufficient_scope')
    expect(refusal(exchange({ ...once, auth: 'optional' }, ANONYMOUS))?.kind).toBe('unauthorized')
    expect(refusal(exchange({ ...once, auth: 'public' }, ANONYMOUS))?.kind).toBe('unauthorized')
  })
})

describe('the policy refuses', () => {
  it.each<[string, Partial<Route>, Principal, string, string, number]>([
    ['the host of another tenant', {}, ALICE, 'globex.test', 'tenant_mismatch', 403],
    ['the host of another tenant on an optional route', { auth: 'optional' }, ALICE, 'globex.test', 'tenant_mismatch', 403],
    ['a tenant that the route does not name', { tenants: new Set(['globex']) }, ALICE, 'acme.test', 'tenant_mismatch', 403],
    ['every tenant where the list is empty', { tenants: new Set() }, ALICE, 'gateway.test', 'tenant_mismatch', 403],
    ['an issuer that the route does not name', { issuers: new Set(['corporate']) }, ALICE, 'gateway.test', 'access_denied', 403],
    ['a scope that is a prefix of one', { scopes: ['orders'] }, ALICE, 'gateway.test', 'insufficient_scope', 403],
    ['a claim of another value', claims('plan', 'team'), ALICE, 'gateway.test', 'access_denied', 403],
    ['a claim in another case', claims('plan', 'Pro'), ALICE, 'gateway.test', 'access_denied', 403],
    ['a claim that is missing', claims('role', 'undefined'), ALICE, 'gateway.test', 'access_denied', 403],
    ['a claim that is null', claims('nothing', 'null'), ALICE, 'gateway.test', 'access_denied', 403],
    ['a claim that is an object', claims('nested', '[object Object]'), ALICE, 'gateway.test', 'access_denied', 403],
    ['an array without the value', claims('groups', 'ops', 'dev,7'), ALICE, 'gateway.test', 'access_denied', 403],
    ['an empty array', claims('empty', ''), ALICE, 'gateway.test', 'access_denied', 403],
    [
      'what the claims only inherit',
      claims('role', 'admin'),
      { ...ALICE, claims: INHERITED },
      'gateway.test',
      'access_denied',
      403,
    ],
    [
      'one claim of two',
      {
        claims: new Map([
          ['plan', new Set(['pro'])],
          ['level', new Set(['4'])],
        ]),
      },
      ALICE,
      'gateway.test',
      'access_denied',
      403,
    ],
    ['a login that is too old', { maxAuthAgeSeconds: 99 }, ALICE, 'gateway.test', 'authentication_too_old', 401],
    ['a login of unknown age', { maxAuthAgeSeconds: 99 }, withoutLogin(), 'gateway.test', 'authentication_too_old', 401],
    [
      'a login whose time is no number',
      { maxAuthAgeSeconds: 99 },
      { ...ALICE, authTime: Number.NaN },
      'gateway.test',
      'authentication_too_old',
      401,
    ],
    ['nobody where a token is required', {}, ANONYMOUS, 'gateway.test', 'unauthorized', 401],
  ])('%s', (_, route, principal, host, kind, status) => {
    const problem = refusal(exchange(route, principal, host))
    expect({ kind: problem?.kind, status: problem?.status }).toEqual({ kind, status })
  })

  it('a missing scope by name, and says which would do', () => {
    const problem = refusal(exchange({ scopes: ['orders:read', 'orders:write'] }))
    expect(problem?.facts).toEqual({
      description: 'The access token lacks the scope orders:write that this resource needs.',
      scope: 'orders:read orders:write',
    })
    const several = refusal(exchange({ scopes: ['a', 'orders:read', 'b'] }))
    expect(several?.facts.description).toBe('The access token lacks the scopes a b that this resource needs.')
    const answer = describeProblem(several ?? new Problem('internal_error'), 'id-1')
    expect(answer.headers['www-authenticate']).toBe(
      'Bearer realm="gatehouse", error="insufficient_scope", error_description="The access token lacks the scopes a b that this resource needs.", scope="a orders:read b"',
    )
  })

  it('an old login with the age that would do', () => {
    expect(refusal(exchange({ maxAuthAgeSeconds: 60 }))?.facts).toEqual({ maxAgeSeconds: 60 })
  })

  it('in order: tenant, issuer, scopes, claims, age', () => {
    const all: Partial<Route> = { ...claims('plan', 'x'), maxAuthAgeSeconds: 1, scopes: ['x'] }
    const more: Partial<Route> = { ...all, issuers: new Set(['x']) }
    expect(refusal(exchange({ ...more, tenants: new Set(['x']) }))?.kind).toBe('tenant_mismatch')
    expect(refusal(exchange(more))?.kind).toBe('access_denied')
    expect(refusal(exchange(all))?.kind).toBe('insufficient_scope')
    expect(refusal(exchange({ ...all, scopes: [] }))?.kind).toBe('access_denied')
    expect(refusal(exchange({ maxAuthAgeSeconds: 1 }))?.kind).toBe('authentication_too_old')
  })
})
