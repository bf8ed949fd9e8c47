/**
 * Says to anyone whether the gateway works and since when. It asks nothing of the network and tells nothing of the inside.
 *
 * @module
 */
import type { Answer, Service } from '../services.ts'
import { json } from '../services.ts'

export interface HealthNeeds {
  /** Seconds since the gateway started. */
  uptimeSeconds(): number
  /** Whether the storage of sessions answers, where it is Redis. */
  redis(): 'up' | 'down' | 'embedded'
  /** Whether something else that the gateway needs is not there at present. */
  isDegraded(): boolean
}

export function createHealth(needs: HealthNeeds): Service<'health'> {
  return { name: 'health', endpoints: { health: { handle } } }

  function handle(): Answer {
    const redis = needs.redis()
    const status = redis === 'down' || needs.isDegraded() ? 'degraded' : 'ok'
    const facts = { status, redis, uptime_seconds: Math.floor(needs.uptimeSeconds()) }
    return json(200, facts, { 'cache-control': 'no-store' })
  }
}
