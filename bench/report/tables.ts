/** What is measured side by side, as tables. */
import type { RequestResults } from '../requests.ts'
import type { Row } from '../rig/figures.ts'
import type { Table } from '../scenarios.ts'
import { tableOf, whole } from '../support/markdown.ts'

/** Who is compared with whom in the first table. */
const OURS = 'jwt-warm'

function machineOf({ setting }: RequestResults): string {
  const { cores, processor, node, loadBefore, connections, load, upstream } = setting
  const machine = `${cores} cores (${processor}), Node ${node}, load of the machine before ${loadBefore[0]?.toFixed(2) ?? '–'}`
  return `${connections} connections, load by ${load}, upstream ${upstream}. ${machine}.`
}

export function peersPart(results: RequestResults): string {
  const verifying = results.rows.find(({ name }) => name === OURS)
  const rows = results.rows.toSorted((a, b) => b.perSecond - a.perSecond)
  const table = tableOf([
    [
      '',
      'requests/s',
      'least – most',
      'CPU, µs a request',
      'p50 ms',
      'p99 ms',
      'memory MiB',
      `\`${OURS}\` beside it`,
      'access log',
    ],
    ...rows.map((row) => [
      nameOf(row),
      whole(row.perSecond),
      `${whole(row.least)} – ${whole(row.most)}`,
      row.cpuMicros.toFixed(1),
      row.p50Ms.toFixed(2),
      row.p99Ms.toFixed(2),
      whole(row.residentMiB),
      beside(results, row, verifying),
      row.name === 'direct' ? '–' : (['off', 'on'][Number(row.accessLog)] ?? ''),
    ]),
  ])
  const { rounds, seconds } = results.setting
  return `Medians, ${rounds} × ${seconds} s each; ${machineOf(results)}\n\n${table}`
}

function nameOf({ name, title, version }: Row): string {
  const text = `\`${name}\`: ${title}${version === undefined ? '' : ` (${version})`}`
  return name === OURS ? `**${text}**` : text
}

function beside({ ratios }: RequestResults, { name }: Row, verifying: Row | undefined): string {
  const found = ratios.find(({ of, to }) => of === OURS && to === name)
  return verifying === undefined || found === undefined ? '–' : `${found.ratio.toFixed(2)} ×`
}

/**
 * What each costs beside what it is compared with.
 *
 * @param pairs - those that are shown; the others are of peers
 */
export function costsPart(results: RequestResults, pairs: readonly (readonly [of: string, to: string])[]): string {
  const row = (name: string): Row | undefined => results.rows.find((one) => one.name === name)
  const shown = results.ratios.filter(({ of, to }) => pairs.some(([one, other]) => one === of && other === to))
  const table = tableOf([
    ['', 'requests/s', 'beside', 'requests/s', 'ratio', 'least – most', 'ratio by CPU time', 'rounds'],
    ...shown.map(({ of, to, ratio, least, most, cpuRatio, taken }) => [
      `\`${of}\`: ${row(of)?.title ?? ''}`,
      whole(row(of)?.perSecond ?? Number.NaN),
      `\`${to}\``,
      whole(row(to)?.perSecond ?? Number.NaN),
      ratio.toFixed(2),
      `${least.toFixed(2)} – ${most.toFixed(2)}`,
      cpuRatio.toFixed(2),
      `${taken.rounds} × ${taken.seconds} s`,
    ]),
  ])
  return `${machineOf(results)}\n\n${table}`
}

/** Any table of rows of figures; what a row does not have is a dash. */
export function figuresPart(table: Table): string {
  const columns = [...new Set(Object.values(table).flatMap((row) => Object.keys(row)))]
  return tableOf([
    ['', ...columns.map(headOf)],
    ...Object.entries(table).map(([name, row]) => [name, ...columns.map((column) => cellOf(row[column]))]),
  ])
}

/** `addedP99Ms` becomes `added p99 ms`. */
function headOf(name: string): string {
  const words = name.replaceAll(/MiB|[A-Z]/g, (part) => ` ${part === 'MiB' ? part : part.toLowerCase()}`)
  return words.replace(/^kib /, 'KiB ')
}

function cellOf(value: unknown): string {
  if (value === undefined || value === null) return '–'
  if (typeof value === 'number') return Number.isInteger(value) ? whole(value) : String(Math.round(value * 100) / 100)
  return typeof value === 'string' ? value : JSON.stringify(value)
}
