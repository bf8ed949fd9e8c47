/**
 * The console: one page for operators on the admin listener, and what it shows, live.
 *
 * It looks and never touches: what operators change goes through the calls of the admin listener, which anyone may use. Nothing
 * of it is loaded from elsewhere, nothing that a client sent is ever read as markup, and while nobody watches it costs a look
 * at a few counters every five seconds.
 *
 * @module
 */
import { Problem } from '../problem/problem.ts'
import { readAssets } from './assets.ts'
import { figuresOf, trafficOf, type Metric } from './figures.ts'
import { createHistory } from './history.ts'
import { createWatchers } from './watchers.ts'

/** What one process says of itself. */
export interface ProcessPulse {
  /** Another number for each process that there ever was. */
  readonly life: number
  readonly metrics: readonly Metric[]
  /** Those that it was not asked for before, oldest first. */
  readonly refusals: readonly Refused[]
}

/** A request that was refused, and whatever else is known of it. */
export interface Refused {
  readonly seq: number
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface ConsoleNeeds {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** Asks every process for its figures and for the refusals that it was not asked for before. */
  pulses(): Promise<readonly ProcessPulse[]>
  /** How the gateway is, and its upstreams: anything that JSON can say. */
  overview(): Promise<unknown>
  /** Told of faults of ours. */
  failed(cause: unknown): void
}

export interface ConsoleAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
  readonly stream?: (send: (text: string) => void) => () => void
}

export interface Console {
  /** @returns undefined of a path that is not its own. @throws Problem */
  answer(question: { readonly method: string; readonly target: string }): ConsoleAnswer | undefined
  /** A process is gone, and will not be told of again. */
  left(life: number): void
  stop(): void
}

/** The stream of what happens, for the page and for whoever asks. */
const EVENTS = '/events'
const WATCHED_MS = 1000
const UNWATCHED_MS = 5000
const REFUSALS = 200

export function createConsole(needs: ConsoleNeeds): Console {
  const assets = readAssets()
  const history = createHistory(needs.nowMs())
  const watchers = createWatchers()
  let refusals: readonly Refused[] = []
  let figures: unknown
  let overview: unknown
  let beating: Promise<void> | undefined
  let cancel = needs.schedule(UNWATCHED_MS, beatAlone)
  let isStopped = false
  return { answer, left: history.left, stop }

  function answer({ method, target }: { readonly method: string; readonly target: string }): ConsoleAnswer | undefined {
    const [path = ''] = target.split('?', 1)
    if (path === EVENTS) {
      if (method !== 'GET') throw new Problem('method_not_allowed', { headers: { allow: 'GET' } })
      return watchers.open(greet)
    }
    const asset = assets.get(path)
    if (asset === undefined) return undefined
    if (method !== 'GET' && method !== 'HEAD') throw new Problem('method_not_allowed', { headers: { allow: 'GET, HEAD' } })
    return asset
  }

  /** All there is, for one who has just come. */
  async function greet(): Promise<string> {
    // One that is under way may have begun while nobody watched, and have left out what costs more.
    await beating
    await beat()
    return event('all', { ...present(), points: history.points(), refusals })
  }

  function present() {
    return { now: needs.nowMs(), minute: history.minute(), figures, overview }
  }

  function beatAlone(): void {
    void beat()
  }

  function beat(): Promise<void> {
    beating ??= collect()
      .catch(needs.failed)
      .finally(() => {
        beating = undefined
        plan()
      })
    return beating
  }

  function plan(): void {
    cancel()
    if (!isStopped) cancel = needs.schedule(watchers.count() > 0 ? WATCHED_MS : UNWATCHED_MS, beatAlone)
  }

  async function collect(): Promise<void> {
    const isWatched = watchers.count() > 0
    const [pulses, seen] = await Promise.all([
      needs.pulses(),
      // A gateway that cannot say how it is, is shown as one that does not.
      isWatched ? needs.overview().catch(() => undefined) : undefined,
    ])
    for (const { life, metrics } of pulses) history.take(life, trafficOf(metrics))
    history.close(needs.nowMs())
    const news = pulses.flatMap(({ life, refusals: since }) => since.map((one) => ({ ...one, id: `${life}-${one.seq}` })))
    refusals = [...refusals, ...news].toSorted((one, other) => one.at - other.at).slice(-REFUSALS)
    if (!isWatched) return
    figures = figuresOf(pulses.map(({ metrics }) => metrics))
    overview = seen
    // The last but one may have been open when it was told of.
    watchers.tell(event('beat', { ...present(), points: history.points().slice(-2), refusals: news }))
  }

  function stop(): void {
    isStopped = true
    cancel()
  }
}

/** HTML Standard §9.2: JSON has no line breaks of its own. */
function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
