import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Writes bench/results/NAME. */
export function saveResults(name: string, results: unknown): void {
  const folder = join(import.meta.dirname, '..', 'results')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), `${JSON.stringify(results, null, 2)}\n`)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

export function round2(value: number): number {
  return Math.round(value * 100) / 100
}
