/**
 * The command line: reads arguments and the environment, runs a command, says by an exit code how it went.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { openBreachedFile } from '../breached-file.ts'
import { ConfigError, type Config } from '../config/config.ts'
import { Problem } from '../problem/problem.ts'
import { exportAudit, listAudit, verifyAudit } from './audit.ts'
import { commandIn, faultOfArguments, faultOfOptions, readArguments, unknownCommand, type Values } from './arguments.ts'
import { factsOf } from './catalogue.ts'
import { check, checkFaults } from './check.ts'
import { createClient } from './clients.ts'
import { helpOf, usage } from './help.ts'
import { keys } from './keys.ts'
import { migrate } from './migrate.ts'
import { routes } from './routes.ts'
import type { StartSource } from './reloading.ts'
import { readSource } from './source.ts'
import { start, type Surroundings } from './start.ts'
import { tenants } from './tenants.ts'
import { UsageError } from './usage.ts'

/** The process, as far as commands need it. What they print goes where log lines go. */
export interface CommandProcess extends Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
}

interface Invocation {
  readonly config: Config
  readonly values: Values
  readonly around: CommandProcess
  readonly source: StartSource
}

type Run = (invocation: Invocation) => number | Promise<number>

/** What a command with a configuration does; the others are below. */
const RUNS: ReadonlyMap<string, Run> = new Map<string, Run>([
  ['start', ({ config, source, around }) => start(config, source, around)],
  ['check', runCheck],
  ['routes', ({ config, values, around }) => print(routes(config, values.json), around)],
  ['tenants list', async ({ config, values, around }) => print(await tenants(config, values.json), around)],
  ['keys list', runKeys('list')],
  ['keys rotate', runKeys('rotate')],
  ['keys retire', runKeys('retire')],
  ['clients create', runClients],
  ['audit verify', runAuditVerify],
  ['audit list', runAuditList],
  ['audit export', runAuditExport],
  ['migrate status', runMigrate('status')],
  ['migrate up', runMigrate('up')],
  ['migrate down', runMigrate('down')],
  ['doctor', runDoctor],
])

/**
 * Runs one command.
 *
 * @param args - without the program and the script
 * @returns the exit code: 0 fine, 1 it ran and failed, 2 wrong usage or an invalid configuration
 */
export async function runCommand(args: readonly string[], around: CommandProcess): Promise<number> {
  let parsed
  try {
    parsed = readArguments(args)
  } catch (error) {
    return refuseUsage(faultOfArguments(error), around)
  }
  const { values, positionals } = parsed
  const { name, rest } = commandIn(positionals)
  if (values.help) return explainCommand(positionals, around)
  if (values.version) return print(`${version()}\n`, around)
  const facts = factsOf(name)
  if (facts === undefined) return refuseUsage(unknownCommand(name), around, name.split(' ', 1).join(''))
  const fault = faultOfOptions(facts, values)
  if (fault !== undefined) return refuseUsage(fault, around, name)
  try {
    return await runNamed(name, rest, values, around)
  } catch (error) {
    if (error instanceof UsageError) return refuseUsage(error.message, around, name)
    throw error
  }
}

function runNamed(name: string, rest: readonly string[], values: Values, around: CommandProcess): number | Promise<number> {
  if (name === 'diff') return runDiff(rest, values, around)
  if (name === 'explain') return runExplain(rest, values, around)
  if (name === 'help') return explainCommand(rest, around)
  if (name === 'completions') return runCompletions(rest, around)
  if (rest.length > 0) return refuseUsage(`${name} takes no argument: ${rest.join(' ')}`, around, name)
  if (name === 'version') return print(versionText(values.json), around)
  const run = RUNS.get(name)
  if (run === undefined) throw new Error(`nobody runs ${name}`)
  return withConfig(fileIn(values, around), values.json, around, (config, source) => run({ config, values, around, source }))
}

/** Of `gatehouse --help` all commands; of a command its own. */
function explainCommand(words: readonly string[], around: CommandProcess): number {
  if (words.length === 0) return print(usage(), around)
  const { name } = commandIn(words)
  const text = helpOf(name)
  return text === undefined ? refuseUsage(unknownCommand(name), around) : print(text, around)
}

async function runCompletions([shell = '', ...more]: readonly string[], around: CommandProcess): Promise<number> {
  // Nobody else needs it.
  const { completions } = await import('./completions.ts')
  return print(completions(more.length > 0 ? '' : shell), around)
}

function fileIn({ config }: Values, { environment }: CommandProcess): string {
  return config ?? (environment['GATEHOUSE_CONFIG'] || './gateway.yaml')
}

/** The file of breached passwords is too large to be read with the configuration. */
async function runCheck({ config, values: { json, strict }, around }: Invocation): Promise<number> {
  await openBreachedFile(config.accounts)
  print(check(config, json), around)
  return strict === true && config.warnings !== undefined ? 2 : 0
}

/** Two configurations in place of one. */
function runDiff(files: readonly string[], values: Values, around: CommandProcess): number | Promise<number> {
  const [old = '', now = '', ...more] = files
  if (now === '' || more.length > 0) return refuseUsage('diff needs two configurations: write diff OLD NEW', around, 'diff')
  return withConfig(old, values.json, around, (before) =>
    withConfig(now, values.json, around, async (after) => {
      const { diff } = await import('./diff.ts')
      return printed(diff(before, after, values.json), around)
    }),
  )
}

/** A request in place of options. */
function runExplain(request: readonly string[], values: Values, around: CommandProcess): number | Promise<number> {
  const [method = '', url = '', ...more] = request
  if (url === '' || more.length > 0)
    return refuseUsage('explain needs a method and a URL: write explain GET URL', around, 'explain')
  const { token, header: headers = [], ip, json } = values
  return withConfig(fileIn(values, around), json, around, async (config) => {
    const { explain } = await import('./explain.ts')
    return print(await explain(config, { method, url, token, headers, ip, json }), around)
  })
}

function runKeys(action: 'list' | 'rotate' | 'retire'): Run {
  return async ({ config, values: { tenant = '', kid, reason, json }, around }) => {
    const given = { tenant, json, ...(kid !== undefined && { kid }), ...(reason !== undefined && { reason }) }
    return print(await keys(action, config, given), around)
  }
}

function runMigrate(action: 'up' | 'down' | 'status'): Run {
  return async ({ config, values: { to, json }, around }) =>
    print(await migrate(action, config, { json, ...(to !== undefined && { to }) }), around)
}

function runClients({ config, values: { tenant = '', scopes = '', id, json }, around }: Invocation): number {
  return print(createClient(config, { tenant, scopes, json, ...(id !== undefined && { id }) }, randomBytes), around)
}

function runAuditVerify({ config, values: { head, json }, around }: Invocation): number {
  return printed(verifyAudit(config, head, json), around)
}

function runAuditList({ config, values, around }: Invocation): number {
  return print(listAudit(config, values), around)
}

function runAuditExport({ config, values, around }: Invocation): number {
  exportAudit(config, values.after, around.write)
  return 0
}

async function runDoctor({ config, values, around }: Invocation): Promise<number> {
  // It knows every storage there is, which no other command needs.
  const { doctor } = await import('./doctor.ts')
  return printed(await doctor(config, values.json), around)
}

/** A faulty configuration is wrong usage: all its faults, and exit code 2. */
async function withConfig(
  file: string,
  json: boolean,
  around: CommandProcess,
  run: (config: Config, source: StartSource) => number | Promise<number>,
): Promise<number> {
  const source = { file, environment: around.environment }
  try {
    const first = readSource(source, { text: around.member?.configuration })
    if (first.config === undefined) throw first.fault
    return await run(first.config, { ...source, first })
  } catch (error) {
    if (error instanceof ConfigError) {
      around.say(`${error.message}\n`)
      if (json) around.write(checkFaults(error.faults))
      return 2
    }
    if (error instanceof UsageError) throw error
    const message = reasonsOf(error).join(': ')
    around.say(`gatehouse: ${message}\n`)
    if (json) around.write(`${JSON.stringify({ ok: false, error: message })}\n`)
    return 1
  }
}

/** The message of a failure and those of its causes: what an operator can act on, without a stack. */
function reasonsOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)]
  // What clients would be answered is no reason.
  if (error instanceof Problem && error.cause !== undefined) return reasonsOf(error.cause)
  return error.cause === undefined ? [error.message] : [error.message, ...reasonsOf(error.cause)]
}

function print(text: string, around: CommandProcess): number {
  around.write(text)
  return 0
}

function printed({ text, code }: { readonly text: string; readonly code: number }, around: CommandProcess): number {
  around.write(text)
  return code
}

/** With the help of the command where it is known which one is meant. */
function refuseUsage(fault: string, around: CommandProcess, name = ''): number {
  around.say(`gatehouse: ${fault}\n\n${helpOf(name) ?? usage()}`)
  return 2
}

function versionText(json: boolean): string {
  return json ? `${JSON.stringify({ version: version() })}\n` : `${version()}\n`
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown'
}
