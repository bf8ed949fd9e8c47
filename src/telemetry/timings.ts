import { NONE } from './names.ts'
import { Histogram, type Registry } from './prom.ts'
import type { Label } from './tally.ts'

/** A histogram with at most one label. */
export interface Timings {
  observe(seconds: number, label?: string): void
}

export interface TimingsConfig {
  readonly name: string
  readonly help: string
  /** Upper ends of the buckets, seconds, rising. */
  readonly buckets: readonly number[]
  readonly label?: Label | undefined
  readonly registry: Registry
}

/** What was observed under one value of the label. */
interface Series {
  readonly labels: Readonly<Record<string, string>>
  /** By bucket, and at the end what is above them all. */
  readonly counts: Float64Array
  sum: number
}

/**
 * A histogram whose observations cost a look-up and a few comparisons: the one of prom-client, which stands for it in the
 * registry and is asked for its text, takes ten times as long for each.
 */
export function createTimings({ name, help, buckets, label, registry }: TimingsConfig): Timings {
  const known = new Map<string, Series>()
  const bounded = new Map<string, Series>()
  const labelNames = label === undefined ? [] : [label.name]
  const histogram = new Histogram({ name, help, buckets: [...buckets], labelNames, registers: [registry] })
  // The one place where its values are taken from, as text and as JSON alike.
  Object.assign(histogram, {
    getForPromString: () => Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values: read() }),
  })
  if (label === undefined) seriesOf(NONE)
  return { observe }

  function observe(seconds: number, value: string = NONE): void {
    const series = known.get(value) ?? seriesOf(value)
    // A clock that went backwards is no reason to fail a request.
    const finite = seconds > 0 && seconds < Number.POSITIVE_INFINITY ? seconds : 0
    let index = 0
    while (index < buckets.length && finite > (buckets[index] ?? 0)) index += 1
    series.counts[index] = (series.counts[index] ?? 0) + 1
    series.sum += finite
  }

  function seriesOf(value: string): Series {
    const text = label === undefined ? NONE : label.bound(value)
    let series = bounded.get(text)
    if (series === undefined) {
      series = { labels: label === undefined ? {} : { [label.name]: text }, counts: new Float64Array(buckets.length + 1), sum: 0 }
      bounded.set(text, series)
    }
    // A value that is not of the bounded set makes no entry.
    if (text === value || label === undefined) known.set(value, series)
    return series
  }

  function read(): readonly object[] {
    return [...bounded.values()].flatMap(({ labels, counts, sum }) => {
      let count = 0
      const sharedLabels = labels
      const upTo = [...buckets, '+Inf'].map((le, index) => {
        count += counts[index] ?? 0
        return { labels: { le }, sharedLabels, value: count, metricName: `${name}_bucket`, exemplar: null }
      })
      return [
        ...upTo,
        { labels: {}, sharedLabels, value: sum, metricName: `${name}_sum` },
        { labels: {}, sharedLabels, value: count, metricName: `${name}_count` },
      ]
    })
  }
}
