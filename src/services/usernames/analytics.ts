import type { NameHash } from './filter.ts'
import { createNameHash } from './filter.ts'
import type { Layer } from './checks.ts'

export interface PrefixReport {
  readonly prefix: string
  /** About how often it was asked for: never too low. */
  readonly checks: number
  /** About how many different callers asked. */
  readonly callers: number
}

export interface TenantReport {
  readonly checks: number
  /** Checks that each layer answered. */
  readonly layers: Readonly<Partial<Record<Layer, number>>>
  /** Share of checks that did not need the database; absent before the first. */
  readonly hit_rate?: number
  readonly conflicts: number
  /** Most asked first; none that fewer callers than `least_callers` asked for. */
  readonly prefixes: readonly PrefixReport[]
}

export interface AnalyticsReport {
  /** Seconds since the counting began. */
  readonly seconds: number
  readonly least_callers: number
  readonly tenants: Readonly<Record<string, TenantReport>>
}

/** What is asked for, by beginnings of names and numbers of callers: no name and no caller is kept. */
export interface Analytics {
  asked(tenant: string, folded: string, source: string): void
  answered(tenant: string, layer: Layer): void
  conflicted(tenant: string): void
  report(): AnalyticsReport
}

const PREFIX = 4
/** Beginnings that are counted at one time. */
const COUNTERS = 256
const REPORTED = 50
const TAKEN_OVER = 32
const LEAST_CALLERS = 20
const REGISTERS = 256

interface Counter {
  checks: number
  /** HyperLogLog of callers. */
  readonly registers: Uint8Array
}

interface Tally {
  checks: number
  conflicts: number
  readonly layers: Map<Layer, number>
  readonly prefixes: Map<number, Counter>
}

export interface AnalyticsNeeds {
  monotonicMs(): number
  random(): number
}

export function createAnalytics(needs: AnalyticsNeeds, tenants: Iterable<string>): Analytics {
  const hash = createNameHash(Math.floor(needs.random() * 2 ** 32) | 0)
  const words = new Uint32Array(2)
  const sinceMs = needs.monotonicMs()
  let passed = 0
  const tallies = new Map<string, Tally>()
  for (const tenant of tenants) tallies.set(tenant, { checks: 0, conflicts: 0, layers: new Map(), prefixes: new Map() })
  return { asked, answered, conflicted, report }

  function asked(tenant: string, folded: string, source: string): void {
    const tally = tallies.get(tenant)
    if (tally === undefined) return
    const prefix = prefixOf(folded)
    const known = tally.prefixes.get(prefix)
    // Taking over means looking for the rarest: one new beginning in so many is enough to find those that are frequent.
    if (known === undefined && tally.prefixes.size >= COUNTERS && ++passed % TAKEN_OVER !== 0) return
    const counter = known ?? newCounter(tally.prefixes, prefix)
    counter.checks += 1
    observe(counter.registers, source, hash, words)
  }

  function answered(tenant: string, layer: Layer): void {
    const tally = tallies.get(tenant)
    if (tally === undefined) return
    tally.checks += 1
    tally.layers.set(layer, (tally.layers.get(layer) ?? 0) + 1)
  }

  function conflicted(tenant: string): void {
    const tally = tallies.get(tenant)
    if (tally !== undefined) tally.conflicts += 1
  }

  function report(): AnalyticsReport {
    return {
      seconds: Math.round((needs.monotonicMs() - sinceMs) / 1_000),
      least_callers: LEAST_CALLERS,
      tenants: Object.fromEntries([...tallies].map(([tenant, tally]) => [tenant, reportOf(tally)])),
    }
  }
}

/**
 * Space-saving (Metwally et al. 2005): the counter of the rarest is given to a new one, which counts on from there. Its callers
 * are counted anew, so that nothing is shown to be of more callers than asked for it.
 */
function newCounter(prefixes: Tally['prefixes'], prefix: number): Counter {
  const counter = (prefixes.size < COUNTERS ? undefined : takeRarest(prefixes)) ?? {
    checks: 0,
    registers: new Uint8Array(REGISTERS),
  }
  prefixes.set(prefix, counter)
  return counter
}

function takeRarest(prefixes: Tally['prefixes']): Counter | undefined {
  let rarest = 0
  let least = Number.POSITIVE_INFINITY
  for (const [prefix, { checks }] of prefixes) {
    if (checks >= least) continue
    rarest = prefix
    least = checks
  }
  const counter = prefixes.get(rarest)
  prefixes.delete(rarest)
  counter?.registers.fill(0)
  return counter
}

/** The first characters of a name as a number, for which no text need be made. They are ASCII. */
function prefixOf(name: string): number {
  let prefix = 0
  for (let index = 0; index < PREFIX && index < name.length; index += 1) prefix = (prefix << 7) | name.charCodeAt(index)
  return prefix
}

function textOf(prefix: number): string {
  return prefix === 0 ? '' : textOf(prefix >>> 7) + String.fromCharCode(prefix & 0x7f)
}

/** HyperLogLog (Flajolet et al. 2007): the longest run of zeros among the hashes of a register. */
function observe(registers: Uint8Array, source: string, hash: NameHash, words: Uint32Array): void {
  hash(source, words, 0)
  const register = (words[0] ?? 0) % REGISTERS
  const rank = Math.clz32(words[1] ?? 0) + 1
  if (rank > (registers[register] ?? 0)) registers[register] = rank
}

function callersOf(registers: Uint8Array): number {
  let sum = 0
  let empty = 0
  for (const rank of registers) {
    sum += 2 ** -rank
    if (rank === 0) empty += 1
  }
  const raw = ((0.7213 / (1 + 1.079 / REGISTERS)) * REGISTERS * REGISTERS) / sum
  // Few callers are counted by the registers that none of them reached.
  return Math.round(raw <= 2.5 * REGISTERS && empty > 0 ? REGISTERS * Math.log(REGISTERS / empty) : raw)
}

function reportOf(tally: Tally): TenantReport {
  const prefixes = [...tally.prefixes]
    .map(([prefix, { checks, registers }]) => ({ prefix: textOf(prefix), checks, callers: callersOf(registers) }))
    .filter(({ callers }) => callers >= LEAST_CALLERS)
    .toSorted((one, other) => other.checks - one.checks)
    .slice(0, REPORTED)
  const { checks, conflicts } = tally
  const asked = tally.layers.get('database') ?? 0
  return {
    checks,
    layers: Object.fromEntries(tally.layers),
    ...(checks > 0 && { hit_rate: 1 - asked / checks }),
    conflicts,
    prefixes,
  }
}
