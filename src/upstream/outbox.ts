import type { AnswerMessage } from '../exchange/exchange.ts'

/** What ends an answer, and is all of its body. */
export interface Outbox {
  /** @param left called once it was handed to the client's connection */
  leave(res: AnswerMessage, text: string, left: () => void): void
}

/** A body up to this leaves as text, an octet each character: in one string with its head, which takes one plain write. */
export const SMALL_BYTES = 8 * 1024

interface Leaving {
  readonly res: AnswerMessage
  readonly text: string
  readonly left: () => void
}

/**
 * Has small answers leave together, at the end of the turn of the event loop in which they came. Ending one goes through much code:
 * one after the other each step of it is still in the caches of the processor, and whoever reads them is woken up once.
 */
export function createOutbox(needs: { endOfTurn(run: () => void): void }): Outbox {
  let leaving: Leaving[] = []
  return { leave }

  function leave(res: AnswerMessage, text: string, left: () => void): void {
    if (leaving.length === 0) needs.endOfTurn(flush)
    leaving.push({ res, text, left })
  }

  function flush(): void {
    const all = leaving
    leaving = []
    for (const { res, text, left } of all) {
      try {
        if (!res.destroyed) res.end(text, 'latin1')
      } catch {
        // It cannot be written, which its client has to see, and which must not keep those behind it.
        res.destroy()
      }
      left()
    }
  }
}

const NOW = Promise.resolve()

/** As a microtask. Of Node's own way to say so the greater part is for those who trace what is asynchronous. */
export function soon(run: () => void): void {
  void NOW.then(run)
}
