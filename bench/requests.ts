/**
 * Requests a second of one core, side by side: the gateway in its variants and what else does its work, or a part of it.
 *
 *     npm run bench -- peers [--rounds 5 --seconds 4]    the gateway beside everything that is installed
 *     npm run bench -- jwt-warm jwt-policy haproxy-jwt   some of them
 *
 * Run by bench/run.ts. Who is measured has the first core to itself; the load and the upstream share the second. Prints tables and
 * writes bench/results/peers.json or bench/results/requests.json.
 */
import { availableParallelism, cpus, loadavg } from 'node:os'
import { loadProgram, type Measured } from './rig/load.ts'
import { ratiosOf, rowOf, type Ratio, type Row } from './rig/figures.ts'
import { GATEWAYS } from './rig/gateways.ts'
import { haproxyJwt, PEERS } from './rig/peers.ts'
import { CLIENTS, startRig, WARM_TOKENS } from './rig/rig.ts'
import { measureInTurns, type Turns } from './rig/rounds.ts'
import type { Subject } from './rig/subjects.ts'
import { readResults, round2, saveResults } from './support/results.ts'

export const PEERS_NAME = 'peers'
export const REQUESTS_NAME = 'requests'
export const PEERS_FILE = 'peers.json'
export const REQUESTS_FILE = 'requests.json'

const COLD_PEERS = [
  haproxyJwt('haproxy-cold', 'RS256', 'checked', 'RS256 once'),
  haproxyJwt('haproxy-cold-es256', 'ES256', 'checked', 'ES256 once'),
] as const
const ALL: readonly Subject[] = [...GATEWAYS, ...PEERS, ...COLD_PEERS]
const BESIDE_PEERS = ['direct', 'pass-through', 'jwt-warm']

/** What features cost: each is compared with the other, which is measured with it. */
export const COSTS: readonly (readonly [of: string, to: string])[] = [
  ['jwt-cold', 'haproxy-cold'],
  ['jwt-cold-es256', 'haproxy-cold-es256'],
  ['jwt-cold-passport', 'jwt-cold'],
  ['jwt-policy', 'jwt-warm'],
  ['jwt-warm', 'logs-off'],
  ['reload-under-load', 'jwt-warm'],
  ['revocations-1m', 'redis'],
  ['redis-black-holed', 'redis'],
  ['body-down', 'body-down-direct'],
  ['body-up', 'body-up-direct'],
]
/** What is said of two that were measured in the same rounds. */
const PAIRS: typeof COSTS = [
  ...PEERS.map(({ name }) => ['jwt-warm', name] as const),
  ...['haproxy', 'nginx', 'caddy', 'http-proxy-3'].map((name) => ['pass-through', name] as const),
  ...COSTS,
]
/** Measured with the others where no names are given. */
const STANDARD = [
  'jwt-warm',
  'jwt-cold',
  'jwt-cold-passport',
  'haproxy-cold',
  'jwt-policy',
  'logs-off',
  'redis',
  'revocations-1m',
  'redis-black-holed',
  'reload-under-load',
  'body-down',
  'body-up',
]

export const REQUEST_NAMES: readonly string[] = ALL.map(({ name }) => name)

/** What `rows` and `ratios` of a file of results are. */
export interface RequestResults {
  readonly setting: ReturnType<typeof machine> &
    Turns & { readonly load: string; readonly upstream: string; readonly connections: number }
  readonly rows: readonly Row[]
  readonly ratios: readonly (Ratio & { readonly taken: Turns })[]
  /** Every round of each. */
  readonly rounds: Readonly<Record<string, readonly object[]>>
}

/** Measures the gateway and its peers, prints tables and writes results/peers.json. */
export async function benchPeers(turns: Turns): Promise<void> {
  saveResults(PEERS_FILE, await compare([...GATEWAYS.filter(({ name }) => BESIDE_PEERS.includes(name)), ...PEERS], turns))
}

/**
 * Results of others stay as they were taken.
 *
 * @param names - of {@link REQUEST_NAMES}; each is measured beside what it is compared with
 */
export async function benchRequests(turns: Turns, names: readonly string[] = STANDARD): Promise<void> {
  const now = await compare(subjectsOf(names), turns)
  const before = readResults(REQUESTS_FILE) as RequestResults | undefined
  const isNew = (name: string): boolean => now.rows.some((row) => row.name === name)
  saveResults(REQUESTS_FILE, {
    setting: now.setting,
    rows: [...(before?.rows.filter(({ name }) => !isNew(name)) ?? []), ...now.rows],
    ratios: [...(before?.ratios.filter(({ of, to }) => !isNew(of) && !isNew(to)) ?? []), ...now.ratios],
    rounds: { ...before?.rounds, ...now.rounds },
  } satisfies RequestResults)
}

/** Those of the names, and what they are compared with. */
export function subjectsOf(names: readonly string[]): readonly Subject[] {
  // Whoever asks for jwt-warm alone wants no gateway without a log beside it.
  const beside = COSTS.flatMap(([of, to]) => (of === 'jwt-warm' ? [[to, of]] : [[of, to]]))
  const wanted = new Set(names.flatMap((name) => [name, ...beside.filter(([one]) => one === name).flat()]))
  return ALL.filter(({ name }) => wanted.has(name))
}

/** Measures subjects beside each other and prints tables. */
export async function compare(subjects: readonly Subject[], turns: Turns): Promise<RequestResults> {
  const setting = { ...machine(), load: loadProgram(), connections: CLIENTS, tokens: WARM_TOKENS, ...turns }
  const rig = await startRig()
  try {
    const results = await measureInTurns(rig, subjects, turns)
    const rows = results.map(rowOf)
    const ratios = ratiosOf(results, PAIRS).map((ratio) => ({ ...ratio, taken: turns }))
    console.table(Object.fromEntries(rows.map((row) => [row.name, shown(row)])))
    console.table(Object.fromEntries(ratios.map(({ of, to, taken: _taken, ...ratio }) => [`${of} / ${to}`, ratio])))
    const rounds = Object.fromEntries(results.map(({ subject, rounds }) => [subject.name, rounds.map(roundOf)]))
    return { setting: { ...setting, upstream: rig.upstream.kind }, rows, ratios, rounds }
  } finally {
    await rig.stop()
  }
}

/** The machine, by what matters; never a name or a path of it. */
export function machine() {
  return { node: process.version, cores: availableParallelism(), processor: cpus()[0]?.model ?? 'unknown', loadBefore: loadavg() }
}

function shown({ name: _name, title: _title, ...row }: Row): object {
  return row
}

function roundOf({ perSecond, cpuMicros }: Measured) {
  return { perSecond: Math.round(perSecond), cpuMicros: round2(cpuMicros) }
}
