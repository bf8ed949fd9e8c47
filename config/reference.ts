/** The page of every key of `gateway.yaml`, made from its JSON Schema, so that it cannot say anything else. */
import { schemaFileText } from '../src/config/schema-file.ts'

/** A node of a JSON Schema, as far as the page shows it. */
interface Node {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: string | number | boolean
  readonly enum?: readonly (string | number | boolean)[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly additionalProperties?: Node | boolean
  readonly items?: Node
  readonly anyOf?: readonly Node[]
}

const HEAD = `# Every key

<!-- Written by \`npm run schema\` from the grammar of src/config: change it there. -->

Every key of \`gateway.yaml\`, as the gateway itself reads it: this page is made from [\`config/gateway.schema.json\`](../config/gateway.schema.json), and a test holds that it is up to date. What keys do together, what
is insecure and what cannot be had at once is in [configuration](configuration.md); whole files are in [config/examples](../config/examples).

\`*\` stands for a name that you choose, \`[]\` for each entry of a list. Durations are written \`50ms 10s 15m 12h 30d\`, sizes \`16KiB 10MiB\`, percentages \`50%\`; a value may be \`\${NAME}\` or \`\${NAME:-default}\`, taken from
the environment. A key that is not here is a fault. **Bold** keys are required where their section is there.
`

/** What values look like, by what they have to match. */
const FORMS: readonly (readonly [part: string, form: string])[] = [
  ['(ms|s|m|h|d)$', 'duration'],
  ['KiB|MiB', 'size'],
  ['%$', 'percentage'],
  ['^https?://', 'URL'],
  ['rediss?://', 'Redis URL'],
  ['(postgres|', 'database URL'],
  ['/[smh]$', 'rate, such as `20/m`'],
  [':[0-9]{1,5}$', 'HOST:PORT'],
]

/** The page as text. `docs/configuration-reference.md` holds it to the letter. */
export function referenceText(): string {
  const root: Node = JSON.parse(schemaFileText())
  const sections = Object.entries(root.properties ?? {}).map(([key, node]) => sectionOf(key, node))
  return `${HEAD}\n${sections.join('\n')}`
}

function sectionOf(key: string, node: Node): string {
  const about = node.description === undefined ? '' : `${node.description}\n\n`
  const all = keysOf(key, node, false)
  // What the section says of itself stands above the table already, unless it is a key itself.
  const rows = all.length > 1 && node.anyOf === undefined ? all.filter((row) => !row.startsWith(`| \`${key}\` |`)) : all
  return `## ${key}\n\n${about}| key | value | default | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`
}

/** The row of a key, and those of what is below it. */
function keysOf(path: string, node: Node, isRequired: boolean): string[] {
  const below = mappingsOf(node, path)
  const rows = below.flatMap(({ at, mapping }) =>
    Object.entries(mapping.properties ?? {}).flatMap(([key, inner]) =>
      keysOf(`${at}.${key}`, inner, mapping.required?.includes(key) ?? false),
    ),
  )
  const isSecret = rows.length > 0 && below.every(({ mapping }) => isSecretMapping(mapping))
  const own = `| ${isRequired ? '**' : ''}\`${path}\`${isRequired ? '**' : ''} | ${escaped(valueOf(node))} | ${defaultOf(node)} | ${escaped(node.description ?? '')} |`
  if (rows.length === 0 || isSecret) return [own]
  // A mapping without a word of its own says nothing that its keys do not.
  return node.description === undefined && node.anyOf === undefined ? unique(rows) : [own, ...unique(rows)]
}

/** Where keys of their own begin: in the node itself, for each name, for each entry, or for one way of writing it. */
function mappingsOf(node: Node, path: string): { at: string; mapping: Node }[] {
  if (node.properties !== undefined) return [{ at: path, mapping: node }]
  if (typeof node.additionalProperties === 'object') return mappingsOf(node.additionalProperties, `${path}.*`)
  if (node.items !== undefined) return mappingsOf(node.items, `${path}[]`)
  const ways = node.anyOf ?? []
  const isEither = ways.some((way) => way.properties !== undefined)
  return ways.filter((way) => !(isEither && way.items !== undefined)).flatMap((way) => mappingsOf(way, path))
}

function isSecretMapping({ properties = {} }: Node): boolean {
  return Object.keys(properties).every((key) => key === 'env' || key === 'file')
}

/** What may be written, in a few words. A reference to the environment may stand everywhere and is not said each time. */
function valueOf(node: Node): string {
  if (node.const !== undefined) return `\`${String(node.const)}\``
  if (node.enum !== undefined) return node.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (node.anyOf !== undefined) return unique(node.anyOf.filter((way) => !isReference(way)).map(valueOf)).join(', or ')
  if (node.items !== undefined) return `list: ${valueOf(node.items)}`
  if (node.properties !== undefined)
    return isSecretMapping(node) ? `\`{ ${Object.keys(node.properties).join(', ')} }\`` : 'mapping'
  if (typeof node.additionalProperties === 'object') return `names, and for each: ${valueOf(node.additionalProperties)}`
  if (node.type === 'integer' || node.type === 'number') return rangeOf(node)
  if (node.type === 'boolean') return '`true`, `false`'
  return textOf(node)
}

function isReference({ pattern, type }: Node): boolean {
  return type === 'string' && pattern === '\\$\\{'
}

function rangeOf({ minimum, maximum }: Node): string {
  if (minimum === undefined && maximum === undefined) return 'number'
  return `${minimum ?? '…'} – ${maximum ?? '…'}`
}

function textOf({ pattern, maxLength }: Node): string {
  const [, form] = FORMS.find(([part]) => pattern?.includes(part)) ?? []
  if (form !== undefined) return form
  return maxLength === undefined || maxLength >= 1024 ? 'text' : `text, at most ${maxLength} characters`
}

function defaultOf({ default: value }: Node): string {
  const isShown = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  return isShown ? `\`${String(value)}\`` : '–'
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|')
}
