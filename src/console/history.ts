import { difference, NO_COUNTS, rowOf, sum, type Counts, type Row } from './counts.ts'

/** What a process has counted since it began, by route. */
export type Traffic = ReadonlyMap<string, Counts>

/** Some seconds of traffic. */
export interface Point {
  /** When it began, milliseconds since 1970; a multiple of the width. */
  readonly at: number
  /** How much of it is covered; more than the width where nobody looked for longer. */
  readonly seconds: number
  readonly all: Row
  /** Routes that had any, the busiest ones. */
  readonly routes: Readonly<Record<string, Row>>
}

export interface History {
  /** What a process has counted up to now; what is more than the last time belongs to now. */
  take(life: number, traffic: Traffic): void
  /** All processes were heard. @param nowMs milliseconds since 1970 */
  close(nowMs: number): void
  /** A process is gone: its counts are kept, its last are forgotten. */
  left(life: number): void
  /** Oldest first; the last one is still open. */
  points(): readonly Point[]
  /** The last minute as one. */
  minute(): Omit<Point, 'at'>
}

const WIDTH_MS = 5000
/** 15 minutes. */
const KEPT = 180
const MINUTE = 12
/** Of a point. Sums hold all of them. */
const ROUTES = 64

interface Open {
  readonly at: number
  seconds: number
  readonly routes: Map<string, Counts>
}

/**
 * The last 15 minutes, made of differences between counters: nothing is done while a request runs.
 *
 * @param startedMs where the first difference begins
 */
export function createHistory(startedMs: number): History {
  const last = new Map<number, Traffic>()
  const closed: Point[] = []
  const recent: Open[] = []
  let heard = new Map<string, Counts>()
  let beforeMs = startedMs
  let open: Open | undefined
  return { take, close, left, points, minute }

  function take(life: number, traffic: Traffic): void {
    const before = last.get(life)
    for (const [route, counts] of traffic) {
      const known = before?.get(route) ?? NO_COUNTS
      // Of many routes few have had a request since.
      if (counts.requests !== known.requests) add(heard, route, difference(counts, known))
    }
    last.set(life, traffic)
  }

  function close(nowMs: number): void {
    // A clock that was set back: what was heard is of now.
    const elapsedMs = Math.max(nowMs - beforeMs, 0)
    const at = Math.floor((nowMs - elapsedMs / 2) / WIDTH_MS) * WIDTH_MS
    if (open !== undefined && open.at !== at) {
      closed.push(pointOf(open))
      if (closed.length >= KEPT) closed.shift()
      recent.push(open)
      if (recent.length > MINUTE) recent.shift()
      open = undefined
    }
    open ??= { at, seconds: 0, routes: new Map() }
    open.seconds += elapsedMs / 1000
    for (const [route, counts] of heard) add(open.routes, route, counts)
    heard = new Map()
    beforeMs = nowMs
  }

  function left(life: number): void {
    last.delete(life)
  }

  function points(): readonly Point[] {
    return open === undefined ? closed : [...closed, pointOf(open)]
  }

  function minute(): Omit<Point, 'at'> {
    const whole: Open = { at: 0, seconds: 0, routes: new Map() }
    for (const { seconds, routes } of open === undefined ? recent : [...recent, open]) {
      whole.seconds += seconds
      for (const [route, counts] of routes) add(whole.routes, route, counts)
    }
    const { at: _, ...point } = pointOf(whole)
    return point
  }
}

function add(into: Map<string, Counts>, route: string, counts: Counts): void {
  if (counts.requests > 0) into.set(route, sum(counts, into.get(route) ?? NO_COUNTS))
}

function pointOf({ at, seconds, routes }: Open): Point {
  const all = [...routes.values()].reduce(sum, NO_COUNTS)
  const busiest = [...routes].toSorted(([, one], [, other]) => other.requests - one.requests).slice(0, ROUTES)
  return { at, seconds, all: rowOf(all), routes: Object.fromEntries(busiest.map(([name, counts]) => [name, rowOf(counts)])) }
}
