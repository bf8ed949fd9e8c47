import { Problem } from '../problem/problem.ts'
import type { LogSlice, Revocation, RevocationLog } from '../revocation/revocation.ts'
import type { FeedHeading } from '../services/revocations/revocations.ts'
import { factOf, headingOf, linesIn } from './feed-lines.ts'
import { basicOf } from './introspection.ts'
import type { Surroundings } from './options.ts'
import type { FeedSource, Settings } from './settings.ts'

/** What a gateway tells of the revocations of one tenant, as a log. */
export interface GatewayFeed extends RevocationLog {
  /** Whose revocations they are; undefined before all of them were told. */
  tenant(): string | undefined
  close(): void
}

export interface GatewayFeedConfig {
  readonly source: Extract<FeedSource, { readonly kind: 'gateway' }>
  readonly settings: Pick<Settings, 'fetch' | 'reachAt'>
  /** How long the gateway is asked to wait for news, milliseconds: between two answers nothing is confirmed. */
  readonly waitMs: number
}

/** Facts of one page. */
const PAGE = 2_000
/** A gateway that says nothing for so long, beyond what it was asked to wait, is away. */
const SILENCE_MS = 4_000
/** A client that is not let in would be taken for somebody who guesses, and all of its name and address with it. */
const REFUSALS: ReadonlySet<number> = new Set([401, 403, 404])
const REFUSED_MS = 10_000
/** Of a million revocations the gateway begins to tell after some seconds. */
const WHOLE_MS = 30_000
const BEAT_MS = 1_000
/** News do not come more often, so that a storm of them comes by the batch. */
const BETWEEN_MS = 25
/** Answers without news and without a wait would go round and round. */
const IDLE_MS = 250

export function createGatewayFeed(
  { monotonicMs, schedule }: Pick<Surroundings, 'monotonicMs' | 'schedule'>,
  { source, settings, waitMs }: GatewayFeedConfig,
): GatewayFeed {
  const url = `${settings.reachAt}${source.path}`
  const headers = { authorization: basicOf(source), accept: 'application/x-ndjson' }
  const underWay = new Set<AbortController>()
  /** Of whom all was told. */
  let tenant: string | undefined
  let refused: { readonly status: number; readonly untilMs: number } | undefined
  let wake: (() => void) | undefined
  let cancelWake: (() => void) | undefined
  return {
    snapshot,
    readAfter,
    // A gateway has what it told.
    restore: () => Promise.resolve(0),
    onAppend(told) {
      wake = told
      return () => {
        wake = undefined
        cancelWake?.()
      }
    },
    tenant: () => tenant,
    close() {
      wake = undefined
      cancelWake?.()
      for (const controller of underWay) controller.abort()
    },
  }

  async function* snapshot(): AsyncGenerator<LogSlice> {
    const pages = pagesOf(url, WHOLE_MS)
    for (let coming = pages.next(); ;) {
      const next = await orAfter(coming, BEAT_MS)
      // Of many the gateway needs seconds to write them down: whoever reads this is told that it is at work.
      if (next === undefined) {
        yield { position: '', revocations: [], complete: false }
        continue
      }
      if (next.done === true) return
      const { heading, revocations, isLast } = next.value
      if (heading.kind !== 'whole') throw new Error('the gateway did not answer with all revocations')
      const slice = { position: heading.position, complete: false, lagMs: heading.lagMs }
      yield { ...slice, revocations }
      if (isLast) {
        // Whoever asks for more has taken in all of them.
        tenant = heading.tenant
        await pages.return(undefined)
        goOnIn(0)
        yield { ...slice, revocations: [], complete: true }
      }
      coming = pages.next()
    }
  }

  /** Undefined when it takes longer; it is not given up then. */
  function orAfter<T>(coming: Promise<T>, delayMs: number): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const cancel = schedule(delayMs, () => resolve(undefined))
      coming.then(resolve, reject).finally(cancel)
    })
  }

  async function readAfter(position: string): Promise<LogSlice> {
    const startedMs = monotonicMs()
    const revocations: Revocation[] = []
    let heading: FeedHeading | undefined
    for await (const page of pagesOf(`${url}?after=${encodeURIComponent(position)}&wait_ms=${waitMs}`, waitMs)) {
      heading = page.heading
      revocations.push(...page.revocations)
    }
    if (heading === undefined || heading.kind === 'whole') throw new Error('the gateway did not answer what it was asked')
    // A client that is of another tenant now has been told nothing of what was revoked there before.
    const isOther = tenant !== undefined && heading.tenant !== tenant
    if (heading.kind === 'restart' || isOther) return { position, revocations: [], complete: false, isRestart: true }
    const isIdle = revocations.length === 0 && monotonicMs() - startedMs < IDLE_MS
    goOnIn(isIdle ? IDLE_MS : BETWEEN_MS)
    return { position: heading.position, revocations, complete: heading.complete, lagMs: heading.lagMs }
  }

  /** Asks again soon: the gateway is who waits for news. */
  function goOnIn(delayMs: number): void {
    cancelWake?.()
    cancelWake = schedule(delayMs, () => wake?.())
  }

  async function* pagesOf(from: string, patienceMs: number): AsyncGenerator<FeedPage> {
    const controller = new AbortController()
    underWay.add(controller)
    let cancel: (() => void) | undefined
    const hear = (longestMs: number): void => {
      cancel?.()
      cancel = schedule(longestMs, () => controller.abort(new Error('the gateway says nothing')))
    }
    try {
      hear(patienceMs + SILENCE_MS)
      const response = await ask(from, controller.signal)
      yield* pagesIn(linesIn(response, () => hear(SILENCE_MS)))
    } finally {
      cancel?.()
      underWay.delete(controller)
      // A reader that stops early lets go of the connection.
      controller.abort()
    }
  }

  async function ask(from: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    if (refused !== undefined && monotonicMs() < refused.untilMs) throw unanswered(refused.status)
    let response: Response
    try {
      response = await settings.fetch(from, { headers, redirect: 'error', signal })
    } catch (cause) {
      throw new Problem('storage_unavailable', { cause })
    }
    if (response.status === 200 && response.body !== null) return response.body
    await response.body?.cancel()
    if (REFUSALS.has(response.status)) refused = { status: response.status, untilMs: monotonicMs() + REFUSED_MS }
    throw unanswered(response.status)
  }

  async function* pagesIn(lines: AsyncIterable<unknown>): AsyncGenerator<FeedPage> {
    let heading: FeedHeading | undefined
    let revocations: Revocation[] = []
    let count = 0
    for await (const line of lines) {
      if (heading === undefined) {
        heading = headingOf(line)
        continue
      }
      const fact = factOf(line, heading.tenant)
      if (typeof fact === 'number') {
        if (fact !== count) throw new Error('the answer of the gateway lacks revocations')
        yield { heading, revocations, isLast: true }
        return
      }
      count += 1
      revocations.push(fact)
      if (revocations.length < PAGE) continue
      yield { heading, revocations, isLast: false }
      revocations = []
    }
    throw new Error('the answer of the gateway has no end')
  }
}

function unanswered(status: number): Problem {
  return new Problem('storage_unavailable', { cause: new Error(`the gateway answered with ${status}`) })
}

interface FeedPage {
  readonly heading: FeedHeading
  readonly revocations: readonly Revocation[]
  readonly isLast: boolean
}
