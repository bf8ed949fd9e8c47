import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { readPage } from './documents.ts'

interface Expected {
  readonly issuer: string
  readonly audience: string
  readonly nowSeconds?: number
}

type ReadPassport = (passport: string, jwks: unknown, expected: Expected) => Readonly<Record<string, unknown>>

/** The origin that `startGateway` configures, and the service that the route leads to. */
const EXPECTED = { issuer: 'http://gateway.test', audience: 'echo' }

describe('the code in docs/identity.md', () => {
  let gateway: TestGateway
  let folder: string
  let readPassport: ReadPassport
  let passport: string
  let jwks: unknown
  let headers: Readonly<Record<string, string>>

  beforeAll(async () => {
    gateway = await startGateway(`
routes:${SERVICE_ROUTES}
  - { name: api, match: { path: /api/* }, auth: required, service: echo }`)
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-docs-'))
    const file = join(folder, 'passport.mjs')
    writeFileSync(file, readPage('docs/identity.md').blocks.find(({ info }) => info === 'js')?.text ?? '')
    readPassport = ((await import(pathToFileURL(file).href)) as { readPassport: ReadPassport }).readPassport
    const { access_token: token } = await login(gateway.url)
    const answer = await fetch(`${gateway.url}/api/x`, { headers: bearer(token) })
    headers = ((await answer.json()) as { headers: Record<string, string> }).headers
    passport = headers['x-gatehouse-identity'] ?? ''
    jwks = await (await fetch(`${gateway.url}/.well-known/gatehouse/jwks.json`)).json()
  })
  afterAll(async () => {
    await gateway.close()
    rmSync(folder, { recursive: true })
  })

  it('reads the passport that an upstream receives, which says what its headers say', () => {
    const claims = readPassport(passport, jwks, EXPECTED)
    expect(Object.keys(claims).toSorted()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'scope', 'sid', 'sub', 'tenant_id'])
    expect([claims['sub'], claims['tenant_id'], claims['sid']]).toEqual([
      headers['x-user-id'],
      headers['x-tenant-id'],
      headers['x-session-id'],
    ])
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(60)
  })

  it.each([
    ['of another issuer', { issuer: 'http://other.test', audience: 'echo' }, 'for someone else'],
    ['for another upstream', { issuer: 'http://gateway.test', audience: 'orders' }, 'for someone else'],
    ['that has expired', { ...EXPECTED, nowSeconds: Date.now() / 1000 + 3_600 }, 'expired'],
  ])('refuses one %s', (_, expected, message) => {
    expect(() => readPassport(passport, jwks, expected)).toThrow(message)
  })

  it('refuses one that was changed, is signed otherwise or has a key of its own', () => {
    const [header = '', payload = '', signature = ''] = passport.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    const root = encode({ ...claims, sub: 'root' })
    const kid = (JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid: string }).kid
    expect(() => readPassport(`${header}.${root}.${signature}`, jwks, EXPECTED)).toThrow('forged')
    expect(() => readPassport(`${encode({ alg: 'none', kid })}.${root}.`, jwks, EXPECTED)).toThrow('not a key of the gateway')
    expect(() => readPassport(`${encode({ alg: 'HS256', kid })}.${root}.x`, jwks, EXPECTED)).toThrow('not a key of the gateway')
    expect(() => readPassport(passport, { keys: [] }, EXPECTED)).toThrow('not a key of the gateway')
    expect(() => readPassport('a.b', jwks, EXPECTED)).toThrow('not a passport')
  })
})

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
