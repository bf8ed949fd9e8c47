import type { Row } from '../rig/figures.ts'
import type { Table } from '../scenarios.ts'
import { whole } from '../support/markdown.ts'
import { plotBars } from '../support/plot.ts'

/** The gateway's own. */
const OURS: readonly string[] = ['jwt-warm', 'pass-through']

/** The fastest first; the upstream alone is no peer. */
export function peersPlot(rows: readonly Row[]): readonly (readonly [name: string, picture: string])[] {
  const peers = rows.filter(({ name }) => name !== 'direct').toSorted((a, b) => b.perSecond - a.perSecond)
  const bars = (read: (row: Row) => number) => peers.map((row) => [labelOf(row), read(row), OURS.includes(row.name)] as const)
  return [
    [
      'peers.svg',
      plotBars({ title: 'Requests a second on one core', bars: bars((row) => row.perSecond), write: whole, labelWidth: 210 }),
    ],
    [
      'cpu.svg',
      plotBars({
        title: 'CPU time of a request, µs',
        bars: bars((row) => row.cpuMicros),
        write: (value) => value.toFixed(1),
        labelWidth: 210,
      }),
    ],
  ]
}

export function latencyPlot(table: Table): string {
  const bars = Object.entries(table).flatMap(([name, row]) =>
    (['p50Ms', 'p99Ms'] as const).map(
      (key) => [`${name.replace(' route', '')}, ${key.slice(0, 3)}`, Number(row[key]), !name.startsWith('direct')] as const,
    ),
  )
  return plotBars({ title: 'Latency at a fixed rate, ms', bars, write: (value) => value.toFixed(2), labelWidth: 190 })
}

function labelOf({ name, verifies }: Row): string {
  if (name === 'jwt-warm') return 'Gatehouse'
  return `${name === 'pass-through' ? 'Gatehouse' : name}${verifies ? '' : ', no authentication'}`
}
