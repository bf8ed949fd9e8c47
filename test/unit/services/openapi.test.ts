import { describe, expect, it } from 'vitest'
import { PROBLEMS } from '../../../src/problem/problem.ts'
import { createRouter } from '../../../src/router/router.ts'
import { CATALOGUE } from '../../../src/services/catalogue.ts'
import { OPERATIONS, openApiDocument } from '../../../src/services/openapi/openapi.ts'
import { endpointsOf } from '../../../src/services/services.ts'
import { testConfig } from '../../support/config.ts'
import { faultsOfDocument, operationsOf, type Json } from '../../support/openapi.ts'

const { routes } = createRouter(
  testConfig(`
upstreams: { orders: { targets: [http://127.0.0.1:1] } }
routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
  - { name: revocations, match: { path: /revocations }, service: revocations }
  - { name: usernames, match: { path: /usernames/* }, service: usernames }
  - { name: graphql, match: { path: /graphql }, service: graphql }
  - { name: discovery, match: { path: /.well-known/* }, service: discovery }
  - { name: discovery-tenants, match: { path: /t/* }, service: discovery }
  - { name: health, match: { path: /health }, service: health }
  - { name: demo, match: { path: /api/* }, auth: required, service: echo }
  - { name: try, match: { path: /try/*, methods: [GET] }, auth: optional, service: echo }
  - { name: orders, match: { path: /orders/* }, auth: required, upstream: orders }
`).routes,
  endpointsOf,
)
const document = openApiDocument(routes, 'https://api.example.com') as Json
const operations = operationsOf(document)

describe('the OpenAPI document', () => {
  it('has every reference resolved, every operation named, answered and secured', () => {
    expect(faultsOfDocument(document)).toEqual([])
    expect(document['openapi']).toBe('3.1.1')
    expect(document['servers']).toEqual([{ url: 'https://api.example.com' }])
  })

  it('covers every endpoint of the catalogue, and no upstream', () => {
    const wanted = Object.entries(CATALOGUE).flatMap(([service, endpoints]) =>
      Object.keys(endpoints).map((endpoint) => `${service} ${endpoint}`),
    )
    const described = Object.entries(OPERATIONS).flatMap(([service, endpoints]) =>
      Object.keys(endpoints).map((endpoint) => `${service} ${endpoint}`),
    )
    expect(described.toSorted()).toEqual(wanted.toSorted())
    const tagged = new Set(
      routes.flatMap(({ target }) => (target.kind === 'service' ? [`${target.service} ${target.endpoint}`] : [])),
    )
    expect([...tagged].toSorted()).toEqual(wanted.toSorted())
    expect(operations.length).toBeGreaterThanOrEqual(wanted.length)
    expect(operations.map(({ path }) => path).filter((path) => path.startsWith('/orders'))).toEqual([])
  })

  it('says the bodies by the very schemas that validate them', () => {
    expect(schemaOf('POST', '/auth/login')).toEqual({
      type: 'object',
      properties: {
        email: { type: 'string' },
        username: { type: 'string', minLength: 1, maxLength: 254 },
        password: { type: 'string' },
        tenant_id: { type: 'string', minLength: 1, maxLength: 64 },
        cookie: { type: 'boolean', description: expect.stringContaining('HttpOnly') },
      },
      required: ['password'],
      additionalProperties: false,
    })
    expect(schemaOf('POST', '/sessions')).toMatchObject({
      required: ['tenant_id', 'user_id', 'scope'],
      additionalProperties: false,
    })
    expect(schemaOf('POST', '/oauth/token', 'application/x-www-form-urlencoded')).toMatchObject({ required: ['grant_type'] })
  })

  it('gives examples that its own schemas take', () => {
    for (const [service, endpoints] of Object.entries(OPERATIONS)) {
      for (const [endpoint, { body }] of Object.entries(endpoints)) {
        if (body === undefined) continue
        expect({ service, endpoint, ok: body.schema.safeParse(body.example).success }).toEqual({ service, endpoint, ok: true })
      }
    }
  })

  it('says who may call: a user by a token, a client by its secret, anyone, or what the route says', () => {
    expect(securityOf('GET', '/auth/me')).toEqual([{ bearer: [] }, { cookie: [] }])
    expect(securityOf('POST', '/sessions')).toEqual([{ client: [] }])
    expect(securityOf('POST', '/sessions/revoke-all')).toEqual([{ client: [] }, { bearer: [] }, { cookie: [] }])
    expect(securityOf('POST', '/auth/login')).toEqual([])
    expect(securityOf('GET', '/api/{path}')).toEqual([{ bearer: [] }, { cookie: [] }])
    expect(securityOf('GET', '/try/{path}')).toEqual([{}, { bearer: [] }, { cookie: [] }])
  })

  it('shows each problem as it is answered', () => {
    const examples = (document['components'] as Json)['examples'] as Record<string, Json>
    const problems = Object.entries(examples).filter(([name]) => Object.hasOwn(PROBLEMS, name))
    expect(problems.length).toBeGreaterThan(15)
    for (const [name, { value }] of problems) {
      const row = PROBLEMS[name as keyof typeof PROBLEMS]
      expect(value).toMatchObject({
        type: `urn:gatehouse:problem:${name}`,
        status: row.status,
        error: row.error,
        title: row.title,
      })
    }
    expect(examples['oauth_invalid_client']?.['value']).toMatchObject({ error: 'invalid_client' })
  })

  it('is empty where nothing is mounted', () => {
    expect(openApiDocument([], 'https://api.example.com')).toMatchObject({ paths: {} })
  })
})

function find(method: string, path: string): Json {
  const found = operations.find((one) => one.method === method.toLowerCase() && one.path === path)
  if (found === undefined) throw new Error(`no ${method} ${path}`)
  return found.operation
}

function securityOf(method: string, path: string): unknown {
  return find(method, path)['security']
}

function schemaOf(method: string, path: string, type = 'application/json'): unknown {
  const { content } = find(method, path)['requestBody'] as { content: Record<string, { schema: unknown }> }
  return content[type]?.schema
}
