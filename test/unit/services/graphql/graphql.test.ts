import { buildSchema, printSchema } from 'graphql'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Identified } from '../../../../src/exchange/exchange.ts'
import { Problem } from '../../../../src/problem/problem.ts'
import { SDL } from '../../../../src/services/graphql/graphql.ts'
import type { Answer } from '../../../../src/services/services.ts'
import type { Request, World } from '../world.ts'
import { anIdentity, bodyOf, NOW, openWorld, refusalOf } from '../world.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

function post(body: unknown, more: Partial<Request> = {}): Promise<Answer | Problem> {
  return world.ask({ service: 'graphql', endpoint: 'query', path: '/graphql', body, ...more })
}

async function run(query: string, variables?: Record<string, unknown>, more: Partial<Request> = {}) {
  const answer = await post({ query, ...(variables !== undefined && { variables }) }, more)
  if (answer instanceof Problem) throw new Error(`a problem: ${answer.kind}`)
  return { status: answer.status, headers: answer.headers ?? {}, body: bodyOf(answer) }
}

async function aUser(name: string): Promise<Identified> {
  const id = `usr_${name}`
  const email = `${name}@example.com`
  const account = {
    id,
    tenant: 'default',
    email,
    emailFolded: email,
    passwordHash: 'none',
    status: 'active',
    createdAt: NOW,
  } as const
  expect(await world.storage.accounts.create(account)).toBe('created')
  return anIdentity({ user: id })
}

const CHECK = 'query ($name: String!) { checkUsernameAvailability(username: $name) { available username reason suggestions } }'
const UPDATE = 'mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { id username displayName email } }'

describe('the schema', () => {
  test('prints as it is written', () => {
    expect(printSchema(buildSchema(SDL)).trim()).toBe(SDL.trim())
  })
})

describe('a GraphQL request', () => {
  test('checks a username', async () => {
    const principal = await aUser('ann')
    await run(UPDATE, { input: { username: 'Ann_Lee' } }, { principal })
    expect(await run(CHECK, { name: 'somebody_new' })).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/graphql-response+json; charset=utf-8', 'cache-control': 'no-store' },
      body: { data: { checkUsernameAvailability: { available: true, username: 'somebody_new', reason: null, suggestions: [] } } },
    })
    const taken = await run(CHECK, { name: 'ann_LEE' })
    expect(taken.body).toMatchObject({
      data: { checkUsernameAvailability: { available: false, username: 'ann_LEE', reason: 'taken' } },
    })
    for (const [name, reason] of [
      ['x', 'invalid'],
      ['a b c', 'invalid'],
      ["'; DROP TABLE accounts; --", 'invalid'],
      ['\u0000\u0000\u0000\u0000', 'invalid'],
      ['admin', 'reserved'],
    ]) {
      expect((await run(CHECK, { name })).body).toMatchObject({
        data: { checkUsernameAvailability: { available: false, reason } },
      })
    }
  })

  test('repeats no more of a name than the other door does', async () => {
    const aliases = Array.from({ length: 20 }, (_, index) => `a${index}: checkUsernameAvailability(username: $name) { username }`)
    const { body } = await run(`query ($name: String!) { ${aliases.join(' ')} }`, { name: 'x'.repeat(50_000) })
    expect(body).toMatchObject({ data: { a0: { username: 'x'.repeat(64) }, a19: { username: 'x'.repeat(64) } } })
  })

  test('shows who asks, and null to nobody', async () => {
    const principal = await aUser('ann')
    const query = '{ me { id username displayName email } }'
    expect((await run(query)).body).toEqual({ data: { me: null } })
    expect((await run(query, undefined, { principal })).body).toEqual({
      data: { me: { id: 'usr_ann', username: null, displayName: null, email: 'ann@example.com' } },
    })
    const stranger = anIdentity({ issuer: 'corporate', user: 'u1' })
    expect((await run(query, undefined, { principal: stranger })).body).toMatchObject({
      data: { me: null },
      errors: [{ path: ['me'], extensions: { code: 'ACCESS_DENIED' } }],
    })
  })

  test('changes the profile of who asks, by the rules of the other door', async () => {
    const principal = await aUser('ann')
    const update = (input: unknown, who: Identified | undefined = principal) =>
      run(UPDATE, { input }, who === undefined ? {} : { principal: who })
    expect((await update({ username: 'Ann_Lee', displayName: 'Ann' })).body).toEqual({
      data: { updateProfile: { id: 'usr_ann', username: 'Ann_Lee', displayName: 'Ann', email: 'ann@example.com' } },
    })
    expect((await update({ displayName: null })).body).toMatchObject({ data: { updateProfile: { displayName: null } } })
    const bea = await aUser('bea')
    const taken = await update({ username: 'ann_lee', displayName: 'Bea' }, bea)
    expect(taken).toMatchObject({
      status: 200,
      body: { data: null, errors: [{ path: ['updateProfile'], extensions: { code: 'USERNAME_TAKEN' } }] },
    })
    expect(JSON.stringify(taken.body)).toMatch(/"suggestions":\["\w/)
    for (const [input, code] of [
      [{ username: 'a' }, 'USERNAME_INVALID'],
      [{ username: 'admin' }, 'USERNAME_RESERVED'],
      [{ username: null }, 'INVALID_REQUEST'],
      [{ displayName: 'a\nb' }, 'INVALID_REQUEST'],
      [{ holdTicket: 'x' }, 'INVALID_REQUEST'],
    ] as const) {
      expect((await update(input)).body).toMatchObject({ data: null, errors: [{ extensions: { code } }] })
    }
    const anonymous = await run(UPDATE, { input: { displayName: 'x' } })
    expect(anonymous).toMatchObject({ status: 200, body: { data: null, errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] } })
    expect((await run('{ me { username displayName } }', undefined, { principal: bea })).body).toEqual({
      data: { me: { username: null, displayName: null } },
    })
  })

  test('spends one unit for each check, whatever it is called, and all or none', async () => {
    const aliased = (count: number, prefix: string) =>
      `{ ${Array.from({ length: count }, (_, i) => `a${i}: checkUsernameAvailability(username: "${prefix}_${i}") { available }`).join(' ')} }`
    const first = await run(aliased(10, 'one'))
    expect([first.status, first.headers['ratelimit']]).toEqual([200, expect.stringMatching(/r=10;/)])
    const refused = await run(aliased(11, 'two'))
    expect(refused).toMatchObject({
      status: 429,
      headers: { 'retry-after': expect.stringMatching(/^[1-9]/) },
      body: { errors: [{ extensions: { code: 'RATE_LIMITED', retryAfter: expect.any(Number) } }] },
    })
    expect(refused.body).not.toHaveProperty('data')
    const inFragment = `{ ...f ...f } fragment f on Query { ${aliased(10, 'three').slice(1, -1)} }`
    expect((await run(inFragment)).status).toBe(429)
    expect((await run(aliased(10, 'four'))).status).toBe(200)
    expect((await run(CHECK, { name: 'another' })).status).toBe(429)
    expect((await run('{ me { id } }')).status).toBe(200)
  })

  test('answers in the media type that is asked for', async () => {
    const typeOf = async (accept: string) =>
      (await run('{ me { id } }', undefined, { headers: ['Accept', accept] })).headers['content-type']
    expect(await typeOf('application/json')).toBe('application/json; charset=utf-8')
    expect(await typeOf('application/graphql-response+json, application/json;q=0.9')).toBe(
      'application/graphql-response+json; charset=utf-8',
    )
    expect(await typeOf('*/*')).toBe('application/graphql-response+json; charset=utf-8')
  })

  test.each([
    ['no query', {}],
    ['a batch', [{ query: '{ me { id } }' }]],
    ['an unknown key', { query: '{ me { id } }', doc_id: '1' }],
    ['a query that is a number', { query: 1 }],
    ['variables that are a list', { query: '{ me { id } }', variables: ['a'] }],
    ['variables that are text', { query: '{ me { id } }', variables: '{}' }],
  ])('with %s is none', async (_, body) => {
    expect(refusalOf(await post(body)).kind).toBe('invalid_request')
  })

  test.each([
    ['no operation', 'fragment f on Query { me { id } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['two operations', 'query a { me { id } } query b { me { id } }', 'GRAPHQL_VALIDATION_FAILED'],
    [
      'a fragment that goes in a circle',
      '{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }',
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['an unknown field', '{ users { id } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['introspection', '{ __schema { types { name } } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['introspection of a type', '{ __type(name: "User") { fields { name } } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['a subscription', 'subscription { me { id } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['a schema', 'type Query { x: Int }', 'GRAPHQL_VALIDATION_FAILED'],
    ['nothing', '', 'GRAPHQL_PARSE_FAILED'],
    ['a zero', '{ me\u0000 { id } }', 'GRAPHQL_PARSE_FAILED'],
    ['an open brace', '{ me { id }', 'GRAPHQL_PARSE_FAILED'],
    ['a thousand aliases', `{ ${Array.from({ length: 1000 }, (_, i) => `a${i}: me { id }`).join(' ')} }`, 'GRAPHQL_PARSE_FAILED'],
    [
      'a hundred aliases',
      `{ ${Array.from({ length: 100 }, (_, i) => `a${i}: me { id }`).join(' ')} }`,
      'GRAPHQL_VALIDATION_FAILED',
    ],
    ['much depth', `${'{ me '.repeat(400)}{ id }${' }'.repeat(400)}`, 'GRAPHQL_'],
    [
      'seven levels',
      `{ ${'... on Query { '.repeat(3)} me { ...f } ${'}'.repeat(3)} } fragment f on User { id { a { b { c { d } } } } }`,
      'GRAPHQL_VALIDATION_FAILED',
    ],
    [
      'fragments that double each other',
      `{ me { ...f0 } } ${Array.from({ length: 18 }, (_, i) => `fragment f${i} on User { ...f${i + 1} ...f${i + 1} }`).join(' ')} fragment f18 on User { id }`,
      'GRAPHQL_VALIDATION_FAILED',
    ],
  ])('of %s is 400, in either media type', async (_, query, code) => {
    for (const accept of ['application/json', 'application/graphql-response+json']) {
      const answer = await run(query, undefined, { headers: ['Accept', accept] })
      expect(answer.status).toBe(400)
      const error: unknown = { message: expect.any(String), extensions: { code: expect.stringContaining(code) } }
      expect(answer.body).toEqual({ errors: expect.arrayContaining([error]) })
      expect(answer.body).not.toHaveProperty('data')
      expect(JSON.stringify(answer.body).length).toBeLessThan(2_000)
    }
  })

  test.each([
    ['a missing variable', {}],
    ['null for it', { name: null }],
    ['a number for it', { name: 7 }],
    ['an object for it', { name: { $ne: '' } }],
  ])('with %s is 400 and spends nothing that matters', async (_, variables) => {
    const answer = await run(CHECK, variables)
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] } })
  })

  test('does not tell the schema by its suggestions', async () => {
    const answer = await run('{ me { idd usernam } chekUsername }')
    expect(JSON.stringify(answer.body)).not.toMatch(/did you mean/i)
  })

  test('whose tenant is named twice is refused', async () => {
    expect(refusalOf(await post({ query: '{ me { id } }' }, { path: '/t/acme/graphql', tenant: 'default' })).kind).toBe(
      'invalid_request',
    )
    expect(refusalOf(await post({ query: '{ me { id } }' }, { path: '/t/nobody/graphql' })).kind).toBe('tenant_not_found')
  })

  test('that meets a storage that is away says so, and nothing of it', async () => {
    const principal = await aUser('ann')
    world.storage.accounts.findById = async () => {
      throw new Problem('storage_unavailable', { detail: 'postgres://secret', cause: new Error('secret') })
    }
    const answer = await run('{ me { id } }', undefined, { principal })
    expect(answer.body).toMatchObject({ data: { me: null }, errors: [{ extensions: { code: 'STORAGE_UNAVAILABLE' } }] })
    expect(JSON.stringify(answer.body)).not.toContain('secret')
  })

  test('that meets a fault of ours throws it, for the log', async () => {
    const principal = await aUser('ann')
    world.storage.accounts.findById = () => Promise.reject(new TypeError('a fault of ours'))
    await expect(post({ query: '{ me { id } }' }, { principal })).rejects.toThrow('a fault of ours')
  })
})

describe('operators', () => {
  test('may read the schema, and are nobody’s user', async () => {
    const schema = await world.graphql.ask({ query: '{ __schema { queryType { fields { name } } } }' }, 'default')
    expect(schema).toMatchObject({
      status: 200,
      body: { data: { __schema: { queryType: { fields: [{ name: 'checkUsernameAvailability' }, { name: 'me' }] } } } },
    })
    expect(await world.graphql.ask({ query: '{ me { id } }' }, 'default')).toMatchObject({
      status: 200,
      body: { data: { me: null } },
    })
    const mutation = { query: UPDATE, variables: { input: { displayName: 'x' } } }
    expect(await world.graphql.ask(mutation, 'default')).toMatchObject({
      body: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] },
    })
    await expect(world.graphql.ask([], 'default')).rejects.toMatchObject({ kind: 'invalid_request' })
  })
})
