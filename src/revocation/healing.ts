import type { Replica } from './replica.ts'
import type { RevocationNeeds } from './revocation.ts'

/** Puts back into the log what it lost and is known here. */
export interface Healing {
  /** The log was loaded as a whole: what it lacks is put back, soon and until that is done. */
  begin(): void
  stop(): void
}

/** The first wait is anywhere within this: of a fleet, whoever is first does the work, and the others read what it put back. */
const SPREAD_MS = 1000
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000

type HealingNeeds = Pick<RevocationNeeds, 'log' | 'nowMs' | 'random' | 'schedule' | 'events'>

/**
 * A log that can be followed lost nothing: it says itself when it cannot go on from where its reader was. So only a restart
 * is healed, and nothing is compared now and then.
 *
 * A process that stops before it is done leaves the rest to the others, and to its own copy on the disk.
 */
export function createHealing(needs: HealingNeeds, replica: Pick<Replica, 'pages'>): Healing {
  let state: 'idle' | 'waiting' | 'working' | 'stopped' = 'idle'
  let wantsMore = false
  let failures = 0
  let cancel: (() => void) | undefined
  return { begin, stop }

  function begin(): void {
    if (state === 'working') wantsMore = true
    if (state === 'idle') plan(SPREAD_MS * needs.random())
  }

  function stop(): void {
    state = 'stopped'
    cancel?.()
  }

  function plan(delayMs: number): void {
    state = 'waiting'
    cancel = needs.schedule(delayMs, () => void work())
  }

  /** Never rejects: a failure is tried again. */
  async function work(): Promise<void> {
    state = 'working'
    wantsMore = false
    let delayMs = 0
    try {
      await restoreAll()
      failures = 0
    } catch {
      // The log is away again, which its reader tells; what was put back already is not lacking the next time.
      failures += 1
      wantsMore = true
      delayMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10)) * (0.5 + needs.random() / 2)
    }
    if (isStopped()) return
    state = 'idle'
    if (wantsMore) plan(delayMs)
  }

  async function restoreAll(): Promise<void> {
    let count = 0
    try {
      for (const page of replica.pages(Math.floor(needs.nowMs() / 1000), 'lacking')) {
        if (isStopped()) return
        count += await needs.log.restore(page)
      }
    } finally {
      if (count > 0) needs.events.restored(count)
    }
  }

  function isStopped(): boolean {
    return state === 'stopped'
  }
}
