import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Identified } from '../../../src/exchange/exchange.ts'
import { PROBLEMS } from '../../../src/problem/problem.ts'
import { call, created, principalOf } from './session-calls.ts'
import type { World } from './world.ts'
import { bodyOf, NOW, openWorld, refusalOf } from './world.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

function validate(token: unknown, more: { readonly tenant?: string; readonly path?: string } = {}) {
  return call(world, 'validate', { access_token: token }, more)
}

/** `{"valid":false,"error":…}` as the row of the table says it, and nothing else. */
function invalid(kind: keyof typeof PROBLEMS) {
  return { valid: false, error: PROBLEMS[kind].error, error_description: PROBLEMS[kind].description }
}

function withPart(token: string, part: number, change: (claims: Record<string, unknown>) => object): string {
  const parts = token.split('.')
  const claims = JSON.parse(Buffer.from(parts[part] ?? '', 'base64url').toString())
  parts[part] = Buffer.from(JSON.stringify(change(claims))).toString('base64url')
  return parts.join('.')
}

describe('validating', () => {
  test('says of a good token what it says', async () => {
    const pair = await created(world, { metadata: { plan: 'pro' } })
    const answer = await validate(pair.access_token)
    expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
    const { claims }: Identified = await principalOf(world, pair.access_token)
    expect(bodyOf(answer)).toEqual({ valid: true, claims })
    expect(claims).toMatchObject({ sub: 'u1', sid: pair.session_id, metadata: { plan: 'pro' } })
  })

  test('says of every other one which code it has and what to do, and no more', async () => {
    const pair = await created(world)
    const token = pair.access_token
    const other = await created(world, { tenant_id: 'default' })
    const signature = other.access_token.split('.')[2] ?? ''
    const rows: [string, keyof typeof PROBLEMS][] = [
      ['garbage', 'invalid_token'],
      ['a.b.c', 'invalid_token'],
      [pair.refresh_token, 'invalid_token'],
      ['x'.repeat(16_000), 'invalid_token'],
      [withPart(token, 0, (header) => ({ ...header, alg: 'none' })), 'invalid_token'],
      [withPart(token, 0, (header) => ({ ...header, kid: 'another' })), 'invalid_token'],
      [withPart(token, 1, (claims) => ({ ...claims, iss: 'https://evil.example' })), 'invalid_token'],
      [withPart(token, 1, (claims) => ({ ...claims, aud: 'other' })), 'invalid_token'],
      [withPart(token, 1, (claims) => ({ ...claims, sub: 'admin' })), 'invalid_signature'],
      [[...token.split('.').slice(0, 2), signature].join('.'), 'invalid_signature'],
      [withPart(token, 1, (claims) => ({ ...claims, exp: NOW - 2 })), 'token_expired'],
    ]
    for (const [text, kind] of rows) {
      const answer = await validate(text)
      expect(answer).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } })
      expect([text.slice(0, 20), bodyOf(answer)]).toEqual([text.slice(0, 20), invalid(kind)])
    }
    expect(bodyOf(await validate(token, { tenant: 'default' }))).toEqual(invalid('tenant_mismatch'))
    expect(bodyOf(await validate(token, { path: '/t/default/sessions/validate' }))).toEqual(invalid('tenant_mismatch'))
    expect(bodyOf(await validate(token, { tenant: 'acme' }))).toMatchObject({ valid: true })
    await world.sessions.endSession({ tenant: 'acme', user: 'u1', id: pair.session_id }, 'test')
    expect(bodyOf(await validate(token))).toEqual(invalid('token_revoked'))
    await world.pass(902)
    expect(bodyOf(await validate(other.access_token))).toEqual(invalid('token_expired'))
  })

  test('takes a token as long as its skew lasts, and not longer', async () => {
    const { access_token: token } = await created(world)
    await world.pass(901)
    expect(bodyOf(await validate(token))).toMatchObject({ valid: true })
    await world.pass(1)
    expect(bodyOf(await validate(token))).toEqual(invalid('token_expired'))
  })

  test.each([[{}], [{ access_token: '' }], [{ access_token: 7 }], [{ access_token: 'x'.repeat(20_000) }]])(
    'of %j is a bad request',
    async (body) => {
      expect(refusalOf(await call(world, 'validate', body))).toEqual({ kind: 'invalid_request', fields: ['access_token'] })
    },
  )
})
