/** What `telemetry.accessLog` and `telemetry.metrics` leave out. */
import { describe, expect, it } from 'vitest'
import { ACCESS_FIELDS } from '../../../src/config/names.ts'
import type { AccessField } from '../../../src/config/config.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { ADMITTED, ARRIVED, configOf, createWorld, type World } from './world.ts'

const PROBLEM = new Problem('internal_error', { detail: 'a "quoted", {braced} detail', cause: new Error('no, {really}: "x\\"') })

/** A line with every field. */
function log(world: World): Record<string, unknown> {
  const record = world.telemetry.open(ARRIVED)
  const trace = { id: 'a'.repeat(32), parent: '' }
  Object.assign(record, { exchange: { ...ADMITTED, trace }, status: 500, problem: PROBLEM, upstream: 'orders' })
  Object.assign(record, { aborted: true, ended: 'revoked' })
  world.telemetry.close(record)
  return world.lines().at(-1) ?? {}
}

function worldWith(accessLog: Parameters<typeof configOf>[1]): World {
  const world = createWorld()
  world.telemetry.use(configOf(1, accessLog))
  return world
}

describe('a line of the access log', () => {
  const whole = log(createWorld())

  it('has every field that can be left out', () => {
    expect(Object.keys(whole).toSorted()).toEqual([...ACCESS_FIELDS, 'time', 'level', 'msg', 'request_id'].toSorted())
  })

  it.each(ACCESS_FIELDS)('can do without %s and keeps the rest as it is', (field) => {
    const { [field]: _, ...rest } = whole
    expect(log(worldWith({ omit: new Set([field]) }))).toEqual(rest)
  })

  it('has time, level, message and id when all else is left out', () => {
    const line = log(worldWith({ omit: new Set<AccessField>(ACCESS_FIELDS) }))
    expect(line).toEqual({ time: whole['time'], level: 'error', msg: 'request', request_id: 'r-1' })
  })
})

describe('a quiet route', () => {
  function statuses(world: World, given: readonly number[], route = 'orders'): unknown[] {
    for (const status of given) {
      const record = world.telemetry.open(ARRIVED)
      Object.assign(record, { exchange: { ...ADMITTED, route: { ...ADMITTED.route, name: route } }, status })
      world.telemetry.close(record)
    }
    return world.lines().map((line) => line['status'])
  }

  it('is logged when it fails', () => {
    expect(statuses(worldWith({ quiet: new Set(['orders']) }), [200, 101, 304, 404, 500])).toEqual([404, 500])
  })

  it('is quiet with all endpoints of its service, and others are not', () => {
    const world = worldWith({ quiet: new Set(['auth']) })
    expect(statuses(world, [200], 'auth.login')).toEqual([])
    expect(statuses(world, [200], 'orders')).toEqual([200])
  })

  it('takes nothing from the sample: 5xx is always logged', () => {
    const world = createWorld(0)
    expect(statuses(world, [200, 404, 500, 503])).toEqual([500, 503])
  })
})

describe('tenants beyond the cap', () => {
  it('are counted together, unknown ones and nobody apart', async () => {
    const world = createWorld()
    const config = configOf(1)
    const acme = config.tenants.get('acme')
    if (acme === undefined) throw new Error('the test has no tenant')
    const tenants = new Map(['acme', 'b', 'c', 'd'].map((id) => [id, { ...acme, id }]))
    world.telemetry.use({ ...config, tenants, telemetry: { ...config.telemetry, metrics: { tenants: 2 } } })
    for (const tenant of ['acme', 'b', 'c', 'd', 'd', 'e']) world.telemetry.events.sessions.event(tenant, 'created')
    world.telemetry.observe({ usernameFilterNames: () => [...tenants.keys()].map((id) => [id, 5] as const) })
    const { body } = await world.telemetry.scrape()
    expect(body.split('\n').filter((line) => line.startsWith('gatehouse_sessions_total{'))).toEqual([
      'gatehouse_sessions_total{tenant="acme",event="created"} 1',
      'gatehouse_sessions_total{tenant="b",event="created"} 1',
      'gatehouse_sessions_total{tenant="_other",event="created"} 3',
      'gatehouse_sessions_total{tenant="none",event="created"} 1',
    ])
    expect(body.split('\n').filter((line) => line.startsWith('gatehouse_username_filter_names{'))).toEqual([
      'gatehouse_username_filter_names{tenant="acme"} 5',
      'gatehouse_username_filter_names{tenant="b"} 5',
      'gatehouse_username_filter_names{tenant="_other"} 10',
    ])
  })
})
