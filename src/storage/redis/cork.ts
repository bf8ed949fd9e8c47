import { Cluster } from 'ioredis'
import type { Redis } from 'ioredis'

/**
 * What is asked of Redis within one turn of the event loop is written at once: a system call for many requests, here and
 * there, not for each. A cluster's commands go to several connections and are written by themselves.
 *
 * @param endOfTurn - runs once after what came in with this turn
 * @returns to be called just before a command is given to a client that is connected
 */
export function createCork(client: Redis | Cluster, endOfTurn: (run: () => void) => void): () => void {
  let isCorked = false
  return function cork() {
    if (isCorked || client instanceof Cluster) return
    const { stream } = client
    stream.cork()
    isCorked = true
    endOfTurn(() => {
      isCorked = false
      stream.uncork()
    })
  }
}
