import { checkUp, type Finding } from '../check-up/check-up.ts'
import type { Config } from '../config/config.ts'
import { isPublic } from './routes.ts'
import { routesOf } from '../gateway.ts'

/**
 * Looks whether a gateway with this configuration could do its work here, now.
 *
 * @returns what to print, and the exit code: 1 when something fails
 */
export async function doctor(config: Config, json: boolean): Promise<{ readonly text: string; readonly code: 0 | 1 }> {
  const findings: Finding[] = [configuration(config), SECRETS]
  await checkUp(config, (finding) => void findings.push(finding))
  const failed = findings.filter(({ level }) => level === 'fail').length
  const warned = findings.filter(({ level }) => level === 'warn').length
  const code = failed === 0 ? 0 : 1
  if (json) return { text: `${JSON.stringify({ ok: code === 0, failed, warned, checks: findings }, null, 2)}\n`, code }
  const width = Math.max(...findings.map(({ check }) => check.length))
  return { text: `${findings.map((one) => line(one, width)).join('')}\n${summary(failed, warned)}\n`, code }
}

/** Faults of the file end before this, all at once, with exit code 2. */
function configuration(config: Config): Finding {
  const routes = routesOf(config)
  const open = routes.filter(isPublic).length
  return { level: 'ok', check: 'configuration', what: `${config.file}: ${routes.length} routes, ${open} of them public` }
}

const SECRETS: Finding = { level: 'ok', check: 'secrets', what: 'all that the configuration names are set and long enough' }

function line({ level, check, what, advice }: Finding, width: number): string {
  const todo = advice === undefined ? '' : `; ${advice}`
  return `${level.padEnd(4)}  ${check.padEnd(width)}  ${what}${todo}\n`
}

function summary(failed: number, warned: number): string {
  if (failed > 0) return `${failed} failed, ${warned} to look at`
  return warned === 0 ? 'all is well' : `nothing failed, ${warned} to look at`
}
