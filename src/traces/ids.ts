/** Ids of traces and spans (W3C Trace Context §3.2.2.3, §3.2.2.4). */
export interface Ids {
  /** The request id where it will do, so that log and trace are found by one id; else 32 digits of chance. */
  traceOf(requestId: string): string
  span(): string
}

const WORD = 2 ** 32
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/

/** @param random from 0, below 1 */
export function createIds(random: () => number): Ids {
  return { traceOf, span }

  function traceOf(requestId: string): string {
    const hex = requestId.length === 36 ? requestId.replaceAll('-', '') : requestId
    return TRACE_ID.test(hex) ? hex : span() + span()
  }

  function span(): string {
    const id = word() + word()
    return id === '0000000000000000' ? '0000000000000001' : id
  }

  function word(): string {
    return Math.floor(random() * WORD)
      .toString(16)
      .padStart(8, '0')
  }
}

/** Whether a new trace is recorded, by its id alone: all that see the id and have the same share decide alike. */
export function isSampled(traceId: string, share: number): boolean {
  return Number.parseInt(traceId.slice(-8), 16) / WORD < share
}
