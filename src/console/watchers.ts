import { Problem } from '../problem/problem.ts'
import type { ConsoleAnswer } from './console.ts'

export interface Watchers {
  /** One more, who is greeted first; the stream of the answer has to be opened. @throws Problem `overloaded` where there are too many */
  open(greet: () => Promise<string>): ConsoleAnswer
  tell(text: string): void
  /** Those who are greeted at present are among them. */
  count(): number
}

/** Pages that are open at once: operators, not clients. */
const MOST = 16
const FULL = { description: 'Too many consoles are open. Close one.', headers: { 'retry-after': '5' } } as const
/** What proxies are not to hold back. */
const HEADERS = { 'x-accel-buffering': 'no' } as const

export function createWatchers(): Watchers {
  const greeted = new Set<(text: string) => void>()
  let count = 0
  return { open, tell, count: () => count }

  function open(greet: () => Promise<string>): ConsoleAnswer {
    if (count >= MOST) throw new Problem('overloaded', FULL)
    // From here on: many who come at once are counted before the first of them is answered.
    count += 1
    return { status: 200, contentType: 'text/event-stream; charset=utf-8', body: '', headers: HEADERS, stream }

    function stream(send: (text: string) => void): () => void {
      let isGone = false
      void welcome()
      return function leave() {
        if (isGone) return
        isGone = true
        count -= 1
        greeted.delete(send)
      }

      async function welcome(): Promise<void> {
        const greeting = await greet()
        if (isGone) return
        send(greeting)
        greeted.add(send)
      }
    }
  }

  function tell(text: string): void {
    for (const send of greeted) send(text)
  }
}
