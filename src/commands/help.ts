import { CATALOGUE, type CommandFacts, factsOf, inGroup, type OptionFacts, optionsOf } from './catalogue.ts'

/** Every command in a line, and what is common to them. */
export function usage(): string {
  return `gatehouse COMMAND [--config FILE]

${listed(CATALOGUE)}
  --config FILE   the configuration; default: GATEHOUSE_CONFIG, else ./gateway.yaml
  --json          machine-readable output (all but start, completions, help)
  --help          of a command: its options and examples
  --version

Exit codes: 0 fine, 1 it ran and failed, 2 wrong usage or an invalid configuration.
`
}

/** Of one command, or the commands of a group; undefined where there is none of that name. */
export function helpOf(name: string): string | undefined {
  const facts = factsOf(name)
  if (facts !== undefined) return explained(facts)
  const group = inGroup(name)
  return group.length === 0 ? undefined : `gatehouse ${name} COMMAND\n\n${listed(group)}`
}

function listed(commands: readonly CommandFacts[]): string {
  const width = Math.max(...commands.map((one) => headOf(one).length))
  return commands.map((one) => `  ${headOf(one).padEnd(width)} ${one.what}\n`).join('')
}

/** The command with what it needs. */
function headOf({ name, words, options = [] }: CommandFacts): string {
  const needed = options.filter((one) => one.needed).map(({ name: option, value }) => `--${option} ${value}`)
  return [name, ...(words === undefined ? [] : [words]), ...needed].join(' ')
}

function explained(facts: CommandFacts): string {
  const options = optionsOf(facts).map((one) => [written(one), one.what] as const)
  const width = Math.max(...options.map(([left]) => left.length))
  const examples = facts.examples.map(([line, what]) => [`gatehouse ${line}`, what] as const)
  const wide = Math.max(...examples.map(([left]) => left.length))
  return `gatehouse ${headOf(facts)}${optional(facts)}

${facts.what.replace(/ \(--.*\)$/, '')}

${options.map(([left, what]) => `  ${left.padEnd(width)}  ${what}\n`).join('')}
${examples.map(([left, what]) => `  ${what === '' ? left : `${left.padEnd(wide)}  # ${what}`}\n`).join('')}`
}

function optional(facts: CommandFacts): string {
  return optionsOf(facts)
    .filter((one) => one.needed !== true && one.name !== 'help')
    .map((one) => ` [${written(one)}]`)
    .join('')
}

function written({ name, value }: OptionFacts): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`
}
