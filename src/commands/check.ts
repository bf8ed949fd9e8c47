import type { Config } from '../config/config.ts'
import { routesOf } from '../gateway.ts'
import { isPublic } from './routes.ts'

/** What a configuration without a fault amounts to. Faults end before this, all at once. */
export function check(config: Config, json: boolean): string {
  const routes = routesOf(config)
  const open = routes.filter(isPublic).map((route) => route.name)
  if (json) return `${JSON.stringify({ ok: true, version: config.version, routes: routes.length, public: open })}\n`
  return `${config.file}: fine (${routes.length} routes, ${open.length} of them public: ${open.join(', ') || 'none'})\n`
}
