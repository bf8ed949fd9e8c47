import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Writes bench/results/NAME. */
export function saveResults(name: string, results: unknown): void {
  const folder = join(import.meta.dirname, '..', 'results')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), `${JSON.stringify(results, null, 2)}\n`)
}

/** Writes rows to bench/results/NAME in place of those of the same scenarios; rows of others stay as they were taken. */
export function saveRows(name: string, rows: readonly { readonly scenario: string }[], besides: object = {}): void {
  const before = (readResults(name) as object | undefined) ?? {}
  const old = 'rows' in before && Array.isArray(before.rows) ? before.rows : []
  const merged = new Map([...old, ...rows].map((row) => [row.scenario, row]))
  saveResults(name, { ...before, ...besides, rows: [...merged.values()] })
}

/** The same for a file that is a table for each scenario. */
export function saveTables(name: string, tables: Readonly<Record<string, object>>): void {
  saveResults(name, { ...(readResults(name) as object | undefined), ...tables })
}

/** What bench/results/NAME has; undefined where it is not there. */
export function readResults(name: string): unknown {
  const path = join(import.meta.dirname, '..', 'results', name)
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

export function round2(value: number): number {
  return Math.round(value * 100) / 100
}
