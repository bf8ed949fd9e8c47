/**
 * Writes what the last runs gave, from bench/results/*.json: the tables of docs/performance.md, the report bench/results/report.md, and
 * plots of bench/plots. Measures nothing.
 *
 *     npm run bench -- report
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { capacityFacts, capacityPart } from './report/capacity.ts'
import { peersPlot, latencyPlot } from './report/plots.ts'
import { reloadsPart, soakPart } from './report/soak.ts'
import { costsPart, figuresPart, peersPart } from './report/tables.ts'
import { RELOADS_FILE, type ReloadsResults } from './reloads.ts'
import { COSTS, PEERS_FILE, REQUESTS_FILE, type RequestResults } from './requests.ts'
import { SCENARIOS_FILE, type Table } from './scenarios.ts'
import { SOAK_FILE, type SoakResults } from './soak.ts'
import { withPart } from './support/markdown.ts'
import { readResults } from './support/results.ts'

export const REPORT_NAME = 'report'

const ROOT = join(import.meta.dirname, '..')
const DOCUMENT = join(ROOT, 'docs', 'performance.md')
const PLOTS = join(ROOT, 'bench', 'plots')
const NOTHING = 'Not measured yet.'

type Scenarios = Readonly<Record<string, { readonly rows: Table }>>

/** Writes every document and plot; what was not measured yet says so. */
export function writeReport(): void {
  const peers = readResults(PEERS_FILE) as RequestResults | undefined
  const requests = readResults(REQUESTS_FILE) as RequestResults | undefined
  const scenarios = (readResults(SCENARIOS_FILE) as Scenarios | undefined) ?? {}
  const parts: Readonly<Record<string, string>> = {
    peers: peers === undefined ? NOTHING : peersPart(peers),
    costs: requests === undefined ? NOTHING : costsPart(requests, COSTS),
    ...Object.fromEntries(
      ['latency', 'memory', 'start', 'websocket', 'login', 'acceptance'].map((name) => [name, partOf(scenarios, name)]),
    ),
    capacity: capacity(peers, scenarios),
  }
  const document = Object.entries(parts).reduce(
    (text, [name, part]) => withPart(text, name, part),
    readFileSync(DOCUMENT, 'utf8'),
  )
  writeFileSync(DOCUMENT, document)
  writeFileSync(join(ROOT, 'bench', 'results', 'report.md'), loadTestReport(parts))
  mkdirSync(PLOTS, { recursive: true })
  for (const [name, picture] of pictures(peers, scenarios)) writeFileSync(join(PLOTS, name), picture)
  console.error('wrote docs/performance.md, bench/results/report.md and bench/plots')
}

function partOf(scenarios: Scenarios, name: string): string {
  const found = scenarios[name]
  return found === undefined ? NOTHING : figuresPart(found.rows)
}

function capacity(peers: RequestResults | undefined, scenarios: Scenarios): string {
  const requestsPerSecond = peers?.rows.find(({ name }) => name === 'jwt-warm')?.perSecond
  const memory = scenarios['memory']?.rows
  return capacityPart(
    capacityFacts({
      sessions: (readResults('sessions.json') as object | undefined) ?? {},
      replica: (readResults('replica.json') as object | undefined) ?? {},
      usernames: (readResults('usernames.json') as object | undefined) ?? {},
      ...(memory === undefined ? {} : { memory }),
      ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
    }),
  )
}

function pictures(
  peers: RequestResults | undefined,
  scenarios: Scenarios,
): readonly (readonly [name: string, picture: string])[] {
  const latency = scenarios['latency']?.rows
  return [
    ...(peers === undefined ? [] : peersPlot(peers.rows)),
    ...(latency === undefined ? [] : [['latency.svg', latencyPlot(latency)] as const]),
  ]
}

interface TableFile {
  readonly rows?: readonly Readonly<Record<string, unknown>>[]
}

/** Every table of results in one file. */
function loadTestReport(parts: Readonly<Record<string, string>>): string {
  const own = Object.entries(parts).flatMap(([name, part]) => [`## ${name}`, part])
  const others = [
    ['sessions', 'sessions.json', 'scenario'],
    ['workers', 'workers.json', 'workers'],
  ].flatMap(([title = '', file = '', key = '']) => {
    const rows = (readResults(file) as TableFile | undefined)?.rows
    return rows === undefined ? [] : [`## ${title}`, figuresPart(byKey(rows, key))]
  })
  const soak = readResults(SOAK_FILE) as SoakResults | undefined
  const reloads = readResults(RELOADS_FILE) as ReloadsResults | undefined
  const long = [
    ...(soak === undefined ? [] : ['## soak', soakPart(soak)]),
    ...(reloads === undefined ? [] : ['## reloads', reloadsPart(reloads)]),
  ]
  const head = `# Load tests

Written by \`npm run bench -- report\` from the files beside it. What is measured and how is in [bench/README.md](../README.md); how to read it in
[docs/performance.md](../../docs/performance.md). Usernames have [a report of their own](usernames.md).`
  return `${[head, ...own, ...others, ...long].join('\n\n')}\n`
}

function byKey(rows: readonly Readonly<Record<string, unknown>>[], key: string): Table {
  const isShown = (value: unknown): boolean => ['number', 'string'].includes(typeof value) && value !== ''
  return Object.fromEntries(
    rows.map((row) => {
      const cells = Object.entries(row).filter(([name, value]) => name !== key && isShown(value))
      return [String(row[key]), Object.fromEntries(cells) as Readonly<Record<string, number | string>>]
    }),
  )
}
