import { describe, expect, it } from 'vitest'
import { createCrewMetrics } from '../../../src/crew-metrics.ts'
import { factsOf, listOf, mergeAnalytics, mergeReadiness, mergeUpstreams } from '../../../src/crew-views.ts'
import type { Snapshot } from '../../../src/telemetry/telemetry.ts'
import type { Answered } from '../../../src/workers/workers.ts'

const ALL = { wanted: 2, ready: 2 }

describe('upstreams of several', () => {
  const target = (facts: Record<string, unknown>) => ({
    target: 0,
    url: 'http://a/',
    weight: 2,
    state: 'in',
    in_flight: 1,
    latency_ms: 4,
    ejections: 1,
    ...facts,
  })
  const upstream = (facts: Record<string, unknown>, ...targets: unknown[]) => ({
    upstream: 'orders',
    breaker: 'closed',
    in_flight: 3,
    targets,
    ...facts,
  })

  it('are one each: what is counted is added up, and the worst of all else is shown', () => {
    const one = [upstream({}, target({}), target({ target: 1, state: 'unhealthy' }))]
    const other = [
      upstream({ breaker: 'half-open' }, target({ state: 'ejected', latency_ms: 9 }), target({ target: 1 })),
      { upstream: 'b', targets: [] },
    ]
    expect(mergeUpstreams([one, other])).toEqual([
      upstream(
        { breaker: 'half-open', in_flight: 6 },
        target({ state: 'ejected', in_flight: 2, latency_ms: 9, ejections: 2 }),
        target({ target: 1, state: 'unhealthy', in_flight: 2, ejections: 2 }),
      ),
      { upstream: 'b', targets: [] },
    ])
    expect(mergeUpstreams([])).toEqual([])
  })

  it('say why one is out, whichever of them knows, and for how long at most', () => {
    const ill = target({ state: 'ejected', why: '5 failures in a row', state_seconds: 7 })
    const [merged] = mergeUpstreams([[upstream({}, target({ state_seconds: 90 }))], [upstream({}, ill)]])
    expect(merged?.['targets']).toMatchObject([{ state: 'ejected', why: '5 failures in a row', state_seconds: 90 }])
  })

  it('may have found a name at other addresses', () => {
    const one = [upstream({}, target({ address: '10.0.0.1' }))]
    const other = [upstream({}, target({ address: '10.0.0.1' }), target({ address: '10.0.0.2' }))]
    expect(mergeUpstreams([one, other])).toEqual([
      upstream({ in_flight: 6 }, target({ address: '10.0.0.1', in_flight: 2, ejections: 2 }), target({ address: '10.0.0.2' })),
    ])
  })

  it.each(['', '{}', '[1, null, "x"]', 'no JSON'])('are none where the text is no list of them: %s', (text) => {
    expect(listOf(text)).toEqual([])
  })
})

describe('readiness of several', () => {
  it('is that of all, with the worst of the facts', () => {
    const said = [
      { status: 'ready', revocation_staleness_seconds: 0.1, overloaded: false, config_version: 'a' },
      { status: 'ready', revocation_staleness_seconds: 2, overloaded: true, config_version: 'a' },
    ]
    expect(mergeReadiness(said, ALL, 'running')).toEqual({
      status: 'ready',
      revocation_staleness_seconds: 2,
      overloaded: true,
      config_version: 'a',
      workers: ALL,
    })
  })

  it.each([
    ['one is degraded', ['ready', 'degraded'], ALL, 'running', 'degraded'],
    ['one is missing', ['ready'], { wanted: 2, ready: 1 }, 'running', 'degraded'],
    ['one does not answer', ['ready'], ALL, 'running', 'degraded'],
    ['none is left', [], { wanted: 2, ready: 0 }, 'running', 'starting'],
    ['not all have started yet', ['ready'], { wanted: 2, ready: 1 }, 'starting', 'starting'],
    ['it is told to stop', ['draining', 'draining'], ALL, 'draining', 'draining'],
  ] as const)('where %s', (_, statuses, count, state, status) => {
    expect(
      mergeReadiness(
        statuses.map((one) => ({ status: one })),
        count,
        state,
      ),
    ).toMatchObject({ status, workers: count })
  })
})

describe('analytics of several', () => {
  it('are sums', () => {
    const report = (checks: number, database: number) => ({
      seconds: checks,
      least_callers: 20,
      tenants: {
        default: {
          checks,
          conflicts: 1,
          layers: { filter: checks - database, database },
          prefixes: [{ prefix: 'anna', checks, callers: 20 }],
        },
      },
    })
    expect(mergeAnalytics([report(100, 0), report(300, 100)])).toEqual({
      seconds: 300,
      least_callers: 20,
      tenants: {
        default: {
          checks: 400,
          conflicts: 2,
          layers: { filter: 300, database: 100 },
          hit_rate: 0.75,
          prefixes: [{ prefix: 'anna', checks: 400, callers: 40 }],
        },
      },
    })
  })

  it('of nobody are nothing', () => {
    expect(mergeAnalytics([])).toEqual({ seconds: 0, least_callers: undefined, tenants: {} })
    expect(factsOf('[1]')).toEqual([])
    expect(factsOf('no json')).toEqual([])
  })
})

describe('metrics of several', () => {
  const counter = (value: number): Snapshot => [
    { name: 'n_total', help: 'n', type: 'counter', values: [{ value, labels: {} }] },
    { name: 'g', help: 'g', type: 'gauge', values: [{ value, labels: {} }] },
  ]
  const sample = (body: string, name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(body)?.[1])

  it('never fall: what a worker counted stays when it is gone, and its place begins at zero', async () => {
    let answers: readonly Answered[] = []
    const metrics = createCrewMetrics(
      async () => counter(1),
      async () => answers,
    )
    answers = [
      { worker: 1, life: 1, body: counter(10) },
      { worker: 2, life: 2, body: counter(20) },
    ]
    expect(sample((await metrics.scrape()).body, 'n_total')).toBe(31)
    metrics.left(1)
    answers = [{ worker: 2, life: 2, body: counter(21) }]
    const after = (await metrics.scrape()).body
    expect([sample(after, 'n_total'), sample(after, 'g')]).toEqual([32, 22])
    answers = [
      { worker: 1, life: 3, body: counter(5) },
      { worker: 2, life: 2, body: counter(21) },
    ]
    expect(sample((await metrics.scrape()).body, 'n_total')).toBe(37)
    metrics.left(3)
    metrics.left(2)
    answers = []
    for (let scrape = 0; scrape < 3; scrape += 1) expect(sample((await metrics.scrape()).body, 'n_total')).toBe(37)
  })

  it('show a worker that does not answer as it was, and take no answer of one that is gone', async () => {
    let answers: readonly Answered[] = [{ worker: 1, life: 1, body: counter(10) }]
    const metrics = createCrewMetrics(
      async () => counter(0),
      async () => answers,
    )
    await metrics.scrape()
    answers = []
    expect(sample((await metrics.scrape()).body, 'n_total')).toBe(10)
    metrics.left(1)
    metrics.note(1, counter(12))
    expect(sample((await metrics.scrape()).body, 'n_total')).toBe(10)
    metrics.note(2, 'no snapshot')
    expect(sample((await metrics.scrape()).body, 'n_total')).toBe(10)
  })

  it('have the last word of one that says goodbye', async () => {
    const metrics = createCrewMetrics(
      async () => counter(0),
      async () => [],
    )
    metrics.note(1, counter(7))
    metrics.left(1)
    expect(sample((await metrics.scrape()).body, 'n_total')).toBe(7)
  })
})
