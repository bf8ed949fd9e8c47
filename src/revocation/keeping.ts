import type { CopyPlace, Feed } from './feed.ts'
import type { Replica } from './replica.ts'
import type { Revocation, RevocationCopy } from './log.ts'
import type { RevocationNeeds } from './revocation.ts'

/** Keeps a copy of the set for the next start: soon after each change, and now and then to say that it is still true. */
export interface Keeping {
  /** Hands out what was kept, and where it left off; undefined when there is none that can be used. Never rejects. */
  load(): Promise<CopyPlace | undefined>
  start(): void
  /** A fact that is new here. */
  note(revocation: Revocation): void
  /** Keeps what was not kept yet. Never rejects. */
  stop(): Promise<void>
}

const SAVE_MS = 2000
/** Nothing new to keep: the copy is told so often that it was confirmed. */
const CONFIRM_MS = 5000
/** More facts than this at once, and the whole is written anew. */
const MOST_PENDING = 20_000

type KeepingNeeds = Pick<RevocationNeeds, 'nowMs' | 'schedule' | 'events'>

interface Kept {
  readonly copy: RevocationCopy
  readonly replica: Pick<Replica, 'add' | 'pages'>
  readonly feed: Pick<Feed, 'position' | 'stalenessMs'>
}

export function createKeeping(needs: KeepingNeeds, { copy, replica, feed }: Kept): Keeping {
  let pending: Revocation[] = []
  // The first save of a process writes the whole, to a file of its own.
  let isOutgrown = true
  let savedAtMs = Number.NEGATIVE_INFINITY
  let isDown = false
  let saving: Promise<void> = Promise.resolve()
  let cancel: (() => void) | undefined
  let isStopped = false
  return { load, start, note, stop }

  async function load(): Promise<CopyPlace | undefined> {
    try {
      const state = await copy.load((page) => {
        for (const revocation of page) replica.add(revocation, 'copy')
      })
      if (state === undefined) return undefined
      const ageMs = needs.nowMs() - state.confirmedAtMs
      // A clock that went backwards says nothing about how long ago that was.
      const place = { position: state.position, ageMs: ageMs >= 0 ? ageMs : Number.POSITIVE_INFINITY }
      needs.events.copyLoaded(place.ageMs / 1000)
      return place
    } catch (cause) {
      needs.events.copyRefused(cause)
      return undefined
    }
  }

  function start(): void {
    if (!isStopped) cancel = needs.schedule(SAVE_MS, tick)
  }

  function note(revocation: Revocation): void {
    if (isOutgrown) return
    pending.push(revocation)
    if (pending.length <= MOST_PENDING) return
    isOutgrown = true
    pending = []
  }

  function tick(): void {
    saving = save(CONFIRM_MS)
    void saving.then(start)
  }

  async function stop(): Promise<void> {
    isStopped = true
    cancel?.()
    await saving
    await save(0)
    await copy.close()
  }

  /** Never rejects: without a copy the gateway is as good as it was, until it starts again. */
  async function save(confirmMs: number): Promise<void> {
    // The moment first: what is learnt while this runs is newer, and harmless.
    const position = feed.position()
    const confirmedAtMs = Math.floor(needs.nowMs() - feed.stalenessMs())
    if (position === undefined || !Number.isFinite(confirmedAtMs)) return
    if (pending.length === 0 && !isOutgrown && confirmedAtMs - savedAtMs <= confirmMs) return
    const facts = pending
    const isWhole = isOutgrown
    pending = []
    isOutgrown = false
    try {
      const state = { position, confirmedAtMs }
      if (isWhole) await copy.replace(state, replica.pages(Math.floor(needs.nowMs() / 1000), 'all'))
      else isOutgrown = (await copy.append(state, facts)) === 'outgrown' || isOutgrown
      savedAtMs = confirmedAtMs
      if (isDown) needs.events.copyKept('up')
      isDown = false
    } catch (cause) {
      isOutgrown = true
      if (!isDown) needs.events.copyKept('down', cause)
      isDown = true
    }
  }
}
