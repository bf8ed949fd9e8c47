import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { NO_COUNTS, quantileMs, type Counts } from '../../../src/console/counts.ts'
import { createHistory } from '../../../src/console/history.ts'

const START = 1_700_000_000_000

function counts(requests: number, facts: Partial<Counts> = {}): Counts {
  return { ...NO_COUNTS, requests, ...facts }
}

/** `count` requests, all of the same length. */
function lasting(seconds: number, count: number): Counts {
  const bounds = [0.001, 0.01, 0.1, 1, Number.POSITIVE_INFINITY]
  return counts(count, { durations: new Map(bounds.map((bound) => [bound, seconds <= bound ? count : 0])) })
}

describe('the history', () => {
  it('has what came to the counters since the last look, in steps of five seconds', () => {
    const history = createHistory(START)
    history.take(0, new Map([['orders', counts(10, { refused: 2, failed: 1 })]]))
    history.close(START + 4000)
    history.take(0, new Map([['orders', counts(25, { refused: 2, failed: 4 })]]))
    history.close(START + 9000)
    expect(history.points()).toEqual([
      { at: START, seconds: 4, all: [10, 2, 1, null, null], routes: { orders: [10, 2, 1, null, null] } },
      { at: START + 5000, seconds: 5, all: [15, 0, 3, null, null], routes: { orders: [15, 0, 3, null, null] } },
    ])
  })

  it('gathers several looks of one step', () => {
    const history = createHistory(START)
    for (let second = 1; second <= 5; second += 1) {
      history.take(0, new Map([['a', counts(second * 3)]]))
      history.close(START + second * 1000)
    }
    expect(history.points()).toEqual([
      { at: START, seconds: 5, all: [15, 0, 0, null, null], routes: { a: [15, 0, 0, null, null] } },
    ])
  })

  it('leaves out routes without traffic, and adds the others up', () => {
    const history = createHistory(START)
    history.take(
      0,
      new Map([
        ['a', counts(3)],
        ['b', counts(0)],
        ['c', counts(4, { failed: 4 })],
      ]),
    )
    history.close(START + 1000)
    expect(history.points()).toMatchObject([
      { all: [7, 0, 4, null, null], routes: { a: [3, 0, 0, null, null], c: [4, 0, 4, null, null] } },
    ])
    expect(Object.keys(history.points()[0]?.routes ?? {})).toEqual(['c', 'a'])
  })

  it('adds up processes, whose counters begin at nothing, and forgets those that are gone', () => {
    const history = createHistory(START)
    history.take(1, new Map([['a', counts(100)]]))
    history.take(2, new Map([['a', counts(50)]]))
    history.close(START + 5000)
    history.left(1)
    history.take(2, new Map([['a', counts(60)]]))
    history.take(3, new Map([['a', counts(7)]]))
    history.close(START + 10_000)
    expect(history.points().map(({ all }) => all[0])).toEqual([150, 17])
  })

  it('shows no traffic where a counter was set back', () => {
    const history = createHistory(START)
    history.take(0, new Map([['a', counts(100)]]))
    history.close(START + 5000)
    history.take(0, new Map([['a', counts(3)]]))
    history.close(START + 10_000)
    expect(history.points().map(({ all }) => all[0])).toEqual([100, 0])
  })

  it('keeps 15 minutes and the step that is open, and of a step the 64 busiest routes', () => {
    const history = createHistory(START)
    const routes = Array.from({ length: 100 }, (_, index): [string, Counts] => [`r${index}`, counts(index + 1)])
    history.take(0, new Map(routes))
    for (let step = 1; step <= 400; step += 1) history.close(START + step * 5000)
    expect(history.points()).toHaveLength(180)
    expect(history.points().at(-1)?.at).toBe(START + 399 * 5000)
    const other = createHistory(START)
    other.take(0, new Map(routes))
    other.close(START + 1000)
    expect(Object.keys(other.points()[0]?.routes ?? {})).toEqual(Array.from({ length: 64 }, (_, index) => `r${99 - index}`))
    expect(other.points()[0]?.all[0]).toBe(5050)
  })

  it('has the last minute as one, with its own quantiles', () => {
    const history = createHistory(START)
    history.take(0, new Map([['a', lasting(0.5, 100)]]))
    history.close(START + 5000)
    for (let step = 2; step <= 20; step += 1) {
      history.take(
        0,
        new Map([
          ['a', lasting(0.5, 100)],
          ['b', lasting(0.005, step * 10)],
        ]),
      )
      history.close(START + step * 5000)
    }
    const { seconds, all, routes } = history.minute()
    expect([seconds, all[0], Object.keys(routes)]).toEqual([65, 130, ['b']])
    expect([all[3], all[4]]).toEqual([5.5, 9.91])
  })

  it('counts every request once, however the looks fall', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20_000), fc.nat(50)), { maxLength: 100 }), (looks) => {
        const history = createHistory(START)
        let [now, total] = [START, 0]
        for (const [elapsed, came] of looks) {
          now += elapsed
          total += came
          history.take(0, new Map([['a', counts(total)]]))
          history.close(now)
        }
        const points = history.points()
        const seconds = points.reduce((sum, point) => sum + point.seconds, 0)
        expect(points.reduce((sum, point) => sum + point.all[0], 0)).toBe(total)
        expect(seconds).toBeCloseTo((now - START) / 1000, 3)
        expect(points.map(({ at }) => at)).toEqual(points.map(({ at }) => at).toSorted((one, other) => one - other))
      }),
    )
  })
})

describe('a quantile', () => {
  const durations = (pairs: readonly (readonly [number, number])[]) => new Map(pairs)

  it.each([
    ['nothing', [], 0.5, null],
    [
      'nothing that was counted',
      [
        [1, 0],
        [Number.POSITIVE_INFINITY, 0],
      ],
      0.5,
      null,
    ],
    [
      'the middle of a bucket',
      [
        [0.1, 0],
        [0.2, 10],
        [Number.POSITIVE_INFINITY, 10],
      ],
      0.5,
      150,
    ],
    [
      'the first bucket',
      [
        [0.1, 10],
        [Number.POSITIVE_INFINITY, 10],
      ],
      0.5,
      50,
    ],
    [
      'what is longer than the last bound',
      [
        [0.1, 0],
        [2, 1],
        [Number.POSITIVE_INFINITY, 100],
      ],
      0.99,
      2000,
    ],
  ] as const)('of %s', (_, pairs, share, expected) => {
    expect(quantileMs(durations(pairs), share)).toBe(expected)
  })

  it('never falls when the share grows, and lies within the bounds', () => {
    const steps = fc.array(fc.nat(100), { minLength: 5, maxLength: 5 })
    fc.assert(
      fc.property(
        steps,
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        fc.double({ min: 0, max: 0.01, noNaN: true }),
        (many, share, more) => {
          let sum = 0
          const made = new Map(
            [0.01, 0.1, 1, 10, Number.POSITIVE_INFINITY].map((bound, index) => [bound, (sum += many[index] ?? 0)]),
          )
          const [low, high] = [quantileMs(made, share), quantileMs(made, share + more)]
          if (low === null || high === null) return expect(sum).toBe(0)
          expect(high).toBeGreaterThanOrEqual(low)
          expect(low).toBeGreaterThanOrEqual(0)
          expect(high).toBeLessThanOrEqual(10_000)
        },
      ),
    )
  })
})
