import { parseArgs } from 'node:util'
import { didYouMean } from '../config/config.ts'
import { CATALOGUE, type CommandFacts, GROUPS, inGroup, OPTION_NAMES, type OptionName, optionsOf } from './catalogue.ts'

export type Values = ReturnType<typeof readArguments>['values']

/** @throws Error of `parseArgs`, which {@link faultOfArguments} puts in words */
export function readArguments(args: readonly string[]) {
  return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS })
}

/** What is wrong with the options of a command; undefined: nothing. */
export function faultOfOptions(facts: CommandFacts, values: Values): string | undefined {
  const { name } = facts
  const own = optionsOf(facts)
  if (values.json && facts.json === false) return `${name} takes no --json`
  if (values.config === '') return '--config needs the name of a file'
  const missing = own.find((option) => option.needed === true && !values[option.name])
  if (missing !== undefined) return `${name} needs --${missing.name}`
  const known = new Set(own.map((option) => option.name))
  const extra = OPTION_NAMES.find((option) => values[option] !== undefined && values[option] !== false && !known.has(option))
  return extra === undefined ? undefined : `${name} takes no --${extra}`
}

/** The command, of one word or two, and what follows it. */
export function commandIn(positionals: readonly string[]): { readonly name: string; readonly rest: readonly string[] } {
  const [first = 'start', second, ...more] = positionals
  if (GROUPS.has(first) && second !== undefined) return { name: `${first} ${second}`, rest: more }
  return { name: first, rest: second === undefined ? [] : [second, ...more] }
}

/** What to write in place of a command that there is not. */
export function unknownCommand(name: string): string {
  const [group = '', second] = name.split(' ')
  if (!GROUPS.has(group)) return `unknown command: ${name}${didYouMean(name, [...CATALOGUE.map((one) => one.name), ...GROUPS])}`
  const known = inGroup(group).map((one) => one.name)
  const seconds = known.map((one) => one.slice(group.length + 1))
  return `${group}: write ${known.join(', ')}${second === undefined ? '' : didYouMean(second, seconds)}`
}

/** The first sentence: what follows tells how to write a value that starts with a dash. */
export function faultOfArguments(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const first = message.split(/\. |\n/, 1).join('')
  const [, written] = /^Unknown option '--([^']{1,64})'/.exec(first) ?? []
  return written === undefined
    ? first
    : `${first}${didYouMean(
        `--${written}`,
        OPTION_NAMES.map((name) => `--${name}`),
      )}`
}

const OPTIONS = {
  config: { type: 'string' },
  tenant: { type: 'string' },
  kid: { type: 'string' },
  reason: { type: 'string' },
  scopes: { type: 'string' },
  id: { type: 'string' },
  user: { type: 'string' },
  event: { type: 'string' },
  since: { type: 'string' },
  limit: { type: 'string' },
  after: { type: 'string' },
  head: { type: 'string' },
  to: { type: 'string' },
  token: { type: 'string' },
  header: { type: 'string', multiple: true },
  ip: { type: 'string' },
  strict: { type: 'boolean' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  version: { type: 'boolean', default: false },
} as const satisfies Readonly<Record<OptionName, object>>
