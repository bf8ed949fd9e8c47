import { formatFault, type Config, type Fault } from '../config/config.ts'
import { routesOf } from '../gateway.ts'
import { isPublic } from './routes.ts'

/** What a configuration without a fault amounts to, and what is odd about it. Faults end before this, all at once. */
export function check(config: Config, json: boolean): string {
  const routes = routesOf(config)
  const open = routes.filter(isPublic).map((route) => route.name)
  const taken = config.fromEnvironment ?? []
  const warnings = config.warnings ?? []
  if (json) {
    const environment = taken.length === 0 ? {} : { environment: taken }
    const facts = { version: config.version, routes: routes.length, public: open, insecure: config.insecure, warnings }
    return `${JSON.stringify({ ok: true, ...facts, ...environment })}\n`
  }
  const lines = taken.map(({ variable, key }) => `  ${key} from the environment variable ${variable}\n`)
  const odd = warnings.map((one) => `${formatFault({ ...one, message: `warning: ${one.message}` })}\n`)
  const count =
    warnings.length === 0 ? 'fine' : `fine, but for ${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'}`
  return `${odd.join('')}${config.file}: ${count} (${routes.length} routes, ${open.length} of them public: ${open.join(', ') || 'none'})\n${lines.join('')}`
}

/** The faults of a configuration as one value. */
export function checkFaults(faults: readonly Fault[]): string {
  return `${JSON.stringify({ ok: false, faults })}\n`
}
