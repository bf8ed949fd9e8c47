import { CATALOGUE, type CommandFacts, GROUPS, inGroup, type OptionFacts, optionsOf, SHELLS } from './catalogue.ts'
import { UsageError } from './usage.ts'

/**
 * The completions of a shell, as text that it reads.
 *
 * @throws UsageError for a shell that is none of ours
 */
export function completions(shell: string): string {
  if (shell === 'bash') return bash()
  if (shell === 'zsh') return zsh()
  if (shell === 'fish') return fish()
  throw new UsageError(`completions: write completions ${SHELLS.join(', completions ')}`)
}

/** Every option with its value, once. */
const OPTIONS: readonly OptionFacts[] = [...new Map(CATALOGUE.flatMap(optionsOf).map((one) => [one.name, one])).values()]
const WITH_FILE = flags((one) => one.takes === 'files')
const WITH_VALUE = flags((one) => one.value !== undefined)

function flags(has: (one: OptionFacts) => boolean): readonly string[] {
  return OPTIONS.filter(has).map(({ name }) => `--${name}`)
}

interface Choice {
  readonly word: string
  readonly what: string
}

/** What may follow: nothing said yet, the first word of a group, or a whole command. */
function places(): readonly (readonly [said: string, choices: readonly Choice[]])[] {
  const first = [
    ...[...GROUPS].map((group) => ({ word: group, what: inGroup(group).map(secondOf).join(', ') })),
    ...CATALOGUE.filter(({ name }) => !name.includes(' ')).map(({ name, what }) => ({ word: name, what })),
  ]
  const groups = [...GROUPS].map(
    (group) => [group, inGroup(group).map((one) => ({ word: secondOf(one), what: one.what }))] as const,
  )
  return [['', first], ...groups, ...CATALOGUE.map((one) => [one.name, choicesOf(one)] as const)]
}

function choicesOf(facts: CommandFacts): readonly Choice[] {
  const shells = facts.takes === 'shells' ? SHELLS.map((word) => ({ word, what: 'a shell' })) : []
  return [...shells, ...optionsOf(facts).map(({ name, what }) => ({ word: `--${name}`, what }))]
}

function secondOf({ name }: CommandFacts): string {
  return name.slice(name.indexOf(' ') + 1)
}

function bash(): string {
  const cases = places().map(([said, choices]) => `    '${said}') words='${choices.map(({ word }) => word).join(' ')}' ;;`)
  return `# Completions of gatehouse for bash: eval "$(gatehouse completions bash)"
_gatehouse() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" said='' words='' i
  COMPREPLY=()
  case "$prev" in
    ${WITH_FILE.join('|')}) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    ${WITH_VALUE.filter((one) => !WITH_FILE.includes(one)).join('|')}) return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      ${WITH_VALUE.join('|')}) ((i++)) ;;
      -*) ;;
      *) said="\${said:+$said }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$said" in
${cases.join('\n')}
    'diff '*) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [[ "$said" == diff && "$cur" != -* ]]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
}
complete -F _gatehouse gatehouse
`
}

function zsh(): string {
  const cases = places().map(([said, choices]) => {
    const list = choices.map(({ word, what }) => `'${word}:${quoted(what).replaceAll(':', '\\:')}'`)
    return `    ('${said}') choices=(${list.join(' ')}) ;;`
  })
  return `#compdef gatehouse
# Completions of gatehouse for zsh: eval "$(gatehouse completions zsh)"
_gatehouse() {
  local said='' i
  local -a choices
  case "$words[CURRENT-1]" in
    (${WITH_FILE.join('|')}) _files; return ;;
    (${WITH_VALUE.filter((one) => !WITH_FILE.includes(one)).join('|')}) return ;;
  esac
  for ((i = 2; i < CURRENT; i++)); do
    case "$words[i]" in
      (${WITH_VALUE.join('|')}) ((i++)) ;;
      (-*) ;;
      (*) said="\${said:+$said }$words[i]" ;;
    esac
  done
  case "$said" in
${cases.join('\n')}
  esac
  [[ "$said" == diff* ]] && _files
  _describe gatehouse choices
}
compdef _gatehouse gatehouse
`
}

function fish(): string {
  const lines = CATALOGUE.flatMap((facts) => {
    const [first = '', second] = facts.name.split(' ')
    const seen = `__fish_seen_subcommand_from ${first}${second === undefined ? '' : `; and __fish_seen_subcommand_from ${second}`}`
    const shells = facts.takes === 'shells' ? [`complete -c gatehouse -n '${seen}' -a '${SHELLS.join(' ')}'`] : []
    const files = facts.takes === 'files' ? [`complete -c gatehouse -n '${seen}' -F`] : []
    return [...shells, ...files, ...optionsOf(facts).map((one) => fishOption(seen, one))]
  })
  const firsts = places()
    .slice(0, 1)
    .flatMap(([, choices]) => choices.map((one) => fishWord('__fish_use_subcommand', one)))
  const seconds = [...GROUPS].flatMap((group) => {
    const names = inGroup(group).map(secondOf).join(' ')
    const where = `__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${names}`
    return inGroup(group).map((one) => fishWord(where, { word: secondOf(one), what: one.what }))
  })
  return `# Completions of gatehouse for fish: gatehouse completions fish > ~/.config/fish/completions/gatehouse.fish
complete -c gatehouse -f
${[...firsts, ...seconds, ...lines].join('\n')}
`
}

function fishWord(where: string, { word, what }: Choice): string {
  return `complete -c gatehouse -n '${where}' -a ${word} -d '${quoted(what)}'`
}

function fishOption(seen: string, { name, value, takes, what }: OptionFacts): string {
  const files = takes === 'files' ? ' -r -F' : ' -x'
  return `complete -c gatehouse -n '${seen}' -l ${name}${value === undefined ? '' : files} -d '${quoted(what)}'`
}

/** Between single quotes. */
function quoted(text: string): string {
  return text.replaceAll("'", '’').replaceAll('\\', '/')
}
