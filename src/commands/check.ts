import type { Config } from '../config/config.ts'
import { routesOf } from '../gateway.ts'
import { isPublic } from './routes.ts'

/** What a configuration without a fault amounts to. Faults end before this, all at once. */
export function check(config: Config, json: boolean): string {
  const routes = routesOf(config)
  const open = routes.filter(isPublic).map((route) => route.name)
  const taken = config.fromEnvironment ?? []
  if (json) {
    const environment = taken.length === 0 ? {} : { environment: taken }
    return `${JSON.stringify({ ok: true, version: config.version, routes: routes.length, public: open, ...environment })}\n`
  }
  const lines = taken.map(({ variable, key }) => `  ${key} from the environment variable ${variable}\n`)
  return `${config.file}: fine (${routes.length} routes, ${open.length} of them public: ${open.join(', ') || 'none'})\n${lines.join('')}`
}
