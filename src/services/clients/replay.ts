import { createHash } from 'node:crypto'
import { Problem } from '../../problem/problem.ts'

/** Which assertions were used. It holds for this process: another one would take the same assertion once more. */
export interface ReplayMemory {
  /**
   * Notes one use; false when there was one before.
   *
   * @param expiresAt - whole seconds since 1970, after which nobody takes the assertion anyway
   * @throws Problem `rate_limited` when the client has used more than can be remembered: forgetting would open the replay
   */
  isNew(client: string, jti: string, expiresAt: number): boolean
}

/** Of each client: 150 a second. Only who holds its key can fill it. About 100 B each. */
const ENTRIES = 50_000

export function createReplayMemory(needs: { nowSeconds(): number }): ReplayMemory {
  const clients = new Map<string, Map<string, number>>()
  return {
    isNew(client, jti, expiresAt) {
      const used = clients.get(client) ?? new Map<string, number>()
      clients.set(client, used)
      const digest = createHash('sha256').update(jti).digest('base64url')
      if (used.has(digest)) return false
      if (used.size >= ENTRIES) forgetExpired(used, needs.nowSeconds())
      if (used.size >= ENTRIES) throw new Problem('rate_limited', { headers: { 'retry-after': '1' } })
      used.set(digest, expiresAt)
      return true
    },
  }
}

function forgetExpired(used: Map<string, number>, now: number): void {
  for (const [digest, expiresAt] of used) if (expiresAt < now) used.delete(digest)
}
