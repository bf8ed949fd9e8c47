import { describe, expect, it } from 'vitest'
import { capacityFacts, capacityPart } from '../../../bench/report/capacity.ts'
import { latencyPlot, peersPlot } from '../../../bench/report/plots.ts'
import { costsPart, figuresPart, peersPart } from '../../../bench/report/tables.ts'
import { tableOf, withPart } from '../../../bench/support/markdown.ts'

const setting = {
  node: 'v26.0.0',
  cores: 2,
  processor: 'a processor',
  loadBefore: [0.1, 0.2, 0.3],
  rounds: 5,
  seconds: 4,
  load: 'wrk',
  upstream: 'nginx',
  connections: 64,
}
const row = (name: string, perSecond: number) => {
  const figures = {
    perSecond,
    least: perSecond - 1,
    most: perSecond + 1,
    p50Ms: 1,
    p99Ms: 2.5,
    cpuMicros: 25,
    cpuShare: 1,
    residentMiB: 99,
  }
  return { name, title: `the ${name}`, ...figures, errors: 0, accessLog: name === 'jwt-warm', verifies: name.includes('jwt') }
}
const results = {
  setting,
  rows: [row('nginx', 60_000), row('jwt-warm', 30_000), { ...row('haproxy-jwt', 15_000), version: '2.6.12' }],
  ratios: [
    { of: 'jwt-warm', to: 'haproxy-jwt', ratio: 2, least: 1.9, most: 2.1, cpuRatio: 2.2, taken: { rounds: 5, seconds: 4 } },
  ],
  rounds: {},
}

describe('the table of peers', () => {
  it('has the fastest first, says who logs, and how the gateway compares', () => {
    const lines = peersPart(results).split('\n').slice(2)
    expect(lines).toEqual([
      '|  | requests/s | least – most | CPU, µs a request | p50 ms | p99 ms | memory MiB | `jwt-warm` beside it | access log |',
      '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
      '| `nginx`: the nginx | 60,000 | 59,999 – 60,001 | 25.0 | 1.00 | 2.50 | 99 | – | off |',
      '| **`jwt-warm`: the jwt-warm** | 30,000 | 29,999 – 30,001 | 25.0 | 1.00 | 2.50 | 99 | – | on |',
      '| `haproxy-jwt`: the haproxy-jwt (2.6.12) | 15,000 | 14,999 – 15,001 | 25.0 | 1.00 | 2.50 | 99 | 2.00 × | off |',
    ])
  })

  it('names the machine by its cores and processor', () => {
    expect(peersPart(results).split('\n')[0]).toBe(
      'Medians, 5 × 4 s each; 64 connections, load by wrk, upstream nginx. 2 cores (a processor), Node v26.0.0, load of the machine before 0.10.',
    )
  })
})

describe('other tables', () => {
  it('say what a feature costs beside what it is compared with, and leave out the peers', () => {
    const taken = { rounds: 5, seconds: 4 }
    const cost = { of: 'jwt-policy', to: 'jwt-warm', ratio: 0.9, least: 0.8, most: 1, cpuRatio: 0.91, taken }
    const both = { ...results, rows: [...results.rows, row('jwt-policy', 27_000)], ratios: [...results.ratios, cost] }
    expect(
      costsPart(both, [['jwt-policy', 'jwt-warm']])
        .split('\n')
        .slice(4),
    ).toEqual(['| `jwt-policy`: the jwt-policy | 27,000 | `jwt-warm` | 30,000 | 0.90 | 0.80 – 1.00 | 0.91 | 5 × 4 s |'])
  })

  it('have a column for each figure, and a dash where a row has none', () => {
    const table = figuresPart({
      direct: { p50Ms: 0.04 },
      token: { p50Ms: 0.3, addedP50Ms: 0.264, residentMiB: 1234 },
      held: { kibEach: 18 },
    })
    expect(table.split('\n')).toEqual([
      '|  | p50 ms | added p50 ms | resident MiB | KiB each |',
      '| --- | --- | --- | --- | --- |',
      '| direct | 0.04 | – | – | – |',
      '| token | 0.3 | 0.26 | 1,234 | – |',
      '| held | – | – | – | 18 |',
    ])
  })

  it('are Markdown', () => {
    expect(
      tableOf([
        ['a', 'b'],
        ['1', '2'],
      ]),
    ).toBe('| a | b |\n| --- | --- |\n| 1 | 2 |')
  })
})

describe('a part of a document', () => {
  const document = 'before\n<!-- peers: written by x -->\nold\n<!-- end of peers -->\nafter'

  it('is replaced, and nothing else', () => {
    const once = withPart(document, 'peers', 'new')
    expect(once).toBe('before\n<!-- peers: written by x -->\n\nnew\n\n<!-- end of peers -->\nafter')
    expect(withPart(once, 'peers', 'new')).toBe(once)
  })

  it('has to be there', () => {
    expect(() => withPart(document, 'costs', 'new')).toThrow('there is no part costs')
  })
})

describe('the capacity sheet', () => {
  it('multiplies what was measured, and leaves out what was not', () => {
    const facts = capacityFacts({
      sessions: {
        bytes: [{ whose: 'login', sessionsPerUser: 1, usedMemoryPerSession: 449.4 }],
        rows: [{ scenario: 'create', gatewayMicros: 500 }],
      },
      requestsPerSecond: 30_000,
    })
    expect(facts).toEqual({ sessionBytes: 449.4, createMicros: 500, requestsPerSecond: 30_000 })
    const sheet = capacityPart(facts).split('\n')
    expect(sheet).toContain('| sessions in Redis, one for each of 100 million users | 449 | 44.9 GB |')
    expect(sheet).toContain('| 1,000 new sessions/s, RS256 | 2,000/s | 0.9 |')
    expect(sheet.join('\n')).not.toMatch(/revocations|NaN|undefined/)
  })
})

describe('the plots', () => {
  it('leave out the upstream alone, and mark the gateway', () => {
    const [[name, picture] = ['', '']] = peersPlot([row('direct', 90_000), ...results.rows])
    expect(name).toBe('peers.svg')
    expect(picture).toContain('60,000')
    expect(picture).not.toContain('90,000')
    expect(picture).toContain('nginx, no authentication')
    expect(picture).not.toContain('haproxy-jwt, no authentication')
    expect(picture.match(/fill="#d9782d"/g)).toHaveLength(1)
  })

  it('show both percentiles of each way', () => {
    const picture = latencyPlot({
      'direct at 5000/s': { p50Ms: 0.05, p99Ms: 0.2 },
      'token at 5000/s': { p50Ms: 0.3, p99Ms: 1.1 },
    })
    for (const text of ['direct at 5000/s, p50', 'token at 5000/s, p99', '1.10']) expect(picture).toContain(text)
  })
})
