import type { HeaderRules } from '../exchange/exchange.ts'
import { interimFields, type ResponseHeaders } from './answer-headers.ts'
import type { HttpIo } from './upstream.ts'

/** Answers before the final one (RFC 9110 §15.2). */
export interface Interims {
  /** Passes one on, where clients have a use for it, and only so much of them. */
  pass(status: number, headers: ResponseHeaders): void
}

/** Most that is passed on before the final answer: it is written whether the client takes it or not. */
const MOST_BYTES = 256 * 1024

export function createInterims({ req, res }: HttpIo, rules: HeaderRules): Interims {
  let bytes = 0
  return { pass }

  function pass(status: number, headers: ResponseHeaders): void {
    if (req.httpVersion === '1.0' || (status !== 102 && status !== 103)) return
    const given = interimFields(headers, rules)
    for (const text of given) bytes += text.length
    if (bytes <= MOST_BYTES) res.writeInformation(status, given)
  }
}
