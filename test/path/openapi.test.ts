/** The OpenAPI document of a running gateway: its examples are sent as they stand, and the answers are what it says. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OAUTH_ERROR, PROBLEM } from '../../src/services/openapi/answers.ts'
import { OPERATIONS } from '../../src/services/openapi/openapi.ts'
import { basic } from '../support/clients.ts'
import { bearer, login, startGateway, type TestGateway } from '../support/gateway.ts'
import { faultsOfDocument, operationsOf, type DocumentedOperation, type Json } from '../support/openapi.ts'

const SECRET = 'the secret of the client'
const YAML = `
tenants: { default: { signing: ES256 } }
clients:
  billing: { tenant: default, secret: { env: BILLING }, scopes: [sessions:write, sessions:read, tokens:introspect] }
routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: discovery, match: { path: /.well-known/* }, service: discovery }
  - { name: discovery-tenants, match: { path: /t/* }, service: discovery }
  - { name: health, match: { path: /health }, service: health }
  - { name: client-sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
  - { name: graphql, match: { path: /graphql }, service: graphql }
  - { name: demo, match: { path: /api/* }, auth: required, service: echo }
`

let gateway: TestGateway
let document: Json
let operations: DocumentedOperation[]

beforeAll(async () => {
  gateway = await startGateway(YAML, { environment: { BILLING: SECRET } })
  const response = await fetch(`${gateway.adminUrl}/openapi.json`)
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json; charset=utf-8'])
  document = (await response.json()) as Json
  operations = operationsOf(document)
})
afterAll(() => gateway.close())

describe('the OpenAPI document of the admin listener', () => {
  it('is whole, and names every route of a service', async () => {
    expect(faultsOfDocument(document)).toEqual([])
    const routes = (await (await fetch(`${gateway.adminUrl}/routes`)).json()) as { name: string; target: { kind: string } }[]
    const ids = new Set(operations.map(({ operation }) => String(operation['operationId'])))
    for (const { name, target } of routes) {
      const isThere = [...ids].some((id) => id === name || id.startsWith(`${name}.`))
      expect({ name, isThere }).toEqual({ name, isThere: target.kind === 'service' })
    }
  })

  it('has examples that work, each with the answer that it says', async () => {
    for (const one of operations) {
      const user = one.path === '/auth/register' ? undefined : await login(gateway.url)
      const response = await send(one, user)
      const text = await response.text()
      const wanted = operationOf(one)
      const parsed = wanted.answer?.safeParse(text === '' ? undefined : JSON.parse(text))
      expect({
        id: one.operation['operationId'],
        status: response.status,
        faults: parsed?.error?.issues ?? [],
        text: wanted.answer ? '' : text,
      }).toEqual({
        id: one.operation['operationId'],
        status: wanted.status,
        faults: [],
        text: '',
      })
      expect(Object.keys(one.operation['responses'] as Json)).toContain(String(response.status))
    }
  }, 90_000)

  it('tells the refusal of whoever does not prove who they are', async () => {
    for (const one of operations) {
      const security = one.operation['security'] as Json[]
      if (security.length === 0 || security.some((requirement) => Object.keys(requirement).length === 0)) continue
      const response = await send(one, undefined, {})
      const schema = one.path.startsWith('/oauth/') ? OAUTH_ERROR : PROBLEM
      expect({
        id: one.operation['operationId'],
        status: response.status,
        isChallenged: response.headers.has('www-authenticate'),
        faults: schema.safeParse(await response.json()).error?.issues ?? [],
      }).toEqual({ id: one.operation['operationId'], status: 401, isChallenged: true, faults: [] })
      expect(Object.keys(one.operation['responses'] as Json)).toContain('401')
    }
  })

  it('tells the refusal of a body with a key that it does not name', async () => {
    const user = await login(gateway.url)
    for (const one of operations) {
      const body = exampleOf(one, 'application/json')
      if (body === undefined) continue
      const response = await fetch(urlOf(one), {
        method: one.method.toUpperCase(),
        headers: { 'content-type': 'application/json', ...proofOf(one, user) },
        body: JSON.stringify({ ...body, surplus: true }),
      })
      const problem = (await response.json()) as Json
      expect({ id: one.operation['operationId'], status: response.status, fields: problem['fields'] }).toEqual({
        id: one.operation['operationId'],
        status: 400,
        fields: [{ field: 'surplus', message: expect.any(String) }],
      })
    }
  })
})

type User = Awaited<ReturnType<typeof login>>

async function send(one: DocumentedOperation, user: User | undefined, proof = proofOf(one, user)): Promise<Response> {
  const json = exampleOf(one, 'application/json')
  const form = exampleOf(one, 'application/x-www-form-urlencoded')
  const fields = withTokens(json ?? form ?? {}, user)
  const type = json === undefined ? 'application/x-www-form-urlencoded' : 'application/json'
  const body = json === undefined ? new URLSearchParams(fields as Record<string, string>).toString() : JSON.stringify(fields)
  return fetch(urlOf(one, user), {
    method: one.method.toUpperCase(),
    headers: { ...proof, ...(json === undefined && form === undefined ? {} : { 'content-type': type }) },
    ...(json === undefined && form === undefined ? {} : { body }),
  })
}

function proofOf(one: DocumentedOperation, user: User | undefined): Record<string, string> {
  const schemes = (one.operation['security'] as Json[]).flatMap((requirement) => Object.keys(requirement))
  if (schemes.includes('client')) return { authorization: basic('billing', SECRET) }
  return schemes.includes('bearer') && user !== undefined ? { ...bearer(user.access_token) } : {}
}

/** The examples stand for tokens that nobody has: in their place go those of a user who has just logged in. */
function withTokens(example: Json, user: User | undefined): Json {
  if (user === undefined) return example
  const real: Json = { access_token: user.access_token, refresh_token: user.refresh_token, token: user.refresh_token }
  return Object.fromEntries(Object.entries(example).map(([name, value]) => [name, real[name] ?? value]))
}

function urlOf(one: DocumentedOperation, user?: User): string {
  const values: Record<string, string> = { tenant: 'default', id: user?.session_id ?? '0'.repeat(32), path: 'x/y' }
  return gateway.url + one.path.replace(/\{([^}]+)\}/g, (_, name: string) => values[name] ?? name)
}

function exampleOf(one: DocumentedOperation, type: string): Json | undefined {
  const body = one.operation['requestBody'] as { content: Record<string, { example: Json }> } | undefined
  return body?.content[type]?.example
}

function operationOf(one: DocumentedOperation) {
  const [service] = one.operation['tags'] as [keyof typeof OPERATIONS]
  const [, endpoint = ''] = String(one.operation['operationId']).split('.')
  const found = Object.entries(OPERATIONS[service]).find(([name]) => name === endpoint)?.[1]
  if (found === undefined) throw new Error(`no operation ${endpoint}`)
  return found
}
