import { describe, expect, it } from 'vitest'
import { GAUGES } from '../../../src/telemetry/merging.ts'
import { asSnapshot, foldCounters, mergeSnapshots, type Telemetry } from '../../../src/telemetry/telemetry.ts'
import { ADMITTED, createWorld, type World } from './world.ts'

/** As it comes from another process. */
async function snapshotOf(telemetry: Telemetry) {
  const snapshot = asSnapshot(JSON.parse(JSON.stringify(await telemetry.snapshot())))
  if (snapshot === undefined) throw new Error('no snapshot')
  return snapshot
}

async function merged(...processes: readonly Telemetry[]): Promise<string> {
  return (await mergeSnapshots(await Promise.all(processes.map(snapshotOf)))).body
}

/** With exemplars that were met a second before. */
function earlier(snapshot: Awaited<ReturnType<typeof snapshotOf>>) {
  const moved = JSON.stringify(snapshot).replaceAll(/"atMs":(\d+)/g, (_, atMs: string) => `"atMs":${Number(atMs) - 1_000}`)
  return asSnapshot(JSON.parse(moved)) ?? []
}

const RECORDING = {
  event: () => undefined,
  step: () => undefined,
  attempt: () => ({ parent: '', answered: () => undefined, ended: () => undefined }),
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

  it('have the latest exemplar of each bucket, whichever of them met it, where OpenMetrics is asked for', async () => {
    const [one, other] = [createWorld(), createWorld()]
    const accept = 'application/openmetrics-text;version=1.0.0'
    const meet = ({ telemetry, clock }: World, id: string, seconds: number, isKept = true): void => {
      const trace = { id, parent: '', recording: { ...RECORDING, isKept: () => isKept } }
      const exchange = { ...ADMITTED, startedMs: clock.monotonicMs - seconds * 1000, trace }
      telemetry.close(Object.assign(telemetry.open(exchange), { exchange, status: 200 }))
    }
    meet(one, 'a'.repeat(32), 0.004)
    meet(other, 'b'.repeat(32), 0.004)
    meet(one, 'c'.repeat(32), 0.4)
    meet(other, 'd'.repeat(32), 0.04, false)
    const snapshots = [await snapshotOf(other.telemetry), earlier(await snapshotOf(one.telemetry))]
    const { contentType, body } = await mergeSnapshots(snapshots, accept)
    expect(contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    expect([...body.matchAll(/trace_id="(.)/g)].map(([, id]) => id)).toEqual(['b', 'c'])
    expect(body).toMatch(/^gatehouse_request_duration_seconds_bucket\{.*\} 2 # \{trace_id="b{32}"\} 0\.004 \d+/m)
    expect(body.endsWith('\n# EOF\n')).toBe(true)
    expect((await mergeSnapshots(snapshots)).body).not.toContain('trace_id')
  })

  it('take no exemplar of another process that is none', async () => {
    const snapshot = await snapshotOf(createWorld().telemetry)
    const bad = [null, 'x', { route: 'a' }, { route: 'a', bucket: '1', traceId: '"} 1\nfake 1', seconds: 1, atMs: 1 }]
    const forged = snapshot.map((one) => (one.name === 'gatehouse_request_duration_seconds' ? { ...one, exemplars: bad } : one))
    expect((await mergeSnapshots([forged], 'application/openmetrics-text')).body).not.toMatch(/fake| # \{/)
    expect(asSnapshot([{ ...snapshot[0], exemplars: 'none' }])).toBeUndefined()
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
