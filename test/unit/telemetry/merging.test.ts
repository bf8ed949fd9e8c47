import { describe, expect, it } from 'vitest'
import { GAUGES } from '../../../src/telemetry/merging.ts'
import { asSnapshot, foldCounters, mergeSnapshots, type Telemetry } from '../../../src/telemetry/telemetry.ts'
import { ADMITTED, createWorld } from './world.ts'

/** As it comes from another process. */
async function snapshotOf(telemetry: Telemetry) {
  const snapshot = asSnapshot(JSON.parse(JSON.stringify(await telemetry.snapshot())))
  if (snapshot === undefined) throw new Error('no snapshot')
  return snapshot
}

async function merged(...processes: readonly Telemetry[]): Promise<string> {
  return (await mergeSnapshots(await Promise.all(processes.map(snapshotOf)))).body
}

describe('metrics of several processes', () => {
  it('are text of the same form as of one, with every name and description', async () => {
    const [one, other] = [createWorld().telemetry, createWorld().telemetry]
    const headers = (text: string): string[] => text.split('\n').filter((line) => line.startsWith('# '))
    const { contentType, body } = await mergeSnapshots([await snapshotOf(one), await snapshotOf(other)])
    const single = await one.scrape()
    expect(contentType).toBe(single.contentType)
    expect(headers(body)).toEqual(headers(single.body))
  })

  it('add up counters and histograms by their labels', async () => {
    const [one, other] = [createWorld().telemetry, createWorld().telemetry]
    for (const [telemetry, times] of [
      [one, 3],
      [other, 4],
    ] as const) {
      for (let time = 0; time < times; time += 1)
        telemetry.close(Object.assign(telemetry.open(ADMITTED), { exchange: ADMITTED, status: 200 }))
    }
    other.close(Object.assign(other.open(ADMITTED), { exchange: ADMITTED, status: 500 }))
    const body = await merged(one, other)
    expect(body).toMatch(/^gatehouse_requests_total\{[^}]*code="200"\} 7$/m)
    expect(body).toMatch(/^gatehouse_requests_total\{[^}]*code="500"\} 1$/m)
    expect(body).toMatch(/^gatehouse_request_duration_seconds_count\{route="orders"\} 8$/m)
    expect(body).toMatch(/^gatehouse_request_duration_seconds_bucket\{[^}]*le="\+Inf"[^}]*\} 8$/m)
  })

  it('make of a gauge what it means for the whole', async () => {
    const [one, other] = [createWorld().telemetry, createWorld().telemetry]
    one.observe({ connections: () => 5, revocationStalenessMs: () => 100, redisUp: () => true, revocationEntries: () => 7 })
    other.observe({ connections: () => 6, revocationStalenessMs: () => 2_000, redisUp: () => false, revocationEntries: () => 7 })
    other.reloaded('failed')
    const body = await merged(one, other)
    expect(body).toMatch(/^gatehouse_connections 11$/m)
    expect(body).toMatch(/^gatehouse_revocation_staleness_seconds 2$/m)
    expect(body).toMatch(/^gatehouse_redis_up 0$/m)
    expect(body).toMatch(/^gatehouse_revocation_entries 7$/m)
    expect(body).toMatch(/^gatehouse_config_last_reload_success 0$/m)
  })

  it('have a rule for every gauge that there is', async () => {
    const gauges = (await snapshotOf(createWorld().telemetry)).filter(({ type }) => type === 'gauge').map(({ name }) => name)
    expect(gauges.filter((name) => !GAUGES.has(name))).toEqual([])
    expect([...GAUGES.keys()].filter((name) => !gauges.includes(name))).toEqual([])
  })

  it('keep what a process counted that is no more, and nothing that it measured', async () => {
    const { telemetry } = createWorld()
    telemetry.close(Object.assign(telemetry.open(ADMITTED), { exchange: ADMITTED, status: 200 }))
    telemetry.observe({ connections: () => 5 })
    const once = await foldCounters([await snapshotOf(telemetry)])
    const twice = await foldCounters([once, await snapshotOf(telemetry)])
    const { body } = await mergeSnapshots([twice])
    expect(body).toMatch(/^gatehouse_requests_total\{[^}]*code="200"\} 2$/m)
    expect(body).not.toMatch(/^gatehouse_connections/m)
  })

  it('are not made of anything else', () => {
    for (const value of [undefined, null, 'x', {}, [1], [{ name: 'x' }]]) expect(asSnapshot(value)).toBeUndefined()
  })
})
