/** The OpenAPI document of the admin listener: every call that it names is there, and answers what it says. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { login, startGateway, type TestGateway } from '../support/gateway.ts'
import { faultsOfDocument, operationsOf, type DocumentedOperation, type Json } from '../support/openapi.ts'

const MARK = { 'x-gatehouse-admin': '1' }

let gateway: TestGateway
let document: Json
let operations: DocumentedOperation[]
let user = ''
let session = ''
let kid = ''

beforeAll(async () => {
  gateway = await startGateway(`routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: health, match: { path: /health }, service: health }
`)
  document = (await (await fetch(`${gateway.adminUrl}/openapi-admin.json`)).json()) as Json
  operations = operationsOf(document)
  const tokens = await login(gateway.url)
  session = tokens.session_id
  const listed = await fetch(`${gateway.adminUrl}/tenants/default/users/${encodeURIComponent(tokens.email)}/sessions`)
  user = ((await listed.json()) as { readonly user: string }).user
  const { keys } = (await (await fetch(`${gateway.adminUrl}/tenants/default/keys`)).json()) as {
    readonly keys: readonly { readonly kid: string }[]
  }
  kid = keys[0]?.kid ?? ''
})
afterAll(() => gateway.close())

it('is whole', () => {
  expect(faultsOfDocument(document)).toEqual([])
  expect(operations.length).toBeGreaterThan(20)
})

it('has calls that answer as they are described, each with its example', async () => {
  // What ends something comes last, and one session is ended before all of them are.
  const order = ['sessions/{session}/revoke', 'sessions/revoke', 'disable', 'enable', 'rotate', '{kid}/revoke', '{id}/revoke']
  const rank = ({ path }: DocumentedOperation) => order.findIndex((end) => path.endsWith(end))
  for (const one of operations.toSorted((a, b) => rank(a) - rank(b))) {
    const target = one.path.replace('{id}', 'default').replace('{user}', user).replace('{session}', session).replace('{kid}', kid)
    const body = one.operation['requestBody'] as { readonly content: Record<string, Json> } | undefined
    const stop = new AbortController()
    const response = await fetch(gateway.adminUrl + target, {
      method: one.method.toUpperCase(),
      signal: stop.signal,
      ...(body !== undefined && { body: JSON.stringify(body.content['application/json']?.['example']) }),
      headers: { ...(one.method === 'post' && MARK), ...(body !== undefined && { 'content-type': 'application/json' }) },
    })
    // Of a gateway that was opened by itself nobody can ask for the file to be read again.
    const wanted = one.path === '/reload' ? 404 : 200
    expect([one.method, one.path, response.status]).toEqual([one.method, one.path, wanted])
    const answers = (one.operation['responses'] as Record<string, { readonly content: Json }>)['200']
    if (wanted === 200) expect(response.headers.get('content-type')?.split(';')[0]).toBe(Object.keys(answers?.content ?? {})[0])
    stop.abort()
  }
})

it('says which calls need what they need', async () => {
  for (const one of operations.filter(({ method }) => method === 'post')) {
    const target = one.path.replaceAll(/\{\w+\}/g, 'default')
    const response = await fetch(gateway.adminUrl + target, { method: 'POST' })
    const wanted = one.path === '/reload' ? 404 : 403
    expect([one.path, response.status]).toEqual([one.path, wanted])
  }
})
