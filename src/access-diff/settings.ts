import { describeConfig, isSame, type Config } from '../config/config.ts'
import { type Change, DANGER, difference, type Effect, effectOfLimit, effectOfList } from './change.ts'

/** How a setting is read: a list of what is let in, a limit that lets more in the higher it is, words in the order in which they do. */
type Reading = 'list' | 'limit' | 'other' | readonly string[]

interface Rule {
  /** Keys with `*` for any one; what lies below belongs to it. */
  readonly path: string
  readonly reads: Reading
  /** Whose word counts: worse than a limit that was moved. */
  readonly isTrust?: true
}

/** The first that fits. What none fits has nothing to do with access. */
const RULES: readonly Rule[] = [
  { path: 'insecure', reads: 'list', isTrust: true },
  { path: 'issuers.*.algorithms', reads: 'list', isTrust: true },
  { path: 'issuers.*.audiences', reads: 'list', isTrust: true },
  { path: 'issuers.*.maxLifetimeSeconds', reads: 'limit' },
  { path: 'issuers.*.clockSkewSeconds', reads: 'limit' },
  { path: 'issuers.*', reads: 'other', isTrust: true },
  { path: 'clients.*.scopes', reads: 'list', isTrust: true },
  { path: 'clients.*', reads: 'other', isTrust: true },
  { path: 'tenants.*.registration', reads: ['closed', 'open'] },
  { path: 'tenants.*.loginScopes', reads: 'list' },
  { path: 'tenants.*.refreshToken.rotation', reads: ['true', 'false'] },
  { path: 'tenants.*.refreshToken', reads: 'limit' },
  { path: 'tenants.*.accessToken.lifetimeSeconds', reads: 'limit' },
  { path: 'tenants.*.clockSkewSeconds', reads: 'limit' },
  { path: 'tenants.*.throttle', reads: 'limit' },
  { path: 'tenants.*.audience', reads: 'other' },
  { path: 'tenants.*.issuer', reads: 'other' },
  { path: 'tenants.*.hosts', reads: 'other' },
  { path: 'tenants.*.countries', reads: 'other' },
  { path: 'tenants.*.anomalies', reads: 'other' },
  { path: 'geography', reads: 'other', isTrust: true },
  { path: 'revocation.legacyChannel.publishRawToken', reads: ['false', 'true'] },
  { path: 'identity', reads: 'other' },
  { path: 'listeners.public.trustedProxies', reads: 'list', isTrust: true },
  { path: 'listeners.public.proxyProtocol', reads: ['false', 'true'], isTrust: true },
  { path: 'listeners.public.tls.clientCa', reads: 'other', isTrust: true },
  { path: 'listeners.public.tls.minVersion', reads: ['TLSv1.3', 'TLSv1.2'] },
  { path: 'listeners.public.redirect', reads: 'other' },
  { path: 'listeners.public.hsts', reads: 'other' },
  { path: 'listeners.public.origin', reads: 'other' },
  { path: 'listeners.admin', reads: 'other' },
  { path: 'upstreams.*.targets', reads: 'other' },
  { path: 'upstreams.*.tls.verify', reads: ['true', 'false'], isTrust: true },
  { path: 'storage.sessions', reads: 'other' },
  { path: 'storage.accounts', reads: 'other' },
]

/** What is there or not as a whole: an issuer, a client, a tenant. */
const MEMBERS = ['issuers', 'clients', 'tenants'] as const

export function compareSettings(before: Config, after: Config): readonly Change[] {
  const members = MEMBERS.flatMap((section) => compareMembers(section, before, after))
  const gone = new Set(members.map(({ where }) => where))
  // Where an upstream comes or goes, routes lead elsewhere: that is told of them.
  for (const name of new Set(before.upstreams.keys()).symmetricDifference(after.upstreams)) gone.add(`upstreams.${name}`)
  const [old, now] = [settingsOf(before), settingsOf(after)]
  const settings = [...new Set([...old.keys(), ...now.keys()])].flatMap((path) => {
    const rule = RULES.find((one) => isUnder(path, one.path))
    if (rule === undefined || gone.has(path.split('.').slice(0, 2).join('.'))) return []
    return compareValues(path, rule, old.get(path) ?? [], now.get(path) ?? [])
  })
  return [...members, ...settings, ...compareSecrets(before, after)]
}

function compareMembers(section: (typeof MEMBERS)[number], before: Config, after: Config): readonly Change[] {
  const [old, now] = [new Set(before[section].keys()), new Set(after[section].keys())]
  return [
    ...[...now.difference(old)].map((name) => ({
      ...difference(section, 'none', name, 'wider'),
      danger: DANGER.trust,
      where: `${section}.${name}`,
    })),
    ...[...old.difference(now)].map((name) => ({
      ...difference(section, name, 'none', 'narrower'),
      where: `${section}.${name}`,
    })),
  ]
}

function compareValues(
  path: string,
  { reads, isTrust }: Rule,
  before: readonly string[],
  after: readonly string[],
): readonly Change[] {
  if (before.length === after.length && before.every((one, at) => one === after[at])) return []
  const effect = effectOf(reads, before, after)
  const [what = path] = path.split('.').slice(-1)
  const change = difference(what, said(before), said(after), effect)
  const danger = isTrust === true && effect !== 'narrower' ? DANGER.trust : change.danger
  return [{ ...change, danger, effect: isTrust === true && effect === 'other' ? 'wider' : effect, where: path }]
}

/** Certificates are too long to read, and tell nobody anything. */
function said(values: readonly string[]): string {
  const text = values.join(', ') || 'none'
  return text.length > LONGEST ? `${text.length} characters` : text
}

const LONGEST = 500

function effectOf(reads: Reading, before: readonly string[], after: readonly string[]): Effect {
  if (reads === 'other') return 'other'
  if (reads === 'list') return effectOfList(before, after)
  const rank = (value: string | undefined) => (reads === 'limit' ? Number(value ?? Infinity) : reads.indexOf(value ?? ''))
  return effectOfLimit(rank(before[0]), rank(after[0]))
}

/** Secrets are compared, and never shown: another one is another holder. */
function compareSecrets(before: Config, after: Config): readonly Change[] {
  const told = (where: string): Change => ({ ...difference('keys', 'some', 'others', 'wider'), danger: DANGER.trust, where })
  const issuers = [...after.issuers].flatMap(([name, { keys }]) => {
    const old = before.issuers.get(name)?.keys
    const both = keys.kind === 'secrets' && old?.kind === 'secrets'
    return both && !isSame(keys.secrets, old.secrets) ? [told(`issuers.${name}.secrets`)] : []
  })
  const clients = [...after.clients].flatMap(([id, client]) => {
    const old = before.clients.get(id)
    return old === undefined || isSame(client.secret, old.secret) ? [] : [told(`clients.${id}.secret`)]
  })
  return [...issuers, ...clients]
}

/** The settings, with paths of files as they are from the folder of the configuration: the two may be in different ones. */
function settingsOf(config: Config): ReadonlyMap<string, readonly string[]> {
  const folder = config.file.slice(0, config.file.lastIndexOf('/') + 1)
  const relative = (value: string) => (value.startsWith(folder) ? value.slice(folder.length) : value)
  return new Map(Array.from(leavesOf(describeConfig(config), ''), ([path, values]) => [path, values.map(relative)]))
}

/** Values by their path; a list of plain values is one. */
function leavesOf(value: unknown, path: string): ReadonlyMap<string, readonly string[]> {
  if (typeof value !== 'object' || value === null) return new Map([[path, [String(value)]]])
  if (Array.isArray(value))
    return new Map([[path, value.map((one: unknown) => (typeof one === 'string' ? one : JSON.stringify(one)))]])
  return new Map(Object.entries(value).flatMap(([key, inner]) => [...leavesOf(inner, path === '' ? key : `${path}.${key}`)]))
}

function isUnder(path: string, rule: string): boolean {
  const steps = path.split('.')
  return rule.split('.').every((step, at) => step === '*' || step === steps[at])
}
