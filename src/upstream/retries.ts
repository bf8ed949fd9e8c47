import type { Readable } from 'node:stream'
import type { RetriesConfig, RetryReason } from '../config/config.ts'

/** Which requests of an upstream are sent again, and how soon. */
export interface Retries {
  /** A request is sent for the first time: it adds its share to the budget. */
  deposit(): void
  /** Whether one more attempt may be made; takes it from the budget. `attempts`: those beyond the first one so far. */
  spend(reason: RetryReason, attempts: number): boolean
  /** How long to wait before the attempt that was just allowed, milliseconds. */
  backOffMs(attempts: number): number
}

export interface RetriesNeeds {
  monotonicMs(): number
  /** From 0, below 1. */
  random(): number
  /** A request is sent again, or would have been, had there been a budget. */
  retried(reason: RetryReason | 'over_budget'): void
}

/** RFC 9110 §9.2.2; TRACE is never forwarded. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const REASON_OF_STATUS: ReadonlyMap<number, RetryReason> = new Map([
  [502, '502'],
  [503, '503'],
  [504, '504'],
])

/** So many attempts are there for an upstream that is seldom asked: these at first, and one more each second. */
const RESERVE = 10
/** Most that is saved up. */
const MOST_SAVED = 100
const BACK_OFF_MS = 10
const MOST_BACK_OFF_MS = 250

/** Whether sending a request twice has the effect of sending it once, and whether there is all of it to send again. */
export function isRepeatable(method: string, bodyLength: number | undefined): boolean {
  return bodyLength === 0 && IDEMPOTENT.has(method)
}

/** Whether no server has seen anything of the request, and all of its body is still there: then whatever it is may be sent. */
export function isUnseen(reason: RetryReason, body: Readable | undefined): boolean {
  return reason === 'connect' && (body === undefined || !(body.readableDidRead || body.destroyed))
}

/** The reason that a status is: of a gateway that could not reach what is behind it, or does not want to. */
export function reasonOfStatus(status: number): RetryReason | undefined {
  return status < 500 ? undefined : REASON_OF_STATUS.get(status)
}

/** A token bucket that requests fill and retries empty: however much fails, the load grows by no more than the budget. */
export function createRetries(needs: RetriesNeeds, { attempts: most, budget, on }: RetriesConfig): Retries {
  let saved = RESERVE
  let filledMs = needs.monotonicMs()
  return { deposit, spend, backOffMs }

  function deposit(): void {
    if (saved < MOST_SAVED) saved += budget
  }

  function spend(reason: RetryReason, attempts: number): boolean {
    if (attempts >= most || !on.has(reason)) return false
    refill()
    if (saved < 1 || budget === 0) {
      needs.retried('over_budget')
      return false
    }
    saved -= 1
    needs.retried(reason)
    return true
  }

  function refill(): void {
    const nowMs = needs.monotonicMs()
    if (saved < RESERVE) saved = Math.min(RESERVE, saved + (nowMs - filledMs) / 1000)
    filledMs = nowMs
  }

  /** Full jitter: those that failed together do not come back together. */
  function backOffMs(attempts: number): number {
    return needs.random() * Math.min(MOST_BACK_OFF_MS, BACK_OFF_MS * 2 ** attempts)
  }
}
