/** Telemetry whose configuration is replaced: names are those of the new one, and what was counted stays. */
import { expect, it } from 'vitest'
import { createNames, NONE, type NamesConfig } from '../../../src/telemetry/names.ts'
import { testConfig } from '../../support/config.ts'
import { ADMITTED, ARRIVED, createWorld, NOW_MS } from './world.ts'

function config(route: string, upstream: string): NamesConfig {
  return testConfig(
    `upstreams: { ${upstream}: { targets: ["http://127.0.0.1:1"] } }\nroutes: [{ name: ${route}, match: { path: /* }, auth: public, upstream: ${upstream} }]`,
  )
}

it('takes the names of the configuration in force and of the one before, whose requests may still be under way', () => {
  const names = createNames(config('one', 'a'))
  expect([
    names.route('one'),
    names.route('one.login'),
    names.route('two'),
    names.upstream('a'),
    names.tenant('default'),
  ]).toEqual(['one', 'one.login', NONE, 'a', 'default'])
  names.use(config('two', 'b'))
  expect([names.route('one'), names.route('two'), names.upstream('a'), names.upstream('b')]).toEqual(['one', 'two', 'a', 'b'])
  names.use(config('three', 'b'))
  expect([names.route('one'), names.route('two'), names.route('three'), names.upstream('a')]).toEqual([
    NONE,
    'two',
    'three',
    NONE,
  ])
  expect([names.route(''), names.route('three.'), names.route('three.a.b'), names.route('.login')]).toEqual([
    NONE,
    NONE,
    NONE,
    NONE,
  ])
})

it('says which configuration is in force and since when, and goes on counting', async () => {
  const { telemetry } = createWorld()
  telemetry.close(Object.assign(telemetry.open(ARRIVED), { exchange: ADMITTED, status: 200 }))
  const next = testConfig('routes: [{ name: orders, match: { path: /* }, auth: public, service: echo }]')
  telemetry.use(next)
  telemetry.close(Object.assign(telemetry.open(ARRIVED), { exchange: ADMITTED, status: 200 }))
  const lines = (await telemetry.scrape()).body.split('\n')
  expect(lines).toContain('gatehouse_requests_total{route="orders",tenant="acme",code="200"} 2')
  expect(lines.filter((line) => line.startsWith('gatehouse_config_info{'))).toEqual([
    `gatehouse_config_info{version="${next.version}"} 1`,
  ])
  expect(lines).toContain(`gatehouse_config_loaded_timestamp_seconds ${NOW_MS / 1000}`)
})
