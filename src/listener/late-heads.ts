import type { Duplex } from 'node:stream'

export interface LateHeads {
  /** A head that is to be here within `withinMs`. */
  watch(socket: Duplex, withinMs: number): void
  /** It is here, or never will be. */
  settle(socket: Duplex): void
}

/**
 * Heads that were waited for already when another reader got what there was of them. That one's clock begins with the first octet
 * that it reads, so that without this a client would have the time of a head twice.
 */
export function createLateHeads(
  needs: { schedule(delayMs: number, run: () => void): () => void },
  tooLate: (socket: Duplex) => void,
): LateHeads {
  const cancels = new Map<Duplex, () => void>()
  return { watch, settle }

  function watch(socket: Duplex, withinMs: number): void {
    const cancel = needs.schedule(Math.max(withinMs, 0), () => {
      cancels.delete(socket)
      tooLate(socket)
    })
    cancels.set(socket, cancel)
  }

  function settle(socket: Duplex): void {
    if (cancels.size === 0) return
    cancels.get(socket)?.()
    cancels.delete(socket)
  }
}
