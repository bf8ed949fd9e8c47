/** Time that only the test moves. */
export interface Clock {
  monotonicMs(): number
  nowSeconds(): number
  schedule(delayMs: number, run: () => void): () => void
  /** Moves on, running what falls due on the way, and lets promises settle. */
  pass(ms: number): Promise<void>
  /** Moves on at a stretch: what fell due runs at the end, and what it plans after it. */
  leap(ms: number): Promise<void>
}

export function createClock(): Clock {
  let nowMs = 1_000
  let due: { readonly atMs: number; readonly run: () => void }[] = []
  const clock: Clock = {
    monotonicMs: () => nowMs,
    nowSeconds: () => 1_800_000_000 + Math.floor(nowMs / 1_000),
    schedule(delayMs, run) {
      const one = { atMs: nowMs + delayMs, run }
      due.push(one)
      return () => void (due = due.filter((other) => other !== one))
    },
    async pass(ms) {
      const endMs = nowMs + ms
      await settle()
      for (;;) {
        const [next] = due.filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs)
        if (next === undefined) break
        due = due.filter((one) => one !== next)
        nowMs = Math.max(nowMs, next.atMs)
        next.run()
        await settle()
      }
      nowMs = endMs
    },
    async leap(ms) {
      nowMs += ms
      await clock.pass(1_000)
    },
  }
  return clock
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
