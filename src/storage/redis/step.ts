import { Cluster } from 'ioredis'
import type { Redis } from 'ioredis'
import type { ConnectionNeeds } from './connection.ts'

/** Sees to it that a connection on which answers are not those to the questions is left. */
export interface Step {
  /** Leaves the connection for a new one: something on it was not answered. */
  leave(): void
  stop(): void
}

const LOOK_MS = 500

/**
 * Answers belong to questions by their order alone. Where octets were lost or added on the way, each command gets the answer
 * of another one, or all that comes is taken for a part of one long answer; neither shows as a broken connection. So an echo
 * of its own goes along now and then, and what does not come back as it went ends the connection.
 *
 * On a cluster that would be one connection of many, which only its own silence ends.
 */
export function keepInStep(client: Redis | Cluster, needs: Pick<ConnectionNeeds, 'schedule'>): Step {
  if (client instanceof Cluster) return { leave: nothing, stop: nothing }
  const single = client
  let number = 0
  let cancel = needs.schedule(LOOK_MS, look)
  return { leave, stop: () => cancel() }

  function look(): void {
    cancel = needs.schedule(LOOK_MS, look)
    if (single.status !== 'ready') return
    number += 1
    const sent = `step ${number}`
    single.call('ECHO', sent).then((answer) => {
      if (answer !== sent) leave()
    }, leave)
  }

  function leave(): void {
    // At once, and not when the other side has said farewell: it may be gone.
    if (single.status === 'ready') single.stream.destroy()
  }
}

/** The nodes of a cluster are left by the client. */
function nothing(): void {
  return undefined
}
