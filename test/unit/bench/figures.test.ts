import { describe, expect, it } from 'vitest'
import { ratiosOf, rowOf } from '../../../bench/rig/figures.ts'
import { gradeRatios, regraded } from '../../../bench/rig/grade.ts'
import { rotated } from '../../../bench/rig/rounds.ts'

const round = (perSecond: number, cpuMicros = 10) => {
  return { requests: perSecond, perSecond, p50Ms: 1, p99Ms: 2, cpuMicros, cpuShare: 1, errors: 0 }
}
const subject = (name: string) => ({ name, title: name, accessLog: false, verifies: true })
const of = (name: string, rates: readonly number[], micros?: number) => {
  return { subject: subject(name), rounds: rates.map((rate) => round(rate, micros)), residentMiB: 20.4 }
}
const ratio = (value: number, name = 'jwt-warm') => ({
  of: name,
  to: 'haproxy',
  ratio: value,
  least: value,
  most: value,
  cpuRatio: value,
})

describe('a row', () => {
  it('has the median, the least and the most of its rounds', () => {
    expect(rowOf({ ...of('nginx', [100, 300, 200]), version: '1.22.1' })).toEqual({
      name: 'nginx',
      title: 'nginx',
      perSecond: 200,
      least: 100,
      most: 300,
      p50Ms: 1,
      p99Ms: 2,
      cpuMicros: 10,
      cpuShare: 1,
      residentMiB: 20,
      errors: 0,
      accessLog: false,
      verifies: true,
      version: '1.22.1',
    })
  })
})

describe('ratios', () => {
  it('are taken within rounds, so that a machine that slows down changes none', () => {
    const measured = [of('jwt-warm', [200, 100, 50], 5), of('haproxy', [100, 50, 25], 10)]
    expect(ratiosOf(measured, [['jwt-warm', 'haproxy']])).toEqual([
      { of: 'jwt-warm', to: 'haproxy', ratio: 2, least: 2, most: 2, cpuRatio: 2 },
    ])
  })

  it('leave out whom nobody measured', () => {
    expect(ratiosOf([of('jwt-warm', [1])], [['jwt-warm', 'haproxy']])).toEqual([])
  })
})

describe('a comparison with the base line', () => {
  it('takes a tenth less and not more', () => {
    const verdicts = [2.0, 1.8, 1.79, 2.4].map((now) => gradeRatios([ratio(2)], [ratio(now)])[0]?.verdict)
    expect(verdicts).toEqual(['fine', 'fine', 'slower', 'fine'])
  })

  it('says how much it changed', () => {
    expect(gradeRatios([ratio(2)], [ratio(1.5)])).toEqual([
      { of: 'jwt-warm', to: 'haproxy', before: 2, now: 1.5, changePercent: -25, verdict: 'slower' },
    ])
  })

  it('says what was not measured, and what is new', () => {
    expect(gradeRatios([ratio(2)], [ratio(1, 'jwt-cold')])).toEqual([
      { of: 'jwt-warm', to: 'haproxy', before: 2, verdict: 'not measured' },
      { of: 'jwt-cold', to: 'haproxy', now: 1, verdict: 'new' },
    ])
  })
})

describe('a second measurement', () => {
  it('counts for what it measured, and for nothing else', () => {
    const baseline = [ratio(2), ratio(2, 'jwt-cold')]
    const first = gradeRatios(baseline, [ratio(1), ratio(2, 'jwt-cold')])
    const second = gradeRatios(baseline, [ratio(1.95)])
    expect(regraded(first, second).map(({ of, verdict }) => [of, verdict])).toEqual([
      ['jwt-warm', 'fine'],
      ['jwt-cold', 'fine'],
    ])
    expect(regraded(first, [])).toEqual(first)
  })
})

describe('the order of a round', () => {
  it('gives everyone every place', () => {
    const orders = [0, 1, 2, 3].map((by) => rotated(['a', 'b', 'c'], by).join(''))
    expect(orders).toEqual(['abc', 'bca', 'cab', 'abc'])
    expect(rotated([], 3)).toEqual([])
  })
})
