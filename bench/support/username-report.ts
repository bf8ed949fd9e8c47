/** Writes results/usernames.md and plots/usernames-*.svg from results/usernames.json. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { UsernameMeasured } from '../usernames.ts'
import { plotBars, plotLines } from './plot.ts'
import { crowdReport } from './username-crowd-report.ts'
import type { CrowdStep } from './username-crowd.ts'

interface Results {
  readonly setting: {
    readonly node: string
    readonly takenNames: number
    readonly loadBefore: readonly number[]
  }
  readonly start?: { readonly readyMs: number; readonly filterMs: number }
  readonly 'username-cold'?: UsernameMeasured
  readonly 'username-checks'?: UsernameMeasured
  readonly 'username-ceiling'?: UsernameMeasured
  readonly 'username-crowd'?: readonly CrowdStep[]
  readonly 'username-entries'?: Readonly<Record<'lookedAt' | 'least' | 'mean' | 'most' | 'megabytesPerMillion', number>>
  readonly 'username-filter'?: Readonly<
    Record<'names' | 'bytes' | 'mistakenShare' | 'missed' | 'checkFreeNs' | 'checkTakenNs', number>
  >
}

const RESULTS = join(import.meta.dirname, '..', 'results')
const PLOTS = join(import.meta.dirname, '..', 'plots')

export function writeUsernameReport(): void {
  const results = JSON.parse(readFileSync(join(RESULTS, 'usernames.json'), 'utf8')) as Results
  mkdirSync(PLOTS, { recursive: true })
  const parts = [head(results), ...checksPart(results), ...ceilingPart(results), ...crowdPart(results), ...sizesPart(results)]
  writeFileSync(join(RESULTS, 'usernames.md'), `${parts.join('\n\n')}\n`)
}

function head({ setting, start }: Results): string {
  const load = setting.loadBefore[0]?.toFixed(2) ?? '–'
  const ready =
    start === undefined
      ? ''
      : ` The gateway was ready ${(start.readyMs / 1000).toFixed(1)} s after it was started, and its filter loaded after ${(start.filterMs / 1000).toFixed(1)} s.`
  return `# Usernames

Written by \`npm run bench -- usernames\`, or by the names of scenarios; what is measured and how is in [bench/README.md](../README.md#usernames).
Node ${setting.node}, ${setting.takenNames.toLocaleString('en-US')} taken names in PostgreSQL, load of the machine before: ${load} (above about 0.5 something else ran).${ready}`
}

function checksPart(results: Results): readonly string[] {
  const [warm, cold] = [results['username-checks'], results['username-cold']]
  const main = warm ?? cold
  if (main === undefined) return []
  const measured = [
    ...(warm === undefined ? [] : [['Redis as after five minutes', warm] as const]),
    ...(cold === undefined ? [] : [['Redis empty', cold] as const]),
  ]
  const cells = (of: (one: UsernameMeasured) => string): readonly string[] => measured.map(([, one]) => of(one))
  const rows = [
    ['measured for', '60 s', ...cells((one) => `${one.seconds} s`)],
    ['checks a second', '10,000', ...cells((one) => one.perSecond.toLocaleString('en-US'))],
    ['p50', '≤ 2 ms', ...cells((one) => ms(one.p50Ms))],
    ['p95', '≤ 8 ms', ...cells((one) => ms(one.p95Ms))],
    ['p99', '≤ 15 ms', ...cells((one) => ms(one.p99Ms))],
    ['p99.9', '', ...cells((one) => ms(one.p999Ms))],
    ['p50 of names that cannot be had', '', ...cells((one) => ms(one.answeredTaken.p50Ms))],
    ['errors', '< 0.1 %', ...cells((one) => percent(one.errorShare))],
    ['wrong answers', '0', ...cells((one) => String(one.wrong))],
    ['checks that the database answered', '≤ 5 %', ...cells((one) => percent(one.databaseShare))],
    ['queries of the database for 100 checks', '≤ 5', ...cells((one) => (one.queriesPerCheck * 100).toFixed(2))],
    ['CPU time of the gateway, each', '', ...cells((one) => `${one.gatewayMicros} µs`)],
    ['CPU time of Redis, each', '', ...cells((one) => `${one.redisMicros} µs`)],
    ['sent late by the clients, p99', '', ...cells((one) => ms(one.sentLateP99Ms))],
    ['waited for a connection, p99', '', ...cells((one) => ms(one.waitedP99Ms))],
  ]
  save('distribution', distributionPlot(main))
  save('over-time', overTimePlot(main))
  save('layers', layersPlot(main))
  return [
    '## 10,000 checks a second',
    table(['', 'target', ...measured.map(([name]) => name)], rows),
    picture('distribution', 'Latency by share of checks'),
    picture('over-time', 'Latency in each second'),
    picture('layers', 'Checks by the layer that answered'),
  ]
}

function ceilingPart({ 'username-ceiling': ceiling }: Results): readonly string[] {
  if (ceiling === undefined) return []
  const rows = [
    ['measured for', '', `${ceiling.seconds} s`],
    ['checks a second', '≥ 20,000', ceiling.perSecond.toLocaleString('en-US')],
    ['share of its core that the gateway used', '', percent(ceiling.gatewayCore)],
    ['checks in a second of CPU time', '≥ 20,000', ceiling.perCoreSecond.toLocaleString('en-US')],
    ['CPU time, each', '≤ 50 µs', `${ceiling.gatewayMicros} µs`],
    ['p50 · p99', '', `${ms(ceiling.p50Ms)} · ${ms(ceiling.p99Ms)}`],
    ['errors · wrong answers', '', `${ceiling.errors} · ${ceiling.wrong}`],
  ]
  return ['## As fast as it goes', table(['', 'target', 'measured'], rows)]
}

function crowdPart({ 'username-crowd': steps = [] }: Results): readonly string[] {
  const report = crowdReport(steps)
  if (report === undefined) return []
  save('crowd', report.growthPlot)
  save('crowd-over-time', report.secondsPlot)
  return [
    '## A crowd of open connections',
    report.text,
    report.table,
    picture('crowd', 'Connections and latency'),
    picture('crowd-over-time', 'Latency in each second of the last step'),
  ]
}

function sizesPart({ 'username-filter': filter, 'username-entries': entries }: Results): readonly string[] {
  const rows = [
    ...(filter === undefined
      ? []
      : [
          ['filter, a million names', '≤ 1.3 MB', `${(filter.bytes / 1e6).toFixed(3)} MB`],
          ['free names that it takes for taken', '≤ 1 %', percent(filter.mistakenShare)],
          ['taken names that it misses', '0', String(filter.missed)],
          ['a check of the filter, free · taken', '', `${filter.checkFreeNs} ns · ${filter.checkTakenNs} ns`],
        ]),
    ...(entries === undefined
      ? []
      : [['an entry in Redis, least · mean · most', '88–104 B', `${entries.least} · ${entries.mean} · ${entries.most} B`]]),
  ]
  return rows.length === 0 ? [] : ['## Sizes', table(['', 'target', 'measured'], rows)]
}

function distributionPlot(measured: UsernameMeasured): string {
  const ticks = [0, 0.5, 0.9, 0.99, 0.999, 0.9999].map(
    (share) => [nines(share), `${Number((share * 100).toFixed(2))} %`] as const,
  )
  const of = (name: string, curve: UsernameMeasured['distribution']) => ({
    name,
    points: curve.map(([share, latencyMs]) => [nines(share), latencyMs] as const),
  })
  return plotLines({
    title: 'Latency at 10,000 checks a second',
    x: { title: 'share of checks that are as fast', ticks },
    y: { title: 'ms', scale: 'logarithmic' },
    series: [
      of('all', measured.distribution),
      of('can be had', measured.distributionFree),
      of('cannot be had', measured.distributionTaken),
    ],
  })
}

/** Each nine takes as much room. */
function nines(share: number): number {
  return -Math.log10(1 - share)
}

function overTimePlot(measured: UsernameMeasured): string {
  const of = (name: string, key: 'p50Ms' | 'p95Ms' | 'p99Ms') => ({
    name,
    points: measured.bySecond
      .map((second, index) => [index + 1, second[key]] as const)
      .filter(([, value]) => Number.isFinite(value)),
  })
  return plotLines({
    title: 'Latency in each second',
    x: { title: 'second' },
    y: { title: 'ms' },
    series: [of('p50', 'p50Ms'), of('p95', 'p95Ms'), of('p99', 'p99Ms')],
    limits: [[15, 'p99 ≤ 15 ms']],
  })
}

function layersPlot(measured: UsernameMeasured): string {
  const bars = Object.entries(measured.layers).toSorted(([, one], [, other]) => other - one)
  return plotBars({ title: 'Checks by the layer that answered', bars, write: percent })
}

function save(name: string, svg: string): void {
  writeFileSync(join(PLOTS, `usernames-${name}.svg`), svg)
}

function picture(name: string, title: string): string {
  return `![${title}](../plots/usernames-${name}.svg)`
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, heads.map(() => '---'), ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** What was never measured is null in the file. */
function ms(value: number | null): string {
  return value === null ? '–' : `${value.toFixed(2)} ms`
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}
