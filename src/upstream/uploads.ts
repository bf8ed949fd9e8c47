import type { Load } from './destination.ts'

/** A request whose client has not sent all of its body yet. */
export interface Upload {
  /** It may have a connection. */
  go(): void
  /** Octets that came from the client so far. */
  octets(): number
  /** The connection waits for the client. */
  isHungry(): boolean
  /** Others wait for the connection that it holds and does not use. */
  giveWay(): void
}

/** The uploads to one destination where each has a connection to itself, and keeps it as long as its client takes. */
export interface Uploads {
  /** Calls `go`: at once, or in its turn. */
  enter(upload: Upload): void
  /** It has shown that there is something to send: of those that wait it goes before those that have not. */
  prefer(upload: Upload): void
  /** It is whole, or over. */
  leave(upload: Upload): void
  /** Whoever waits may go, and whoever comes. */
  letAll(): void
}

export interface UploadsNeeds {
  monotonicMs(): number
  /** Runs once after `delayMs`; returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void
}

/** When an upload was last seen to get on. */
interface Look {
  atMs: number
  octets: number
}

const LOOK_MS = 1000
/** Who gave less than this for so long is the first to go. */
const LEAST_BYTES = 1024
const PATIENCE_MS = 5000

/**
 * Uploads have half of the connections at most, so that clients that take their time cannot use up what others need for
 * milliseconds. Where one waits for a connection, those that hold one and send nothing give way, the oldest first.
 */
export function createUploads(needs: UploadsNeeds, load: Pick<Load, 'waiting' | 'carried'>, connections: number): Uploads {
  const places = Math.max(1, Math.floor(connections / 2))
  const held = new Map<Upload, Look>()
  const preferred = new Set<Upload>()
  const queue = new Set<Upload>()
  let isOpen = false
  let isFilling = false
  let cancelLook: (() => void) | undefined
  return { enter, prefer, leave, letAll }

  function enter(upload: Upload): void {
    if (isOpen) upload.go()
    else if (held.size < places) hold(upload)
    else queue.add(upload)
  }

  function prefer(upload: Upload): void {
    if (queue.delete(upload)) preferred.add(upload)
  }

  function hold(upload: Upload): void {
    held.set(upload, { atMs: needs.monotonicMs(), octets: upload.octets() })
    cancelLook ??= needs.schedule(LOOK_MS, look)
    upload.go()
  }

  function leave(upload: Upload): void {
    if (!queue.delete(upload)) preferred.delete(upload)
    if (held.delete(upload)) fill()
    if (held.size > 0) return
    cancelLook?.()
    cancelLook = undefined
  }

  function fill(): void {
    // One that fails as it goes leaves at once.
    if (isFilling) return
    isFilling = true
    fillFrom(preferred)
    fillFrom(queue)
    isFilling = false
  }

  function fillFrom(those: Set<Upload>): void {
    for (const upload of those) {
      if (held.size >= places) return
      those.delete(upload)
      hold(upload)
    }
  }

  function look(): void {
    cancelLook = needs.schedule(LOOK_MS, look)
    const nowMs = needs.monotonicMs()
    let pressing = preferred.size + queue.size + (load.carried >= connections ? load.waiting : 0)
    for (const [upload, seen] of held) {
      const octets = upload.octets()
      if (!upload.isHungry() || octets - seen.octets >= LEAST_BYTES) {
        seen.atMs = nowMs
        seen.octets = octets
      } else if (pressing > 0 && nowMs - seen.atMs >= PATIENCE_MS) {
        pressing -= 1
        upload.giveWay()
      }
    }
  }

  function letAll(): void {
    isOpen = true
    cancelLook?.()
    cancelLook = undefined
    held.clear()
    const left = [...preferred, ...queue]
    preferred.clear()
    queue.clear()
    for (const upload of left) upload.go()
  }
}
