import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fc } from '../../support/properties.ts'
import { SERVICE_NAMES } from '../../../src/config/config.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createServices, endpointsOf, json } from '../../../src/services/services.ts'
import type { World } from './world.ts'
import { admittedOf, anIdentity, openWorld, SECRETS, refusalOf } from './world.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const REGISTER = { service: 'accounts', endpoint: 'register' } as const

describe('services', () => {
  test('are there once', () => {
    const endpoint = { handle: () => json(200, {}) }
    const service = { name: 'health', endpoints: { health: endpoint } } as const
    expect(() => createServices([service, service])).toThrow('the service health is there twice')
  })

  test('say of an ending, and of nothing else, that no replica is known to have it', async () => {
    let unconfirmed = true
    const answer = { handle: () => json(200, {}, { 'cache-control': 'no-store' }) }
    const begins = { create: answer, list: answer, validate: answer, refresh: answer }
    const ends = { delete: answer, revoke: answer, 'revoke-all': answer, 'revoke-others': answer }
    const service = { name: 'sessions', endpoints: { ...begins, ...ends } } as const
    const services = createServices([service], { isUnconfirmed: () => unconfirmed })
    const io = { readBody: async () => Buffer.alloc(0), forwardedHeaders: () => [] }
    const said = async (endpoint: string): Promise<string | undefined> => {
      const { status, headers } = await services.serve(admittedOf({ service: 'sessions', endpoint }), io)
      expect({ status, headers }).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
      return headers?.['gatehouse-replication']
    }
    for (const endpoint of Object.keys(ends)) expect(await said(endpoint)).toBe('unconfirmed')
    for (const endpoint of Object.keys(begins)) expect(await said(endpoint)).toBeUndefined()
    unconfirmed = false
    expect(await said('revoke')).toBeUndefined()
    const all = SERVICE_NAMES.flatMap((name) =>
      endpointsOf(name)
        .filter((info) => info.ends)
        .map((info) => `${name}.${info.name}`),
    )
    expect(all).toEqual([
      'accounts.logout',
      'accounts.logout-all',
      'accounts.password',
      'sessions.delete',
      'sessions.revoke',
      'sessions.revoke-all',
      'sessions.revoke-others',
      'oauth.revoke',
    ])
  })

  test('tell the router who may call them', () => {
    const said = SERVICE_NAMES.flatMap((name) =>
      endpointsOf(name).map((info) => `${info.auth} ${info.method ?? 'ANY'} ${name}${info.path}`),
    )
    expect(said).toEqual([
      'public POST accounts/register',
      'public POST accounts/login',
      'required POST accounts/logout',
      'required POST accounts/logout-all',
      'required GET accounts/me',
      'required PATCH accounts/profile',
      'required POST accounts/password',
      'public POST sessions',
      'required GET sessions',
      'required DELETE sessions/{id}',
      'public POST sessions/validate',
      'public POST sessions/refresh',
      'public POST sessions/revoke',
      'optional POST sessions/revoke-all',
      'required POST sessions/revoke-others',
      'public POST oauth/token',
      'public POST oauth/introspect',
      'public POST oauth/revoke',
      'public GET revocations',
      'optional GET usernames/{name}/availability',
      'optional POST usernames/{name}/hold',
      'optional POST graphql',
      'public GET discovery/jwks.json',
      'public GET discovery/oauth-authorization-server',
      'public GET discovery/oauth-authorization-server/t/{tenant}',
      'public GET discovery/openid-configuration',
      'public GET discovery/openid-configuration/t/{tenant}',
      'public GET discovery/gatehouse/jwks.json',
      'public GET discovery/{tenant}/.well-known/jwks.json',
      'public GET discovery/{tenant}/.well-known/oauth-authorization-server',
      'public GET discovery/{tenant}/.well-known/openid-configuration',
      'public GET health',
      'route ANY echo',
      'route ANY echo/*',
    ])
    expect(endpointsOf('nothing')).toEqual([])
  })

  test('fail loudly when a route leads to no endpoint of theirs', async () => {
    await expect(world.ask({ service: 'accounts', endpoint: 'nothing' })).rejects.toThrow('leads to no endpoint')
    await expect(world.ask({ service: '__proto__', endpoint: 'x' })).rejects.toThrow('leads to no endpoint')
  })
})

describe('a body', () => {
  const ok = { email: 'a@b.c', password: 'x' }

  test.each(['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"'])(
    'may be sent as %s',
    async (contentType) => {
      expect(refusalOf(await world.ask({ ...REGISTER, body: ok, contentType })).fields).toEqual(['password'])
    },
  )

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'application/json; charset=utf-16',
    'json',
    '',
  ])('may not be sent as %j', async (contentType) => {
    expect(refusalOf(await world.ask({ ...REGISTER, body: ok, contentType })).kind).toBe('unsupported_media_type')
  })

  test('needs one content type', async () => {
    const twice = ['Content-Type', 'application/json']
    expect(refusalOf(await world.ask({ ...REGISTER, body: ok, headers: twice })).kind).toBe('unsupported_media_type')
    expect(refusalOf(await world.ask(REGISTER)).kind).toBe('unsupported_media_type')
  })

  test.each([
    ['nothing', ''],
    ['half of an object', '{"email":'],
    ['two objects', '{}{}'],
    ['a trailing comma', '{"email":"a@b.c",}'],
    ['a byte order mark', '\ufeff{}'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['an overlong encoding', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['__proto__', '{"email":"a@b.c","password":"12345678","__proto__":{"admin":true}}'],
    ['__proto__ further in', '{"email":{"x":[{"__proto__":1}]}}'],
    ['__proto__ in disguise', '{"\\u005f_proto__":1}'],
    ['half of a surrogate pair', '{"email":"a@b.c","password":"12345678\\ud800"}'],
    ['33 levels', `${'['.repeat(33)}${']'.repeat(33)}`],
    ['very many levels', '['.repeat(60_000)],
    ['very many objects in objects', '{"a":'.repeat(12_000)],
  ])('of %s is refused', async (_, body) => {
    expect(refusalOf(await world.ask({ ...REGISTER, body, contentType: 'application/json' }))).toEqual({
      kind: 'invalid_request',
      fields: [],
    })
  })

  test('may hold brackets in its texts', async () => {
    const body = `{"email":"a@b.c","password":"\\"${'['.repeat(100)}"}`
    expect(await world.ask({ ...REGISTER, body })).toMatchObject({ status: 201 })
  })

  test('of more than 64 KiB is refused, and of more than its route takes', async () => {
    const body = JSON.stringify({ ...ok, password: 'x'.repeat(70_000) })
    expect(refusalOf(await world.ask({ ...REGISTER, body })).kind).toBe('payload_too_large')
    expect(refusalOf(await world.ask({ ...REGISTER, body: ok, bodyBytes: 10 })).kind).toBe('payload_too_large')
  })

  test('that is wrong all over is answered in few words, and none of its values', async () => {
    const body = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`${i}${'x'.repeat(50)}`, 'SECRET']))
    const answer = await world.ask({ ...REGISTER, body: { ...body, password: 'SECRET!' } })
    expect(refusalOf(answer).fields.length).toBe(20)
    const facts = answer instanceof Problem ? JSON.stringify(answer.facts) : ''
    expect(facts.length).toBeLessThan(5_000)
    expect(facts).not.toContain('SECRET')
  })
})

describe('bad input', () => {
  test('of whatever kind never makes a fault of ours', async () => {
    const calls = SERVICE_NAMES.flatMap((service) => endpointsOf(service).map((info) => ({ service, endpoint: info.name })))
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ maxLength: 300 }),
      fc.constantFrom('a@b.c', 'default', 'acme', '..'),
    )
    const field = fc.oneof(text, fc.jsonValue(), fc.constant(undefined))
    const fields = { email: field, username: field, password: field, tenant_id: field, user_id: field, scope: field }
    const tokens = { access_token: field, refresh_token: field, token: field, reason: field, metadata: field }
    const shaped = fc.record({ ...fields, ...tokens }, { requiredKeys: [] })
    const proof = fc.constantFrom(`Basic ${btoa(`acme-backend:${SECRETS['acme-backend']}`)}`, 'Basic x', 'Bearer x')
    const body = fc.oneof(
      shaped,
      shaped.map((value) => ({ ...value, email: 'a@b.c' })),
      field.map((value) => ({ tenant_id: 'acme', user_id: 'u1', scope: '', metadata: value })),
      fc.jsonValue(),
      fc.uint8Array({ maxLength: 200 }),
      fc.string(),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...calls),
        body,
        fc.record({
          path: fc.oneof(text, fc.constantFrom('/.well-known/jwks.json', '/t/acme/.well-known/jwks.json')),
          tenant: fc.constantFrom('acme', 'default', 'nowhere', '__proto__'),
          named: text,
          known: fc.boolean(),
          headers: fc.array(
            fc.oneof(
              fc.tuple(fc.constantFrom('if-none-match', 'user-agent', 'content-type', 'x', 'authorization'), text),
              fc.tuple(fc.constant('authorization'), proof),
            ),
          ),
          contentType: fc.constantFrom('application/json', 'text/plain'),
        }),
        async (call, sent, facts) => {
          world.clock.nowMs += 60_000
          const answer = await world.ask({
            ...call,
            body: sent,
            path: facts.path,
            contentType: facts.contentType,
            headers: facts.headers.flat(),
            params: { tenant: facts.named },
            forwarded: facts.headers.flat(),
            ...(facts.known
              ? { principal: anIdentity({ tenant: facts.tenant, session: facts.named }) }
              : { tenant: facts.tenant }),
          })
          expect(answer.status).toBeGreaterThanOrEqual(200)
          expect(answer.status).toBeLessThan(500)
        },
      ),
      { numRuns: 1_500 },
    )
  })
})
