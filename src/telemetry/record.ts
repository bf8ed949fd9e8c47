import type { Arrived, Authenticated, LiveEnd, Permitted, Routed, Unrevoked } from '../exchange/exchange.ts'
import type { Problem } from '../problem/problem.ts'

/** A request at whichever step it has reached. */
export type Exchange = Arrived | Routed | Authenticated | Unrevoked | Permitted

/** What the pipeline notes while a request runs: one mutable record a request, written by the pipeline only. */
export interface RequestRecord {
  /** The furthest step reached. */
  exchange: Exchange
  problem: Problem | undefined
  /** 0 until known. */
  status: number
  /** Fields that the answer will have, whoever writes it: name in lower case, value, name, value … */
  announced: readonly string[] | undefined
  bytesIn: number
  bytesOut: number
  /** Name of the upstream, never its address. */
  upstream: string | undefined
  /** Until the head of the upstream's answer. */
  upstreamMs: number
  /** The client went away, or the answer was cut short. */
  aborted: boolean
  /** Why the gateway ended it, where its token did not last. */
  ended: LiveEnd | undefined
  /** It was counted and logged. */
  isClosed: boolean
}
