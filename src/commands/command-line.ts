/**
 * The command line: reads arguments and the environment, runs a command, says by an exit code how it went.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { openBreachedFile } from '../breached-file.ts'
import { ConfigError, type Config } from '../config/config.ts'
import { verifyAudit } from './audit.ts'
import { check, checkFaults } from './check.ts'
import { createClient } from './clients.ts'
import { keys } from './keys.ts'
import { migrate } from './migrate.ts'
import { routes } from './routes.ts'
import type { StartSource } from './reloading.ts'
import { readSource } from './source.ts'
import { start, type Surroundings } from './start.ts'
import { UsageError } from './usage.ts'

/** The process, as far as commands need it. What they print goes where log lines go. */
export interface CommandProcess extends Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
}

const USAGE = `gatehouse COMMAND [--config FILE]

  start                                runs the gateway (the default)
  check                                reads the configuration and reports every fault and warning (--strict: a warning is a fault)
  diff OLD NEW                         shows what changes in access from one configuration to the other; exit code 1: it is wider
  routes                               lists each route and who may use it
  explain METHOD URL                   what would become of a request, and why (--token T, --header "NAME: VALUE", --ip ADDRESS)
  keys list --tenant T                 shows the signing keys of a tenant
  keys rotate --tenant T               makes the next key sign, or publishes one that will
  keys retire --tenant T --kid K       ends a key at once, and every token that it signed (--reason TEXT)
  clients create --tenant T --scopes S makes the secret of a client and what to add to the configuration (--id NAME)
  audit verify                         walks the audit record of this machine (--head SEQ:HASH, which it must hold)
  migrate status                       lists the migrations of the accounts database
  migrate up                           applies those that are pending (--to N, the last one to apply)
  migrate down                         takes back the newest one, or all after one (--to N; 0 is all)
  doctor                               looks whether all that the gateway needs is there, and tries a revocation

  --config FILE   the configuration; default: GATEHOUSE_CONFIG, else ./gateway.yaml
  --json          machine-readable output (all but start)
  --help, --version

Exit codes: 0 fine, 1 it ran and failed, 2 wrong usage or an invalid configuration.
`

type Values = ReturnType<typeof parse>['values']
type Option = Exclude<keyof Values, 'config' | 'json' | 'help' | 'version'>

interface Command {
  readonly takesJson?: false
  readonly needs?: readonly Option[]
  readonly takes?: readonly Option[]
  run(config: Config, values: Values, around: CommandProcess, source: StartSource): number | Promise<number>
}

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['start', { takesJson: false, run: (config, _, around, source) => start(config, source, around) }],
  ['check', { takes: ['strict'], run: runCheck }],
  ['routes', { run: (config, { json }, around) => print(routes(config, json), around) }],
  ['keys list', { needs: ['tenant'], run: runKeys('list') }],
  ['keys rotate', { needs: ['tenant'], takes: ['reason'], run: runKeys('rotate') }],
  ['keys retire', { needs: ['tenant', 'kid'], takes: ['reason'], run: runKeys('retire') }],
  ['clients create', { needs: ['tenant', 'scopes'], takes: ['id'], run: runClients }],
  ['audit verify', { takes: ['head'], run: runAudit }],
  ['migrate status', { run: runMigrate('status') }],
  ['migrate up', { takes: ['to'], run: runMigrate('up') }],
  ['migrate down', { takes: ['to'], run: runMigrate('down') }],
  ['doctor', { run: runDoctor }],
])
/** First words of commands that have two. */
const GROUPS: ReadonlySet<string> = new Set(
  [...COMMANDS.keys()].flatMap((name) => (name.includes(' ') ? name.split(' ', 1) : [])),
)

/**
 * Runs one command.
 *
 * @param args - without the program and the script
 * @returns the exit code: 0 fine, 1 it ran and failed, 2 wrong usage or an invalid configuration
 */
export async function runCommand(args: readonly string[], around: CommandProcess): Promise<number> {
  let parsed
  try {
    parsed = parse(args)
  } catch (error) {
    return refuseUsage(faultOfArguments(error), around)
  }
  const { values, positionals } = parsed
  if (values.help) return print(USAGE, around)
  if (values.version) return print(`${version()}\n`, around)
  const [first = 'start', second, ...more] = positionals
  if (first === 'diff') return runDiff(positionals.slice(1), values, around)
  if (first === 'explain') return runExplain(positionals.slice(1), values, around)
  const name = GROUPS.has(first) && second !== undefined ? `${first} ${second}` : first
  const rest = name === first && second !== undefined ? [second, ...more] : more
  const command = COMMANDS.get(name)
  if (command === undefined)
    return refuseUsage(GROUPS.has(first) ? `${first}: write ${inGroup(first)}` : `unknown command: ${name}`, around)
  if (rest.length > 0) return refuseUsage(`${name} takes no argument: ${rest.join(' ')}`, around)
  const fault = faultOfOptions(name, command, values)
  if (fault !== undefined) return refuseUsage(fault, around)
  const file = fileIn(values, around)
  const tell = name === 'check' && values.json ? 'faults as JSON' : undefined
  return withConfig(file, around, (config, source) => command.run(config, values, around, source), tell)
}

function fileIn({ config }: Values, { environment }: CommandProcess): string {
  return config ?? (environment['GATEHOUSE_CONFIG'] || './gateway.yaml')
}

function inGroup(group: string): string {
  return [...COMMANDS.keys()].filter((name) => name.startsWith(`${group} `)).join(', ')
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS })
}

function faultOfOptions(
  name: string,
  { takesJson, needs = [], takes = [] }: Omit<Command, 'run'>,
  values: Values,
): string | undefined {
  if (values.json && takesJson === false) return `${name} takes no --json`
  if (values.config === '') return '--config needs the name of a file'
  const missing = needs.find((option) => values[option] === undefined || values[option] === '')
  if (missing !== undefined) return `${name} needs --${missing}`
  const extra = COMMAND_OPTIONS.find(
    (option) => values[option] !== undefined && !needs.includes(option) && !takes.includes(option),
  )
  return extra === undefined ? undefined : `${name} takes no --${extra}`
}

/** The file of breached passwords is too large to be read with the configuration. */
async function runCheck(config: Config, { json, strict }: Values, around: CommandProcess): Promise<number> {
  await openBreachedFile(config.accounts)
  print(check(config, json), around)
  return strict === true && config.warnings !== undefined ? 2 : 0
}

/** Two configurations in place of one. */
function runDiff(files: readonly string[], values: Values, around: CommandProcess): number | Promise<number> {
  const [old = '', now = '', ...more] = files
  if (now === '' || more.length > 0) return refuseUsage('diff needs two configurations: write diff OLD NEW', around)
  const fault = faultOfOptions('diff', {}, values) ?? (values.config === undefined ? undefined : 'diff takes no --config')
  if (fault !== undefined) return refuseUsage(fault, around)
  return withConfig(old, around, (before) =>
    withConfig(now, around, async (after) => {
      const { diff } = await import('./diff.ts')
      const { text, code } = diff(before, after, values.json)
      print(text, around)
      return code
    }),
  )
}

/** A request in place of options. */
function runExplain(request: readonly string[], values: Values, around: CommandProcess): number | Promise<number> {
  const [method = '', url = '', ...more] = request
  if (url === '' || more.length > 0) return refuseUsage('explain needs a method and a URL: write explain GET URL', around)
  const fault = faultOfOptions('explain', { takes: ['token', 'header', 'ip'] }, values)
  if (fault !== undefined) return refuseUsage(fault, around)
  const { token, header: headers = [], ip, json } = values
  return withConfig(fileIn(values, around), around, async (config) => {
    const { explain } = await import('./explain.ts')
    return print(await explain(config, { method, url, token, headers, ip, json }), around)
  })
}

function runKeys(action: 'list' | 'rotate' | 'retire'): Command['run'] {
  return async (config, { tenant = '', kid, reason, json }, around) => {
    const given = { tenant, json, ...(kid !== undefined && { kid }), ...(reason !== undefined && { reason }) }
    return print(await keys(action, config, given), around)
  }
}

function runMigrate(action: 'up' | 'down' | 'status'): Command['run'] {
  return async (config, { to, json }, around) =>
    print(await migrate(action, config, { json, ...(to !== undefined && { to }) }), around)
}

function runClients(config: Config, { tenant = '', scopes = '', id, json }: Values, around: CommandProcess): number {
  return print(createClient(config, { tenant, scopes, json, ...(id !== undefined && { id }) }, randomBytes), around)
}

function runAudit(config: Config, { head, json }: Values, around: CommandProcess): number {
  const { text, code } = verifyAudit(config, head, json)
  print(text, around)
  return code
}

async function runDoctor(config: Config, { json }: Values, around: CommandProcess): Promise<number> {
  // It knows every storage there is, which no other command needs.
  const { doctor } = await import('./doctor.ts')
  const { text, code } = await doctor(config, json)
  print(text, around)
  return code
}

const OPTIONS = {
  config: { type: 'string' },
  tenant: { type: 'string' },
  kid: { type: 'string' },
  reason: { type: 'string' },
  scopes: { type: 'string' },
  id: { type: 'string' },
  head: { type: 'string' },
  to: { type: 'string' },
  token: { type: 'string' },
  header: { type: 'string', multiple: true },
  ip: { type: 'string' },
  strict: { type: 'boolean' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
} as const

const COMMAND_OPTIONS: readonly Option[] = [
  'tenant',
  'kid',
  'reason',
  'scopes',
  'id',
  'head',
  'to',
  'strict',
  'token',
  'header',
  'ip',
]

/** A faulty configuration is wrong usage: all its faults, and exit code 2. */
async function withConfig(
  file: string,
  around: CommandProcess,
  run: (config: Config, source: StartSource) => number | Promise<number>,
  tell?: 'faults as JSON',
): Promise<number> {
  const source = { file, environment: around.environment }
  try {
    const first = readSource(source, { text: around.member?.configuration })
    if (first.config === undefined) throw first.fault
    return await run(first.config, { ...source, first })
  } catch (error) {
    if (error instanceof ConfigError) {
      around.say(`${error.message}\n`)
      if (tell === 'faults as JSON') around.write(checkFaults(error.faults))
      return 2
    }
    if (error instanceof UsageError) return refuseUsage(error.message, around)
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

/** The first sentence: what follows tells how to write a value that starts with a dash. */
function faultOfArguments(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split(/\. |\n/, 1).join('')
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown'
}
