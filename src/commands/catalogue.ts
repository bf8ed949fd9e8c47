/**
 * What commands there are, and what each takes: for reading arguments, for help and for completions.
 *
 * @module
 */

/** An option of one command, or of all. */
export interface OptionFacts {
  readonly name: OptionName
  /** Stands for its value in the help; absent: it takes none. */
  readonly value?: string
  readonly what: string
  readonly needed?: true
  readonly takes?: 'files'
}

export interface CommandFacts {
  /** One word, or two. */
  readonly name: string
  /** What follows the name: `METHOD URL`. */
  readonly words?: string
  readonly takes?: 'files' | 'shells'
  readonly what: string
  readonly options?: readonly OptionFacts[]
  /** Absent: it takes --json. */
  readonly json?: false
  /** Absent: it takes --config. */
  readonly config?: false
  /** What follows `gatehouse`, and what for. */
  readonly examples: readonly (readonly [line: string, what: string])[]
}

export const OPTION_NAMES = [
  ...([
    'after',
    'config',
    'event',
    'head',
    'header',
    'help',
    'id',
    'ip',
    'json',
    'kid',
    'limit',
    'reason',
    'scopes',
    'since',
  ] as const),
  ...(['strict', 'tenant', 'to', 'token', 'user', 'version'] as const),
] as const
export type OptionName = (typeof OPTION_NAMES)[number]

export const SHELLS = ['bash', 'zsh', 'fish'] as const

const TENANT = { name: 'tenant', value: 'T', what: 'id of the tenant', needed: true } as const
const REASON = { name: 'reason', value: 'TEXT', what: 'why, for the audit record' } as const

/** Options of nearly every command. */
export const CONFIG_OPTION: OptionFacts = {
  name: 'config',
  value: 'FILE',
  what: 'the configuration; default: GATEHOUSE_CONFIG, else ./gateway.yaml',
  takes: 'files',
}
export const JSON_OPTION: OptionFacts = { name: 'json', what: 'machine-readable output' }
export const HELP_OPTION: OptionFacts = { name: 'help', what: 'says this' }

export const CATALOGUE: readonly CommandFacts[] = [
  {
    name: 'start',
    what: 'runs the gateway (the default)',
    json: false,
    examples: [
      ['start', 'with ./gateway.yaml'],
      ['start --config /etc/gatehouse/gateway.yaml', 'with another file'],
    ],
  },
  {
    name: 'check',
    what: 'reads the configuration and reports every fault and warning (--strict: a warning is a fault)',
    options: [{ name: 'strict', what: 'ends with 2 where there is a warning' }],
    examples: [
      ['check', 'before a reload'],
      ['check --strict --json', 'in a pipeline'],
    ],
  },
  {
    name: 'diff',
    words: 'OLD NEW',
    takes: 'files',
    config: false,
    what: 'shows what changes in access from one configuration to the other; exit code 1: it is wider',
    examples: [['diff deployed.yaml gateway.yaml', 'in a review']],
  },
  {
    name: 'routes',
    what: 'lists each route and who may use it',
    examples: [
      ['routes', ''],
      ['routes --json', ''],
    ],
  },
  {
    name: 'explain',
    words: 'METHOD URL',
    what: 'what would become of a request, and why (--token T, --header "NAME: VALUE", --ip ADDRESS)',
    options: [
      { name: 'token', value: 'T', what: 'sent as a bearer token; it is not repeated' },
      { name: 'header', value: '"NAME: VALUE"', what: 'a further header; may be there several times' },
      { name: 'ip', value: 'ADDRESS', what: 'where it comes from; default: 127.0.0.1' },
    ],
    examples: [
      ['explain GET /api/orders', 'without a token'],
      ['explain GET http://acme.example/api --token "$TOKEN" --ip 203.0.113.9', 'of a user elsewhere'],
    ],
  },
  {
    name: 'tenants list',
    what: 'shows the tenants, with their names and since when they are there',
    examples: [
      ['tenants list', ''],
      ['tenants list --json', 'times in seconds since 1970'],
    ],
  },
  {
    name: 'keys list',
    what: 'shows the signing keys of a tenant',
    options: [TENANT],
    examples: [['keys list --tenant default', '']],
  },
  {
    name: 'keys rotate',
    what: 'makes the next key sign, or publishes one that will',
    options: [TENANT, REASON],
    examples: [['keys rotate --tenant acme --reason "quarterly"', 'twice in a row it takes publishBefore in between']],
  },
  {
    name: 'keys retire',
    what: 'ends a key at once, and every token that it signed (--reason TEXT)',
    options: [TENANT, { name: 'kid', value: 'K', what: 'the key, as keys list shows it', needed: true }, REASON],
    examples: [['keys retire --tenant acme --kid rLx… --reason "leaked"', 'its users refresh, and go on']],
  },
  {
    name: 'clients create',
    what: 'makes the secret of a client and what to add to the configuration (--id NAME)',
    options: [
      TENANT,
      { name: 'scopes', value: 'S', what: 'with commas or spaces between them', needed: true },
      { name: 'id', value: 'NAME', what: 'its client_id; default: one is made up' },
    ],
    examples: [['clients create --tenant acme --id billing --scopes sessions:write,sessions:read', '']],
  },
  {
    name: 'audit verify',
    what: 'walks the audit record of this machine (--head SEQ:HASH, which it must hold)',
    options: [{ name: 'head', value: 'SEQ:HASH', what: 'as an earlier walk printed it' }],
    examples: [
      ['audit verify', 'exit code 1: it was changed'],
      ['audit verify --head 4711:9f2c…', 'what was noted elsewhere is still there'],
    ],
  },
  {
    name: 'audit list',
    what: 'shows what was recorded last (--tenant T, --user U, --event E, --since 2h, --limit N)',
    options: [
      { name: 'tenant', value: 'T', what: 'of this tenant alone' },
      { name: 'user', value: 'U', what: 'of the user with this id alone' },
      { name: 'event', value: 'E', what: 'these events alone, with commas between them' },
      { name: 'since', value: 'TIME', what: 'not older than 30m, 2h, 7d, or than a date such as 2026-03-01T12:00:00Z' },
      { name: 'limit', value: 'N', what: 'rows at most, 1 to 10000; default: 50' },
    ],
    examples: [
      ['audit list --event authn_login_fail --since 1h', ''],
      ['audit list --user usr_4f… --limit 500 --json', 'for a report'],
    ],
  },
  {
    name: 'audit export',
    what: 'prints the rows in their order, one JSON value for each line (--after SEQ)',
    options: [{ name: 'after', value: 'SEQ', what: 'those behind this one; default: all' }],
    examples: [['audit export --after 4711 >> audit.jsonl', 'what is new since the last time']],
  },
  { name: 'migrate status', what: 'lists the migrations of the accounts database', examples: [['migrate status', '']] },
  {
    name: 'migrate up',
    what: 'applies those that are pending (--to N, the last one to apply)',
    options: [{ name: 'to', value: 'N', what: 'the last one to apply; default: all' }],
    examples: [['migrate up', '']],
  },
  {
    name: 'migrate down',
    what: 'takes back the newest one, or all after one (--to N; 0 is all)',
    options: [{ name: 'to', value: 'N', what: 'the last one that stays; 0: none' }],
    examples: [['migrate down --to 6', 'data of those that are taken back is gone']],
  },
  {
    name: 'doctor',
    what: 'looks whether all that the gateway needs is there, and tries a revocation',
    examples: [
      ['doctor', 'before the first start, and when something is odd; exit code 1: something fails'],
      ['doctor --json', 'for a monitor'],
    ],
  },
  {
    name: 'completions',
    words: 'SHELL',
    takes: 'shells',
    json: false,
    config: false,
    what: 'prints the completions of bash, zsh or fish',
    examples: [
      ['completions bash', 'in ~/.bashrc: eval "$(gatehouse completions bash)"'],
      ['completions zsh', 'in ~/.zshrc: eval "$(gatehouse completions zsh)"'],
      ['completions fish', 'into ~/.config/fish/completions/gatehouse.fish'],
    ],
  },
  { name: 'version', config: false, what: 'tells the version', examples: [['version --json', '']] },
  {
    name: 'help',
    words: 'COMMAND',
    json: false,
    config: false,
    what: 'explains a command, with examples',
    examples: [['help keys rotate', 'as gatehouse keys rotate --help']],
  },
]

/** First words of commands that have two. */
export const GROUPS: ReadonlySet<string> = new Set(
  CATALOGUE.flatMap(({ name }) => (name.includes(' ') ? name.split(' ', 1) : [])),
)

export function factsOf(name: string): CommandFacts | undefined {
  return CATALOGUE.find((one) => one.name === name)
}

/** All that it takes, its own first. */
export function optionsOf({ options = [], json, config }: CommandFacts): readonly OptionFacts[] {
  const shared = [...(config === false ? [] : [CONFIG_OPTION]), ...(json === false ? [] : [JSON_OPTION]), HELP_OPTION]
  return [...options, ...shared]
}

/** The commands of a group; all of them where there is no such group. */
export function inGroup(group: string): readonly CommandFacts[] {
  return CATALOGUE.filter(({ name }) => name.startsWith(`${group} `))
}
