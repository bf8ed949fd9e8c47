import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { codesIn, codeIn, readPage, ROOT, rowsOf } from './documents.ts'

describe('docs/sessions.md', () => {
  const page = readPage('docs/sessions.md')
  let gateway: TestGateway
  beforeAll(async () => {
    gateway = await startGateway(`
routes:${SERVICE_ROUTES}
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
`)
  })
  afterAll(() => gateway.close())

  it('has every claim of an access token, and no other', async () => {
    const { access_token: token } = await login(gateway.url)
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object
    const documented = rowsOf(page, 'The access token').flatMap(([names]) => codesIn(names ?? ''))
    expect(documented.toSorted()).toEqual(Object.keys(claims).toSorted())
  })

  it('shows what a login answers, and for how long', async () => {
    const [example] = page.blocks.filter(({ info }) => info === 'json')
    const shown = JSON.parse(example?.text ?? '{}') as Record<string, unknown>
    const { email: _email, password: _password, ...answered } = await login(gateway.url)
    const pair: Record<string, unknown> = { ...answered }
    expect(Object.keys(shown)).toEqual(Object.keys(pair))
    const fixed = ['token_type', 'expires_in', 'refresh_expires_in', 'scope']
    expect(fixed.map((name) => shown[name])).toEqual(fixed.map((name) => pair[name]))
  })

  it('says what the cookies are', async () => {
    const account = { email: 'cookie@example.com', password: 'correct horse battery' }
    expect((await postJson(`${gateway.url}/auth/register`, account)).status).toBe(201)
    const asked = { ...account, cookie: true }
    const answer = await postJson(`${gateway.url}/auth/login`, asked, { 'sec-fetch-site': 'same-origin' })
    const lines = answer.headers.getSetCookie().map((line) => line.replace(/=[^;]*;/, '').replace(/ Max-Age=\d+;/, ''))
    const documented = rowsOf(page, 'Browsers').map(([name, , attributes]) => `${codeIn(name)} ${codeIn(attributes)}`)
    expect(documented).toEqual(lines)
  })

  it('has every outcome of a refresh, and no other', () => {
    const store = readFileSync(join(ROOT, 'src/services/sessions/store.ts'), 'utf8')
    const [union = ''] = /export type Rotation =[^]*?\n\n/.exec(store) ?? []
    const outcomes = [...union.matchAll(/'([a-z]+)'/g)].map(([, name = '']) => name).filter((name) => name !== 'session')
    expect(
      rowsOf(page, 'Refresh')
        .map(([name]) => codeIn(name))
        .toSorted(),
    ).toEqual(outcomes.toSorted())
  })
})

describe('docs/keys.md', () => {
  it('has every state of a key, in order', () => {
    const record = readFileSync(join(ROOT, 'src/tenants/key-record.ts'), 'utf8')
    const [, list = ''] = /const STATES = \[(.*)\]/.exec(record) ?? []
    const states = [...list.matchAll(/'([a-z]+)'/g)].map(([, state]) => state)
    expect(rowsOf(readPage('docs/keys.md'), 'Life of a key').map(([state]) => codeIn(state))).toEqual(states)
  })
})

describe('docs/audit.md', () => {
  it('has every event that is recorded, and no other', () => {
    const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(ROOT, 'src', name), 'utf8').replace(/\/\*[^]*?\*\//g, ''))
    const events =
      /'((?:authn|session|sessions|user|sys|tenant|malicious)_(?:[a-z]+_)*(?:success|fail|created|ended|expired|reuse|healed|revoked|disabled|enabled|published|rotated|retired|lock|change|updated|changed|probing|squatting|device|travel))'/g
    const recorded = sources.flatMap((text) => [...text.matchAll(events)].map(([, event]) => event ?? ''))
    const documented = rowsOf(readPage('docs/audit.md'))
      .flatMap(([names]) => codesIn(names ?? ''))
      .filter((name) => name.includes('_') && !/^(?:tenant|user|request)_id$/.test(name))
    expect([...new Set(documented)].toSorted()).toEqual([...new Set(recorded)].toSorted())
  })
})
