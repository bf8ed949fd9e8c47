import { Counter, type Registry } from './prom.ts'

/** Turns what a room says into a label value of a bounded set. */
export type Bound = (value: string | number) => string

export interface Label {
  readonly name: string
  readonly bound: Bound
}

export interface Tally {
  /** Adds one. A value for each label, in the order of the labels. */
  add(first: string | number, second?: string | number, third?: string | number): void
}

export interface TallyConfig {
  readonly name: string
  readonly help: string
  /** One to three. */
  readonly labels: readonly Label[]
  readonly registry: Registry
}

interface Cell {
  readonly labels: Readonly<Record<string, string>>
  count: number
}

type Key = string | number
type Cells = Map<Key, Map<Key, Map<Key, Cell>>>

/**
 * A counter that is moved into prom-client only at a scrape: adding one is three look-ups, without the validation and
 * hashing of labels. What is not in a bounded set is counted under the value that stands for the rest, and makes no cell.
 */
export function createTally(config: TallyConfig): Tally {
  const cells: Cells = new Map()
  const counter = new Counter({
    name: config.name,
    help: config.help,
    labelNames: config.labels.map((label) => label.name),
    registers: [config.registry],
    collect: move,
  })
  return { add }

  function add(first: string | number, second: string | number = '', third: string | number = ''): void {
    const cell = cells.get(first)?.get(second)?.get(third)
    if (cell !== undefined) {
      cell.count += 1
      return
    }
    addUnderBound([first, second, third])
  }

  /** The first of its kind, or one that is not of the bounded set. */
  function addUnderBound(values: readonly (string | number)[]): void {
    const labels: Record<string, string> = {}
    const keys = ['', '', '']
    config.labels.forEach(({ name, bound }, index) => {
      const value = bound(values[index] ?? '')
      labels[name] = value
      keys[index] = value
    })
    // A number that is its own label keeps its type as key, so that the short way finds it the next time.
    const [first, second, third] = keys.map((key, index) => (key === String(values[index]) ? (values[index] ?? '') : key))
    const seconds = child(cells, first ?? '', () => new Map<Key, Map<Key, Cell>>())
    const thirds = child(seconds, second ?? '', () => new Map<Key, Cell>())
    child(thirds, third ?? '', () => ({ labels, count: 0 })).count += 1
  }

  function move(): void {
    counter.reset()
    for (const seconds of cells.values()) {
      for (const thirds of seconds.values()) for (const cell of thirds.values()) counter.inc(cell.labels, cell.count)
    }
  }
}

function child<Value>(parent: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = parent.get(key)
  if (known !== undefined) return known
  const made = make()
  parent.set(key, made)
  return made
}

/** The value where it is one of the set, else `rest`. */
export function oneOf(values: Iterable<string>, rest = 'other'): Bound {
  const known = new Set(values)
  return (value) => (known.has(String(value)) ? String(value) : rest)
}

/** For words of our own code, whose list is elsewhere: taken as they come, up to a number that only a fault could reach. */
export function few(limit = 64): Bound {
  const seen = new Set<string>()
  return (value) => {
    const word = String(value)
    if (seen.has(word)) return word
    if (seen.size >= limit || !/^[a-z0-9_]{1,40}$/.test(word)) return 'other'
    seen.add(word)
    return word
  }
}

/** HTTP status codes (RFC 9110 §15), else `0`. */
export function statusCode(value: string | number): string {
  return typeof value === 'number' && Number.isInteger(value) && value >= 100 && value <= 599 ? String(value) : '0'
}
