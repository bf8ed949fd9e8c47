/** What tokens of a broken issuer have to meet, and whether they did. */
import { MIN_INTERVAL_MS, REFRESH_MS, STALE_FOR_MS, TIMEOUT_MS, type Scene, type Use } from './issuers-stage.ts'
import type { Issuer } from './support-issuers.ts'

/** Moments of a run by `performance.now()`. */
export interface Times {
  readonly calmMs: number
  readonly begunMs: number
  readonly endedMs: number
  /** Since then tokens of this issuer pass that were not seen before. */
  readonly recoveredMs: number
  /** Since then those of all do. */
  readonly wellMs: number
  readonly overMs: number
}

/** How much later than the bound a gateway may have fetched what an issuer wrote, and be answering still. */
export const SLACK_MS = TIMEOUT_MS + 500
/** What was asked for this long before the fault was answered before it. */
const EDGE_MS = 300

export interface Verdict {
  readonly wrongAccepts: number
  readonly goodFailed: number
  /** Each of them. */
  readonly wrong: readonly string[]
}

export function judge(scene: Scene, times: Times): Verdict {
  const { trouble, uses } = scene
  const letIn = uses.filter((use) => use.answer.status === 200 && mustNotPass(scene, use, times))
  const keptOut = uses.filter((use) => use.answer.status !== 200 && mustPass(scene, use, times))
  const tell = (why: string) => (use: Use) =>
    `${trouble.fault}: ${why} ${use.what} at ${(use.answer.sentMs - times.begunMs).toFixed(0)} ms: ${use.answer.status} ${use.answer.error}`
  return {
    wrongAccepts: letIn.length,
    goodFailed: keptOut.length,
    wrong: [...letIn.map(tell('let in')), ...keptOut.map(tell('kept out'))],
  }
}

function mustNotPass({ trouble, issuer }: Scene, { kind, answer }: Use, { begunMs, endedMs }: Times): boolean {
  if (kind === 'must not pass') return true
  const { sentMs, doneMs } = answer
  if (kind === 'new key') return doneMs < begunMs
  if (doneMs >= endedMs || sentMs < begunMs || trouble.keys === 'serves') return false
  if (trouble.keys === 'lost') return sentMs > (issuer.fetches.findLast((ms) => ms < begunMs) ?? 0) + STALE_FOR_MS + SLACK_MS
  return issuer.fetches.some((fetchedMs) => fetchedMs > begunMs && sentMs > fetchedMs + SLACK_MS)
}

function mustPass({ trouble, issuer }: Scene, { kind, answer }: Use, { begunMs, endedMs, recoveredMs }: Times): boolean {
  const { sentMs, doneMs } = answer
  const fetchedMs = issuer.fetches.find((ms) => ms > begunMs)
  if (kind === 'must not pass') return false
  if (kind === 'new key') return fetchedMs !== undefined && sentMs > fetchedMs + SLACK_MS && doneMs < endedMs
  if (trouble.keys === 'serves' || doneMs < begunMs || sentMs > recoveredMs) return true
  if (trouble.keys === 'lost') return doneMs < lastGoodMs(issuer, begunMs) + STALE_FOR_MS
  return fetchedMs === undefined || doneMs < fetchedMs
}

/** A fetch that was surely answered before the fault: what came of it serves for `staleFor` from then on. */
function lastGoodMs({ fetches }: Issuer, begunMs: number): number {
  return fetches.findLast((ms) => ms < begunMs - EDGE_MS) ?? 0
}

/** Whether the load had a chance to show what the fault does. */
export function wasFelt({ trouble, issuer, uses }: Scene, times: Times): boolean {
  const within = uses.filter(({ answer }) => answer.sentMs > times.begunMs && answer.doneMs < times.endedMs)
  const was = (kind: Use['kind'], passed: boolean): boolean =>
    within.some((use) => use.kind === kind && (use.answer.status === 200) === passed)
  if (trouble.keys === 'serves') return was('good', true) && issuer.fetches.some((ms) => ms > times.begunMs && ms < times.endedMs)
  return was('good', false) && was(trouble.keys === 'lost' ? 'good' : 'new key', true)
}

/** One each `refresh`, with its jitter, and for tokens that no known key signed two and then one each `minInterval`. */
export function tooManyFetches({ issuer }: Scene): string | undefined {
  const { fetches } = issuer
  const lastedMs = (fetches.at(-1) ?? 0) - (fetches[0] ?? 0)
  const most = Math.ceil(lastedMs / (REFRESH_MS * 0.9)) + 3 + Math.ceil(lastedMs / MIN_INTERVAL_MS)
  return fetches.length <= most ? undefined : `${issuer.name}: ${fetches.length} fetches in ${lastedMs.toFixed(0)} ms`
}
