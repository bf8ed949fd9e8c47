/**
 * Says to anyone whether the gateway works and since when. It asks nothing of the network and tells nothing of the inside.
 *
 * @module
 */
import type { Service } from '../services.ts'
import { json } from '../services.ts'

export interface HealthNeeds {
  /** Seconds since the gateway started. */
  uptimeSeconds(): number
  /** Whether something that the gateway needs is not there at present. */
  isDegraded(): boolean
}

export function createHealth(needs: HealthNeeds): Service {
  return {
    name: 'health',
    endpoints: [
      {
        name: 'health',
        method: 'GET',
        path: '',
        auth: 'public',
        handle: () =>
          json(
            200,
            {
              status: needs.isDegraded() ? 'degraded' : 'ok',
              redis: 'embedded',
              uptime_seconds: Math.floor(needs.uptimeSeconds()),
            },
            { 'cache-control': 'no-store' },
          ),
      },
    ],
  }
}
