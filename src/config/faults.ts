import type { Fault } from './config.ts'

/** Where something stands in the file: keys and indices from the root. */
export type Path = readonly (string | number)[]

/** The file is not a configuration. Its message is every fault, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    super(faults.map(formatFault).join('\n'))
    this.faults = faults
  }
}

/** `gateway.yaml:4:13 tenants.acme.issuer: must be an https:// URL`. */
export function formatFault(fault: Fault): string {
  const place = `${fault.file}:${fault.line}:${fault.column}`
  return fault.path === '' ? `${place} ${fault.message}` : `${place} ${fault.path}: ${fault.message}`
}

export interface Position {
  readonly line: number
  readonly column: number
}

/** What a report asks of the file it is about. */
export interface Places {
  /** Position of what stands at `path`, or of the nearest thing around it. */
  readonly locate: (path: Path, at: 'key' | 'value') => Position
  /** `path` as people write it; a route goes by its name. */
  readonly label: (path: Path) => string
}

/** Collects faults. A path that has one, or lies inside something that has one, gets no second: the first hides the rest. */
export interface Report {
  readonly add: (path: Path, message: string, at?: 'key' | 'value') => void
  /** The same at a position of its own; it hides nothing and is never hidden. */
  readonly addAt: (position: Position, path: Path, message: string) => void
  /** True when something at `path` or inside it has a fault. */
  readonly touches: (path: Path) => boolean
  /** By line and column. */
  readonly faults: () => readonly Fault[]
}

export function createReport(file: string, places: Places): Report {
  const faults: Fault[] = []
  const faulty = new Set<string>()
  const touched = new Set<string>()
  return { add, addAt, touches: (path) => touched.has(keyOf(path)), faults: () => faults.toSorted(byPosition) }

  function add(path: Path, message: string, at: 'key' | 'value' = 'value'): void {
    const prefixes = path.map((_, index) => keyOf(path.slice(0, index + 1)))
    if (prefixes.some((prefix) => faulty.has(prefix))) return
    if (path.length > 0) faulty.add(keyOf(path))
    addAt(places.locate(path, at), path, message)
  }

  function addAt(position: Position, path: Path, message: string): void {
    for (let length = 0; length <= path.length; length++) touched.add(keyOf(path.slice(0, length)))
    faults.push({ file, line: position.line, column: position.column, path: places.label(path), message })
  }
}

/** `a.b.0.c`. A key that is not a plain word is quoted and cut, so that a fault stays one readable line. */
export function labelOf(path: Path): string {
  return path.map((step) => (typeof step === 'number' ? `${step}` : labelOfKey(step))).join('.')
}

function labelOfKey(key: string): string {
  if (/^[\w$@*/-]{1,64}$/.test(key)) return key
  const plain = JSON.stringify(key.slice(0, 64))
  return plain.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function keyOf(path: Path): string {
  return JSON.stringify(path)
}

function byPosition(a: Fault, b: Fault): number {
  return a.line - b.line || a.column - b.column
}
