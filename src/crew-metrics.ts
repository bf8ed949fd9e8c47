/**
 * The metrics of several processes as those of one: what was counted is added up, what is measured is what it means for the whole.
 *
 * @module
 */
import { asSnapshot, foldCounters, mergeSnapshots, type Snapshot } from './telemetry/telemetry.ts'
import type { Answered } from './workers/workers.ts'

export interface CrewMetrics {
  /** Of all processes that there are, and the counts of those that were. */
  scrape(accept?: string): Promise<{ readonly contentType: string; readonly body: string }>
  /** Takes what a worker says of itself. */
  note(life: number, body: unknown): void
  /** It is gone, and whoever takes its place begins at zero. */
  left(life: number): void
}

/** A worker that is so busy is shown as it was. */
const SCRAPE_MS = 2_000

export function createCrewMetrics(
  own: () => Promise<Snapshot>,
  askAll: (timeoutMs: number) => Promise<readonly Answered[]>,
): CrewMetrics {
  /** The last that is known of each. */
  const latest = new Map<number, Snapshot>()
  /** An answer may be read when the one who gave it is gone already. */
  const ended = new Set<number>()
  let gone: readonly Snapshot[] = []
  /** Scrapes follow one another: with two at once a sum could be older than the one before it. */
  let scraping: Promise<unknown> = Promise.resolve()
  return { scrape, note, left }

  function scrape(accept?: string): Promise<{ contentType: string; body: string }> {
    const next = scraping.then(() => collect(accept))
    scraping = next.catch(() => undefined)
    return next
  }

  async function collect(accept: string | undefined): Promise<{ contentType: string; body: string }> {
    const [primary, answers] = await Promise.all([own(), askAll(SCRAPE_MS)])
    for (const { life, body } of answers) note(life, body)
    if (gone.length > 1) {
      const folded = gone
      const sum = await foldCounters(folded)
      // Another one may have left meanwhile.
      gone = [sum, ...gone.slice(folded.length)]
    }
    return mergeSnapshots([primary, ...gone, ...latest.values()], accept)
  }

  function note(life: number, body: unknown): void {
    const snapshot = asSnapshot(body)
    if (snapshot !== undefined && !ended.has(life)) latest.set(life, snapshot)
  }

  function left(life: number): void {
    ended.add(life)
    const last = latest.get(life)
    latest.delete(life)
    // Its gauges are of a process that is no more.
    if (last !== undefined) gone = [...gone, last.filter(({ type }) => type !== 'gauge')]
  }
}
