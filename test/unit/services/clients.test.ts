import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createFailures, type Failures } from '../../../src/services/clients/failures.ts'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { createJwtVerifier } from '../../../src/authenticator/jwt-verifier.ts'
import { parseConfig } from '../../../src/config/config.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createClients, type Client, type Clients, type UsedAssertions } from '../../../src/services/clients/clients.ts'
import { admittedFrom, assertion, assertionClaims, assertionForm, basic, createSigner, jwksFile } from '../../support/clients.ts'
import type { Json } from '../../support/foreign.ts'

const NOW = 1_800_000_000
const SECRET = 'k9+/:% secret – 42'
const ISSUER = 'http://localhost:8080/t/acme'
const TOKEN_ENDPOINT = 'http://localhost:8080/oauth/token'
const signers = {
  RS256: createSigner('RS256', 'rs'),
  PS256: createSigner('PS256', 'ps'),
  ES256: createSigner('ES256', 'es'),
  EdDSA: createSigner('EdDSA', 'ed'),
}
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-clients-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

writeFileSync(join(folder, 'keys.json'), jwksFile(...Object.values(signers)))
writeFileSync(join(folder, 'other.json'), jwksFile(createSigner('ES256', 'es')))
const config = parseConfig(
  `tenants: { acme: {}, globex: {} }
clients:
  billing: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write, tokens:introspect] }
  plain: { tenant: globex, secret: { env: PLAIN }, scopes: [] }
  reports: { tenant: acme, keys: { file: keys.json }, scopes: [reports:read] }
  rival: { tenant: acme, keys: { file: other.json }, scopes: [] }
routes:
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
`,
  join(folder, 'gateway.yaml'),
  {
    environment: { SECRET, PLAIN: 'the secret of another client' },
    readFile: (path) => readFileSync(path, 'utf8'),
  },
)

const BILLING: Client = { id: 'billing', tenant: 'acme', scopes: ['sessions:write', 'tokens:introspect'] }
const REPORTS: Client = { id: 'reports', tenant: 'acme', scopes: ['reports:read'] }

let clock = { nowSeconds: NOW, nowMs: 0 }
let clients: Clients
let store = { away: false }
const uses: Parameters<UsedAssertions['use']>[0][] = []

async function use(assertion: Parameters<UsedAssertions['use']>[0]): Promise<boolean> {
  if (store.away) throw new Problem('storage_unavailable')
  const isFirst = !uses.some(({ issuer, id }) => issuer === assertion.issuer && id === assertion.id)
  uses.push(assertion)
  return isFirst
}

beforeEach(() => {
  clock = { nowSeconds: NOW, nowMs: 0 }
  const nowSeconds = (): number => clock.nowSeconds
  uses.length = 0
  store = { away: false }
  clients = createClients({ nowSeconds, nowMs: () => clock.nowMs, verifier: createJwtVerifier, used: { use } }, config)
})

describe('a client with a secret', () => {
  const encoded = new URLSearchParams([['', SECRET]]).toString().slice(1)

  it.each([
    ['as HTTP Basic has it', basic('billing', SECRET)],
    ['form-encoded first, as OAuth has it', basic('billing', encoded)],
    ['every character encoded', basic('%62illing', encoded.replaceAll('secret', '%73ecret'))],
    ['with the scheme in any case', basic('billing', SECRET).replace('Basic', 'bAsIc')],
  ])('proves itself in the header, %s', async (_, header) => {
    expect(await clients.authenticate(admittedFrom(['Authorization', header]))).toEqual(BILLING)
    expect(await clients.authenticate(admittedFrom(['Authorization', header]), form({ client_id: 'billing' }))).toEqual(BILLING)
  })

  it('proves itself in the form', async () => {
    expect(await clients.authenticate(admittedFrom([]), form({ client_id: 'billing', client_secret: SECRET }))).toEqual(BILLING)
  })

  it('does not prove itself by a form to an endpoint that takes none', async () => {
    expect(await refusalOf(clients.authenticate(admittedFrom([])))).toEqual(UNAUTHORIZED)
  })

  it.each<[string, readonly string[], Record<string, string>]>([
    ['nothing', [], {}],
    ['an id alone', [], { client_id: 'billing' }],
    ['a secret alone', [], { client_secret: SECRET }],
    ['a wrong secret', ['authorization', basic('billing', `${SECRET}x`)], {}],
    ['an empty secret', ['authorization', basic('billing', '')], {}],
    ['the secret of another client', ['authorization', basic('billing', 'the secret of another client')], {}],
    ['a wrong secret in the form', [], { client_id: 'billing', client_secret: 'x' }],
    ['an unknown client', ['authorization', basic('nobody', SECRET)], {}],
    ['an unknown client in the form', [], { client_id: 'nobody', client_secret: SECRET }],
    ['a name that every object has', ['authorization', basic('constructor', SECRET)], {}],
    ['a client that has keys', ['authorization', basic('reports', SECRET)], {}],
    ['a token', ['authorization', 'Bearer x.y.z'], {}],
    ['a scheme alone', ['authorization', 'Basic'], {}],
    ['no base64', ['authorization', 'Basic ~~~~'], {}],
    ['base64 without a colon', ['authorization', `Basic ${Buffer.from('billing').toString('base64')}`], {}],
    ['base64 of bytes that are no text', ['authorization', 'Basic /////w=='], {}],
    ['too much', ['authorization', basic('billing', 'x'.repeat(9_000))], {}],
  ])('is told the same after %s', async (_, headers, fields) => {
    expect(await refusalOf(clients.authenticate(admittedFrom(headers), form(fields)))).toEqual(UNAUTHORIZED)
  })

  it.each<[string, readonly string[], Record<string, string>]>([
    ['header and form', ['authorization', basic('billing', SECRET)], { client_secret: SECRET }],
    ['header and assertion', ['authorization', basic('billing', SECRET)], { client_assertion: 'x' }],
    ['secret and assertion', [], { client_id: 'billing', client_secret: SECRET, client_assertion: 'x' }],
    ['two headers', ['authorization', basic('billing', SECRET), 'Authorization', basic('billing', SECRET)], {}],
    ['two ids', ['authorization', basic('billing', SECRET)], { client_id: 'plain' }],
  ])('is refused with %s', async (_, headers, fields) => {
    const { kind } = await refusalOf(clients.authenticate(admittedFrom(headers), form(fields)))
    expect(kind).toBe('invalid_request')
  })

  it('does not exist at the host of another tenant', async () => {
    const header = ['authorization', basic('billing', SECRET)]
    expect(await clients.authenticate(admittedFrom(header, { tenant: 'acme' }))).toEqual(BILLING)
    expect(await refusalOf(clients.authenticate(admittedFrom(header, { tenant: 'globex' })))).toMatchObject({
      kind: 'tenant_mismatch',
    })
  })
})

describe('a client with keys', () => {
  it.each(Object.values(signers))('proves itself by a signature under $alg', async (signer) => {
    for (const audience of [ISSUER, TOKEN_ENDPOINT]) {
      const text = assertion(signer, assertionClaims('reports', audience, {}, NOW))
      expect(await clients.authenticate(admittedFrom([]), assertionForm(text))).toEqual(REPORTS)
    }
  })

  it('may call EdDSA by its new name, name itself besides, and say the type of its word', async () => {
    const text = assertion(signers.EdDSA, assertionClaims('reports', ISSUER, {}, NOW), {
      alg: 'Ed25519',
      typ: 'client-authentication+jwt',
    })
    expect(await clients.authenticate(admittedFrom([]), assertionForm(text, { client_id: 'reports' }))).toEqual(REPORTS)
  })

  it('proves itself by each assertion once', async () => {
    const text = assertion(signers.ES256, assertionClaims('reports', ISSUER, {}, NOW))
    expect(await clients.authenticate(admittedFrom([]), assertionForm(text))).toEqual(REPORTS)
    expect(await refusalOf(clients.authenticate(admittedFrom([]), assertionForm(text)))).toEqual(UNAUTHORIZED)
    clock.nowSeconds += 80
    expect(await refusalOf(clients.authenticate(admittedFrom([]), assertionForm(text)))).toEqual(UNAUTHORIZED)
  })

  it.each<[string, Json, Json]>([
    ['another issuer', { iss: 'billing' }, {}],
    ['another subject', { sub: 'rival' }, {}],
    ['no audience', { aud: undefined }, {}],
    ['the audience of another tenant', { aud: 'http://localhost:8080/t/globex' }, {}],
    ['a second audience', { aud: [ISSUER, 'https://evil.example'] }, {}],
    ['an audience that only begins alike', { aud: `${ISSUER}/` }, {}],
    ['no end', { exp: undefined }, {}],
    ['an end that is over', { exp: NOW - 30 }, {}],
    ['an end that is far', { exp: NOW + 331 }, {}],
    ['an end that is a text', { exp: String(NOW + 60) }, {}],
    ['a beginning that is ahead', { nbf: NOW + 31 }, {}],
    ['a birth that is ahead', { iat: NOW + 31 }, {}],
    ['no id', { jti: undefined }, {}],
    ['an empty id', { jti: '' }, {}],
    ['a long id', { jti: 'x'.repeat(257) }, {}],
    ['the type of an access token', {}, { typ: 'at+jwt' }],
    ['an unknown key', {}, { kid: 'none' }],
    ['a key of its own', {}, { jwk: signers.ES256.jwk }],
    ['no signature', {}, { alg: 'none' }],
    ['a longer hash', {}, { alg: 'ES512' }],
  ])('is not believed with %s', async (_, claims, header) => {
    const text = assertion(signers.ES256, assertionClaims('reports', ISSUER, claims, NOW), header)
    expect(await refusalOf(clients.authenticate(admittedFrom([]), assertionForm(text)))).toEqual(UNAUTHORIZED)
  })

  it('is not believed under the key of another client, nor under one that is its secret', async () => {
    const rival = assertion(signers.ES256, assertionClaims('rival', ISSUER, {}, NOW))
    const billing = assertion(signers.ES256, assertionClaims('billing', ISSUER, {}, NOW))
    for (const text of [rival, billing, 'x', 'a.b.c', `${'a'.repeat(9_000)}.b.c`, '..']) {
      expect(await refusalOf(clients.authenticate(admittedFrom([]), assertionForm(text)))).toEqual(UNAUTHORIZED)
    }
  })

  it.each([
    [
      'another type of assertion',
      { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer', client_assertion: 'x' },
    ],
    ['a type alone', { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' }],
    ['an assertion alone', { client_assertion: 'x' }],
  ])('is refused with %s', async (_, fields) => {
    expect((await refusalOf(clients.authenticate(admittedFrom([]), form(fields)))).kind).toBe('invalid_request')
  })

  it('is refused when it names another client besides', async () => {
    const text = assertion(signers.ES256, assertionClaims('reports', ISSUER, {}, NOW))
    const problem = await refusalOf(clients.authenticate(admittedFrom([]), assertionForm(text, { client_id: 'rival' })))
    expect(problem.kind).toBe('invalid_request')
  })
})

describe('guessing', () => {
  const guess = (id: string, client: string): Promise<string> =>
    clients.authenticate(admittedFrom(['authorization', basic(id, 'guess')], { client })).then(
      () => 'in',
      (error: unknown) => (error instanceof Problem ? error.kind : 'broken'),
    )

  it('is slowed down after 20 failures of one address with one client, for nobody else', async () => {
    for (let i = 0; i < 20; i++) expect(await guess('billing', '192.0.2.7')).toBe('unauthorized')
    expect(await guess('billing', '192.0.2.7')).toBe('rate_limited')
    const right = admittedFrom(['authorization', basic('billing', SECRET)], { client: '192.0.2.7' })
    expect(await refusalOf(clients.authenticate(right))).toEqual({
      kind: 'rate_limited',
      facts: { headers: { 'retry-after': '3' } },
    })
    expect(await guess('plain', '192.0.2.7')).toBe('unauthorized')
    expect(await clients.authenticate(admittedFrom(['authorization', basic('billing', SECRET)]))).toEqual(BILLING)
    clock.nowMs += 3_000
    expect(await clients.authenticate(right)).toEqual(BILLING)
  })

  it('is slowed down after 200 failures of one network, whatever the names', async () => {
    for (let i = 0; i < 200; i++) expect(await guess(`client-${i}`, `2001:db8::${i + 1}`)).toBe('unauthorized')
    expect(await guess('one-more', '2001:db8::ffff')).toBe('rate_limited')
    expect(await guess('one-more', '2001:db8:0:1::1')).toBe('unauthorized')
  })

  it('costs nothing to who proves itself, however often', async () => {
    const right = admittedFrom(['authorization', basic('billing', SECRET)])
    for (let i = 0; i < 500; i++) await clients.authenticate(right)
    expect(await clients.authenticate(right)).toEqual(BILLING)
  })
})

describe('guessing at several processes', () => {
  /** Each tells all others, as the primary passes it on. */
  function crew(size: number): Failures[] {
    const all: Failures[] = []
    for (let number = 0; number < size; number += 1) {
      const failed = (failure: unknown): void => {
        for (const [other, one] of all.entries()) if (other !== number) one.failedElsewhere(JSON.parse(JSON.stringify(failure)))
      }
      all.push(createFailures({ nowMs: () => 0, failed }))
    }
    return all
  }

  it('is slowed down at all of them after as many failures as at one', () => {
    const all = crew(4)
    for (let turn = 0; turn < 20; turn += 1) all[turn % 4]?.begin('192.0.2.1', 'billing').failed()
    for (const one of all) {
      expect(() => one.begin('192.0.2.1', 'billing')).toThrow(expect.objectContaining({ kind: 'rate_limited' }))
      expect(() => one.begin('192.0.2.2', 'billing')).not.toThrow()
    }
  })

  it.each([undefined, null, 7, {}, { network: 1, client: 'billing' }, { network: '192.0.2.1' }])(
    'counts nothing that is told as %j',
    (said) => {
      const [one] = crew(1)
      for (let turn = 0; turn < 30; turn += 1) one?.failedElsewhere(said)
      expect(() => one?.begin('192.0.2.1', 'billing')).not.toThrow()
    },
  )
})

describe('the use of an assertion', () => {
  const NAMED = assertion(signers.ES256, assertionClaims('reports', ISSUER, { jti: 'jti-1' }, NOW))

  it('is noted for the whole fleet, under a digest of its id, until no gateway takes it any more', async () => {
    expect(await clients.authenticate(admittedFrom([]), assertionForm(NAMED))).toEqual(REPORTS)
    const id = createHash('sha256').update('jti-1').digest('base64url')
    expect(uses).toEqual([{ issuer: 'client.reports', tenant: 'acme', user: 'reports', id, forSeconds: 60 + 30 + 60 }])
  })

  it('cannot be told while the store is away: nobody is let in, and no guess is counted', async () => {
    store = { away: true }
    for (let i = 0; i < 30; i++) {
      const problem = await refusalOf(clients.authenticate(admittedFrom([]), assertionForm(NAMED)))
      expect(problem.kind).toBe('storage_unavailable')
    }
    store = { away: false }
    expect(await clients.authenticate(admittedFrom([]), assertionForm(NAMED))).toEqual(REPORTS)
  })

  it('is noted of none that is refused', async () => {
    const late = assertion(signers.ES256, assertionClaims('reports', ISSUER, { exp: NOW - 31 }, NOW))
    expect(await refusalOf(clients.authenticate(admittedFrom([]), assertionForm(late)))).toEqual(UNAUTHORIZED)
    expect(uses).toEqual([])
  })
})

const UNAUTHORIZED = {
  kind: 'unauthorized',
  facts: {
    description: 'Authenticate as a client of this tenant: HTTP Basic with client id and secret.',
    headers: { 'www-authenticate': 'Basic realm="gatehouse", charset="UTF-8"' },
  },
}

function form(fields: Record<string, string>): URLSearchParams {
  return new URLSearchParams(fields)
}

async function refusalOf(attempt: Promise<Client>): Promise<{ kind: string; facts: object }> {
  const outcome: unknown = await attempt.catch((error: unknown) => error)
  if (!(outcome instanceof Problem)) throw new Error(`not refused: ${JSON.stringify(outcome)}`)
  return { kind: outcome.kind, facts: outcome.facts }
}
