/** A request that fell into a bucket of a histogram. */
export interface Exemplar {
  readonly traceId: string
  readonly seconds: number
  readonly atMs: number
}

/** Of the requests whose trace is recorded the last in each bucket, by route: from a plot to a trace. */
export interface Exemplars {
  /** @param route a bounded label */
  note(route: string, exemplar: Exemplar): void
  /** Whether there is any. */
  isEmpty(): boolean
  /** What stands behind the sample of a bucket; empty where there is none. */
  of(route: string, bucket: string): string
  list(): readonly PlacedExemplar[]
  /** Takes those of another process: the latest stays. */
  add(placed: PlacedExemplar): void
}

export interface PlacedExemplar extends Exemplar {
  readonly route: string
  readonly bucket: string
}

/** @param bounds upper ends of the buckets, rising */
export function createExemplars(bounds: readonly number[]): Exemplars {
  const routes = new Map<string, Map<string, Exemplar>>()
  return { note, isEmpty: () => routes.size === 0, of, list, add }

  function note(route: string, exemplar: Exemplar): void {
    bucketsOf(route).set(String(bounds.find((bound) => exemplar.seconds <= bound) ?? '+Inf'), exemplar)
  }

  function add({ route, bucket, traceId, seconds, atMs }: PlacedExemplar): void {
    const buckets = bucketsOf(route)
    if (atMs >= (buckets.get(bucket)?.atMs ?? 0)) buckets.set(bucket, { traceId, seconds, atMs })
  }

  function bucketsOf(route: string): Map<string, Exemplar> {
    let buckets = routes.get(route)
    if (buckets === undefined) {
      buckets = new Map()
      routes.set(route, buckets)
    }
    return buckets
  }

  function list(): readonly PlacedExemplar[] {
    return [...routes].flatMap(([route, buckets]) => [...buckets].map(([bucket, one]) => ({ route, bucket, ...one })))
  }

  function of(route: string, bucket: string): string {
    const exemplar = routes.get(route)?.get(bucket)
    if (exemplar === undefined) return ''
    return ` # {trace_id="${exemplar.traceId}"} ${exemplar.seconds} ${exemplar.atMs / 1000}`
  }
}
