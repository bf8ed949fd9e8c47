/**
 * The command line: reads arguments and the environment, runs a command, says by an exit code how it went.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ConfigError, loadConfig, type Config } from '../config/config.ts'
import { findRouteFaultsOf } from '../gateway.ts'
import { check } from './check.ts'
import { routes } from './routes.ts'
import { start, type Surroundings } from './start.ts'

/** The process, as far as commands need it. What they print goes where log lines go. */
export interface CommandProcess extends Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
}

const USAGE = `gatehouse COMMAND [--config FILE]

  start     runs the gateway (the default)
  check     reads the configuration and reports every fault
  routes    lists each route and who may use it

  --config FILE   the configuration; default: GATEHOUSE_CONFIG, else ./gateway.yaml
  --json          machine-readable output (check, routes)
  --help, --version

Exit codes: 0 fine, 1 it ran and failed, 2 wrong usage or an invalid configuration.
`

interface Command {
  readonly takesJson: boolean
  run(config: Config, json: boolean, around: CommandProcess): number | Promise<number>
}

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['start', { takesJson: false, run: (config, _, around) => start(config, around) }],
  ['check', { takesJson: true, run: (config, json, around) => print(check(config, json), around) }],
  ['routes', { takesJson: true, run: (config, json, around) => print(routes(config, json), around) }],
])
const LATER: ReadonlySet<string> = new Set(['explain', 'diff', 'keys', 'clients', 'migrate', 'audit', 'doctor'])

/**
 * Runs one command.
 *
 * @param args - without the program and the script
 * @returns the exit code: 0 fine, 1 it ran and failed, 2 wrong usage or an invalid configuration
 */
export async function runCommand(args: readonly string[], around: CommandProcess): Promise<number> {
  let parsed
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS })
  } catch (error) {
    // Commands of later releases have options of their own, which are no fault of the user's.
    const later = args.find((one) => LATER.has(one))
    return refuseUsage(later === undefined ? faultOfArguments(error) : notYet(later), around)
  }
  const { values, positionals } = parsed
  if (values.help) return print(USAGE, around)
  if (values.version) return print(`${version()}\n`, around)
  const [name = 'start', ...rest] = positionals
  if (LATER.has(name)) return refuseUsage(notYet(name), around)
  const command = COMMANDS.get(name)
  if (command === undefined) return refuseUsage(`unknown command: ${name}`, around)
  if (rest.length > 0) return refuseUsage(`${name} takes no argument: ${rest.join(' ')}`, around)
  if (values.json && !command.takesJson) return refuseUsage(`${name} takes no --json`, around)
  if (values.config === '') return refuseUsage('--config needs the name of a file', around)
  const file = values.config ?? (around.environment['GATEHOUSE_CONFIG'] || './gateway.yaml')
  return withConfig(file, around, (config) => command.run(config, values.json, around))
}

const OPTIONS = {
  config: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
} as const

/** A faulty configuration is wrong usage: all its faults, and exit code 2. */
async function withConfig(
  file: string,
  around: CommandProcess,
  run: (config: Config) => number | Promise<number>,
): Promise<number> {
  try {
    const readFile = (path: string): string => readFileSync(path, 'utf8')
    return await run(loadConfig(file, { environment: around.environment, readFile, inspect: findRouteFaultsOf }))
  } catch (error) {
    if (error instanceof ConfigError) {
      around.say(`${error.message}\n`)
      return 2
    }
    around.say(`gatehouse: ${reasonsOf(error).join(': ')}\n`)
    return 1
  }
}

/** The message of a failure and those of its causes: what an operator can act on, without a stack. */
function reasonsOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)]
  return error.cause === undefined ? [error.message] : [error.message, ...reasonsOf(error.cause)]
}

function print(text: string, around: CommandProcess): number {
  around.write(text)
  return 0
}

function refuseUsage(fault: string, around: CommandProcess): number {
  around.say(`gatehouse: ${fault}\n\n${USAGE}`)
  return 2
}

function notYet(command: string): string {
  return `${command}: not supported yet`
}

/** The first sentence: what follows tells how to write a value that starts with a dash. */
function faultOfArguments(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split(/\. |\n/, 1).join('')
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown'
}
