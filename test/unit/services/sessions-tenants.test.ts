/** Whatever is asked with something of one tenant about something of the other is refused, and changes nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fc } from '../../support/properties.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { as, call, created, principalOf } from './session-calls.ts'
import type { Pair } from './session-calls.ts'
import type { Request, World } from './world.ts'
import { openWorld } from './world.ts'
import { snapshotOf } from '../../support/log.ts'

const TENANTS = ['acme', 'default'] as const
type Tenant = (typeof TENANTS)[number]

interface Side {
  readonly tenant: Tenant
  readonly pair: Pair
  readonly user: Partial<Request>
  readonly client: Partial<Request>
}

let world: World
let sides: Readonly<Record<Tenant, Side>>

beforeAll(async () => {
  world = await openWorld()
  sides = { acme: await sideOf('acme'), default: await sideOf('default') }
})
afterAll(() => world.close())

async function sideOf(tenant: Tenant): Promise<Side> {
  const pair = await created(world, { tenant_id: tenant, user_id: 'u1' })
  const client = tenant === 'acme' ? 'acme-backend' : 'default-backend'
  return {
    tenant,
    pair,
    user: { principal: await principalOf(world, pair.access_token) },
    client: { headers: as(client) },
  }
}

/** Every endpoint, called with what one side has, about what the other has. */
const CALLS: Readonly<Record<string, (mine: Side, other: Side) => Promise<unknown>>> = {
  'create as the other’s client': (mine, other) =>
    call(world, 'create', { tenant_id: other.tenant, user_id: 'u1', scope: '' }, mine.client),
  'create at the other’s host': (mine, other) =>
    call(world, 'create', { tenant_id: mine.tenant, user_id: 'u1', scope: '' }, { ...mine.client, tenant: other.tenant }),
  'validate at the other’s host': async (mine, other) => {
    const answer = await call(world, 'validate', { access_token: other.pair.access_token }, { tenant: mine.tenant })
    return answer instanceof Problem ? answer : JSON.parse(String(answer.body)).error
  },
  'refresh at the other’s host': (mine, other) =>
    call(world, 'refresh', { refresh_token: other.pair.refresh_token }, { tenant: mine.tenant }),
  'refresh by the other’s name': (mine, other) =>
    call(world, 'refresh', { refresh_token: other.pair.refresh_token, tenant_id: mine.tenant }),
  'revoke the other’s access token as a client': (mine, other) =>
    call(world, 'revoke', { token: other.pair.access_token }, mine.client),
  'revoke the other’s refresh token as a client': (mine, other) =>
    call(world, 'revoke', { token: other.pair.refresh_token }, mine.client),
  'revoke the other’s access token at a host': (mine, other) =>
    call(world, 'revoke', { token: other.pair.access_token }, { tenant: mine.tenant }),
  'revoke the other’s refresh token at a host': (mine, other) =>
    call(world, 'revoke', { token: other.pair.refresh_token }, { tenant: mine.tenant }),
  'revoke all of the other as a client': (mine, other) =>
    call(world, 'revoke-all', { tenant_id: other.tenant, user_id: 'u1' }, mine.client),
  'revoke all of the other as the user of the same name': (mine, other) =>
    call(world, 'revoke-all', { tenant_id: other.tenant, user_id: 'u1' }, mine.user),
  'delete the other’s session': (mine, other) =>
    call(world, 'delete', undefined, { ...mine.user, params: { id: other.pair.session_id } }),
}

async function stateOf(): Promise<unknown> {
  const lists = await Promise.all(TENANTS.map((tenant) => world.storage.sessions.list({ tenant, user: 'u1' })))
  return { lists, log: await snapshotOf(world.storage.log), audit: [...world.recorded] }
}

const REFUSED = new Set([401, 403, 404])

describe('two tenants', () => {
  test.each(Object.keys(CALLS))('%s: refused, and nothing has changed', async (name) => {
    const before = await stateOf()
    for (const [mine, other] of [
      [sides.acme, sides.default],
      [sides.default, sides.acme],
    ] as const) {
      const answer = await CALLS[name]?.(mine, other)
      if (answer instanceof Problem) expect(REFUSED).toContain(answer.status)
      else expect(answer).toBe('tenant_mismatch')
    }
    expect(await stateOf()).toEqual(before)
  })

  test('in any order and number of such calls nothing changes', async () => {
    const before = await stateOf()
    const steps = fc.array(fc.tuple(fc.constantFrom(...Object.values(CALLS)), fc.boolean()), { maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        for (const [run, swapped] of script) {
          await (swapped ? run(sides.acme, sides.default) : run(sides.default, sides.acme))
        }
        expect(await stateOf()).toEqual(before)
      }),
      { numRuns: 25 },
    )
  })

  test('see their own sessions alone', async () => {
    for (const tenant of TENANTS) {
      const answer = await call(world, 'list', undefined, { method: 'GET', ...sides[tenant].user })
      const ids = JSON.parse('body' in answer ? String(answer.body) : '').sessions.map((session: { id: string }) => session.id)
      expect(ids).toEqual([sides[tenant].pair.session_id])
    }
  })
})
