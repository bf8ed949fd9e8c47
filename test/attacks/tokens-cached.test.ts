/**
 * What was verified once is remembered for the very same token, its issuer and its key: not for a look-alike, not for
 * another route's demands, not past its expiry, and not for another issuer with a key of the same name.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { expectNoPass, FOREIGN, openScene, valuesOf, type Scene } from '../support/attack.ts'
import { bearer, login, SERVICE_ROUTES } from '../support/gateway.ts'
import { claims, compact, createSigner, seconds, signWith } from '../support/foreign.ts'

const A = 'https://a.test/'
const B = 'https://b.test/'
/** One kid, two keys. */
const signerA = createSigner('ES256', 'shared-kid')
const signerB = createSigner('ES256', 'shared-kid')
/** Issuer and kid that read the same when they are joined without a mark. */
const signerC = createSigner('ES256', 'b/kid')
const signerD = createSigner('ES256', 'kid')
const C = 'https://joined.test/a/'
const D = 'https://joined.test/a/b/'

let scene: Scene

beforeAll(async () => {
  const files = { a: signerA, b: signerB, c: signerC, d: signerD }
  scene = await openScene({
    files: Object.fromEntries(Object.entries(files).map(([name, { jwk }]) => [`${name}.json`, JSON.stringify({ keys: [jwk] })])),
    issuers: [
      [A, 'a', 'acme'],
      [B, 'b', 'other'],
      [C, 'c', 'acme'],
      [D, 'd', 'other'],
    ]
      .map(
        ([iss, name, tenant]) =>
          `  ${name}: { issuer: "${iss}", tenant: ${tenant}, audiences: [api], algorithms: [ES256], jwks: { file: ${name}.json }, clockSkew: 0s }`,
      )
      .join('\n'),
    tenants: '  other: { signing: ES256 }',
    routes: `
  - { name: reads, match: { path: /reads/* }, auth: required, scopes: [read], upstream: recorder }
  - { name: writes, match: { path: /writes/* }, auth: required, scopes: [write], upstream: recorder }
  - { name: only-acme, match: { path: /only-acme/* }, auth: required, tenants: [acme], upstream: recorder }
  - { name: only-a, match: { path: /only-a/* }, auth: required, issuers: [a], upstream: recorder }
  - { name: pro, match: { path: /pro/* }, auth: required, claims: { plan: [pro] }, upstream: recorder }
  - { name: recent, match: { path: /recent/* }, auth: required, maxAuthAge: 1m, upstream: recorder }
${SERVICE_ROUTES}`,
  })
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})
afterEach(() => {
  vi.useRealTimers()
})

async function outcome(target: string, token: string, host?: string): Promise<string> {
  const answer = await scene.ask({ target, token, ...(host === undefined ? {} : { host }) })
  return answer.status === 200 ? 'passed' : `${answer.status} ${String(answer.json()['error'])}`
}

describe('two issuers whose keys have one name (CVE-2026-49998)', () => {
  it.each([
    ['A first', [signerA, A, signerB, B]],
    ['B first', [signerB, B, signerA, A]],
    ['joined names (GHSA-v574-6498-x57v)', [signerC, C, signerD, D]],
    ['joined names, the other way round', [signerD, D, signerC, C]],
  ] as const)('%s: each verifies with its own key only', async (_, [first, iss, second, otherIss]) => {
    const kid = { kid: first.kid }
    expect(await outcome('/admin', first.token(claims(iss)))).toBe('passed')
    // Signed by the other issuer's key, under the name that was just used.
    expect(await outcome('/admin', second.token(claims(iss), kid))).toBe('401 invalid_signature')
    expect(await outcome('/admin', second.token(claims(otherIss)))).toBe('passed')
    expect(await outcome('/admin', first.token(claims(otherIss), { kid: second.kid }))).toBe('401 invalid_signature')
    expect(await outcome('/admin', first.token(claims(iss)))).toBe('passed')
  })

  it('CVE-2026-33496: the same user of both is two users of two tenants', async () => {
    for (const [signer, iss] of [
      [signerA, A],
      [signerB, B],
      [signerA, A],
    ] as const)
      await scene.ask({ target: '/admin', token: signer.token(claims(iss)) })
    expect(scene.upstream.seen.map(({ rawHeaders }) => valuesOf(rawHeaders, 'x-tenant-id'))).toEqual([
      ['acme'],
      ['other'],
      ['acme'],
    ])
  })
})

describe('a token that one route has let in', () => {
  it('CVE-2021-32701: still needs the scope of the next', async () => {
    const token = scene.token({ scope: 'read' })
    expect([await outcome('/reads/x', token), await outcome('/writes/x', token), await outcome('/reads/x', token)]).toEqual([
      'passed',
      '403 insufficient_scope',
      'passed',
    ])
  })

  it('CVE-2026-39999: still needs its tenant, issuer, claims and age', async () => {
    const ofA = signerA.token(claims(A))
    const ofB = signerB.token(claims(B, { plan: 'pro', auth_time: seconds() - 30 }))
    expect([await outcome('/admin', ofA), await outcome('/admin', ofB)]).toEqual(['passed', 'passed'])
    expect([await outcome('/only-acme/x', ofA), await outcome('/only-acme/x', ofB)]).toEqual(['passed', '403 tenant_mismatch'])
    expect([await outcome('/only-a/x', ofA), await outcome('/only-a/x', ofB), await outcome('/only-a/x', scene.token())]).toEqual(
      ['passed', '403 access_denied', '403 access_denied'],
    )
    expect([await outcome('/pro/x', ofA), await outcome('/pro/x', ofB)]).toEqual(['403 access_denied', 'passed'])
    expect([await outcome('/recent/x', ofA), await outcome('/recent/x', ofB)]).toEqual(['401 access_denied', 'passed'])
    expect([await outcome('/admin', ofB, 'acme.test'), await outcome('/admin', ofA, 'acme.test')]).toEqual([
      '403 tenant_mismatch',
      'passed',
    ])
  })

  it('is refused once it has expired, with and without iat (CVE-2026-107719)', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    for (const more of [{}, { iat: undefined }]) {
      const exp = seconds() + 60
      const token = scene.token({ ...more, exp })
      expect([await outcome('/admin', token), await outcome('/admin', token)]).toEqual(['passed', 'passed'])
      vi.setSystemTime((exp - 1) * 1000)
      expect(await outcome('/admin', token)).toBe('passed')
      vi.setSystemTime(exp * 1000)
      expect([await outcome('/admin', token), await outcome('/admin', token)]).toEqual(['401 token_expired', '401 token_expired'])
      expect(await outcome('/optional/x', token)).toBe('401 token_expired')
    }
  })
})

describe('look-alikes of a token that was let in (CVE-2026-35039, GHSA-rp9m-7r4c-75qg)', () => {
  it('share none of what is remembered', async () => {
    const good = claims(FOREIGN, { jti: 'one', sub: 'alice' })
    const token = scene.signer.token(good)
    expect(await outcome('/admin', token)).toBe('passed')
    const [header = '', payload = '', signature = ''] = token.split('.')
    const attacker = createSigner('ES256', 'foreign-1')
    const other = compact({ alg: 'ES256', kid: 'foreign-1', typ: 'at+jwt' }, good, (data) =>
      signWith('ES256', attacker.privateKey, data),
    )
    expect(other.split('.').slice(0, 2)).toEqual([header, payload])
    expect(await outcome('/admin', other)).toBe('401 invalid_signature')
    const changed = signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`
    expect(await outcome('/admin', `${header}.${payload}.${changed}`)).toBe('401 invalid_signature')
    expect(await outcome('/admin', `${token}A`)).toMatch(/^401/)
    expect(await outcome('/admin', token.slice(0, -1))).toMatch(/^401/)
    expect(await outcome('/admin', attacker.token({ ...good, sub: 'root' }))).toBe('401 invalid_signature')
    // Another token with the same id, rightly signed, is the other user's own.
    expect(await outcome('/admin', scene.signer.token({ ...good, sub: 'bob' }))).toBe('passed')
    expect(await outcome('/admin', token)).toBe('passed')
    expect(scene.upstream.seen.map(({ rawHeaders }) => valuesOf(rawHeaders, 'x-user-id')[0])).toEqual(['alice', 'bob', 'alice'])
  })

  it('a cached token of the gateway itself is refused after its logout', async () => {
    const user = await login(scene.gateway.url)
    expect(await outcome('/admin', user.access_token)).toBe('passed')
    await fetch(`${scene.gateway.url}/auth/logout`, { method: 'POST', headers: bearer(user.access_token) })
    scene.upstream.seen.length = 0
    const answer = await scene.ask({ target: '/admin', token: user.access_token })
    expectNoPass(answer, scene.upstream)
    expect(answer.json()['error']).toBe('token_revoked')
  })
})
