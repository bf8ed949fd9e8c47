/**
 * The tables of docs/failure-matrix.md, as the chaos suites find them. With `GATEHOUSE_WRITE_MATRIX=1` a run writes its rows there;
 * without, it holds what cannot differ from run to run against the document. Times are told, and are no condition.
 */
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect } from 'vitest'
import { middleOf, p99Of, together, type Timing } from './probe.ts'

export const MATRIX = resolve(import.meta.dirname, '../../docs/failure-matrix.md')

export type Section = 'redis' | 'issuers'

/** How long good requests took. */
export interface FaultTimes {
  /** With nothing broken: before the fault, and after it. */
  readonly before: Timing
  readonly after: Timing
  readonly during: Timing
}

export interface MatrixRow {
  /** What was broken, and how; the same words in each run, and in no other row of the section. */
  readonly fault: string
  /** Requests that were let in and had to be refused. */
  readonly wrongAccepts: number
  /** Requests that were refused and had to be let in. */
  readonly goodFailed: number
  readonly times: FaultTimes
  /** From the end of the fault until everything works again. */
  readonly recoverMs: number
  /** What who uses the gateway notices; the same words in each run. */
  readonly seen: string
}

const HEAD = `| fault | revoked let in | good refused | p99 healthy → during | healthy ± | as fast | all p99 | worst second | well again after | what users see |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |`

/** So much slower is as fast, and what two healthy times of the same run differ by. */
const WITHIN = 1.1

/** Writes the rows into the table of their section, or compares them with it; the other rows of the section stay. */
export function recordRows(section: Section, rows: readonly MatrixRow[]): void {
  for (const row of rows) process.stdout.write(`[chaos] ${lineOf(row)}\n`)
  if (process.env['GATEHOUSE_WRITE_MATRIX'] === '1') {
    alone(() => write(section, rows))
    return
  }
  const written = readLines(section)
  for (const row of rows) {
    const fixed = written.map(fixedOf).find((cells) => cells[0] === row.fault)
    expect(fixed ?? `docs/failure-matrix.md has no row ${row.fault}`).toEqual(fixedOf(lineOf(row)))
  }
}

function write(section: Section, rows: readonly MatrixRow[]): void {
  const lines = [...readLines(section)]
  for (const row of rows) {
    const at = lines.findIndex((line) => cellsOf(line)[0] === row.fault)
    if (at < 0) lines.push(lineOf(row))
    else lines[at] = lineOf(row)
  }
  const [before, , after] = partsOf(section)
  writeFileSync(MATRIX, `${before}\n${HEAD}\n${lines.join('\n')}\n${after}`)
}

export function isAsFast({ before, after, during }: FaultTimes): boolean {
  const spreadMs = Math.abs(middleOf(before.seconds) - middleOf(after.seconds))
  return middleOf(during.seconds) <= WITHIN * middleOf(together([before, after]).seconds) + spreadMs
}

/** The slowest percent of each second, in its order: what a difference between two times without a fault is shows there. */
export function tellTimes(name: string, { before, during, after }: FaultTimes): void {
  const tell = ({ seconds }: FaultTimes['before']): string =>
    `${middleOf(seconds).toFixed(2)} ms (${seconds.map((ms) => ms.toFixed(1)).join(' ')})`
  process.stdout.write(`[chaos] ${name}: p99 before ${tell(before)}, during ${tell(during)}, after ${tell(after)}\n`)
}

function lineOf({ fault, wrongAccepts, goodFailed, times, recoverMs, seen }: MatrixRow): string {
  const cells = [fault, wrongAccepts, goodFailed, ...timesOf(times), `${(recoverMs / 1000).toFixed(1)} s`, seen]
  return `| ${cells.join(' | ')} |`
}

function timesOf(times: FaultTimes): readonly string[] {
  const { before, after, during } = times
  const healthy = together([before, after])
  const [healthyMs, duringMs] = [middleOf(healthy.seconds), middleOf(during.seconds)]
  return [
    `${arrow(healthyMs, duringMs)} (${(duringMs / healthyMs).toFixed(2)} ×)`,
    `${Math.abs(middleOf(before.seconds) - middleOf(after.seconds)).toFixed(2)} ms`,
    isAsFast(times) ? 'yes' : 'no',
    arrow(p99Of(healthy.took), p99Of(during.took)),
    arrow(Math.max(...healthy.seconds), Math.max(...during.seconds)),
  ]
}

function arrow(healthyMs: number, duringMs: number): string {
  return `${healthyMs.toFixed(2)} → ${duringMs.toFixed(2)} ms`
}

/** What is the same in each run. */
function fixedOf(line: string): readonly (string | undefined)[] {
  const cells = cellsOf(line)
  return [...cells.slice(0, 3), cells.at(-1)]
}

function cellsOf(line: string): readonly string[] {
  return line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim())
}

function readLines(section: Section): readonly string[] {
  return partsOf(section)[1]
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
}

/** What stands before the table, the table, and what comes after it, both markers with what is outside. */
function partsOf(section: Section): readonly [string, string, string] {
  const text = readFileSync(MATRIX, 'utf8')
  const [begin, end] = [`<!-- ${section}: begin -->`, `<!-- ${section}: end -->`]
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)]
  if (from < begin.length || to < from) throw new Error(`docs/failure-matrix.md has no ${begin} … ${end}`)
  return [text.slice(0, from), text.slice(from, to), text.slice(to)]
}

const LOCK = join(tmpdir(), 'gatehouse-matrix.lock')
const LOCK_TRIES = 500
const LOCK_PAUSE_MS = 10

/** Files of tests run side by side and write the same document. */
function alone(work: () => void): void {
  const lock = acquire()
  try {
    work()
  } finally {
    closeSync(lock)
    rmSync(LOCK, { force: true })
  }
}

function acquire(): number {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return openSync(LOCK, 'wx')
    } catch (error) {
      if (attempt === LOCK_TRIES) throw new Error(`remove ${LOCK}: who made it did not`, { cause: error })
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS)
    }
  }
}
