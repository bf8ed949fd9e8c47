import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Document, Pair, YAMLError } from 'yaml'
import type { Path, Position } from './faults.ts'

/** A YAML file as plain values, with the place of each. Mappings have no prototype. */
export interface SourceDocument {
  readonly value: unknown
  readonly faults: readonly DocumentFault[]
  /** True when the text is not YAML: then the faults are all there is. */
  readonly broken: boolean
  readonly locate: (path: Path, at: 'key' | 'value') => Position
  /** Whether the file says anything at `path`. */
  readonly has: (path: Path) => boolean
}

export interface DocumentFault {
  readonly path: Path
  readonly message: string
  /** Of a key that was left out. Without it the whole value at `path` was. */
  readonly position?: Position
}

interface Place {
  readonly key: number
  readonly value: number
  readonly children: Map<string | number, Place>
}

interface Reading {
  readonly document: Document
  readonly positionOf: (offset: number) => Position
  readonly faults: DocumentFault[]
  aliases: number
}

/** Aliases are followed this often in one file, nested ones counted each time: enough for people, too few for a bomb. */
const MAX_ALIASES = 100
const MAX_DEPTH = 32
const MAX_CHARACTERS = 1024 * 1024

/** What is wrong, by the code of the parser: its own messages quote the file, and the file may hold a secret by mistake. */
const SYNTAX: ReadonlyMap<string, string> = new Map([
  ['BAD_ALIAS', 'an alias is a * and a name: put quotes around text that starts with * or &'],
  ['BAD_DIRECTIVE', 'a line that starts with % is a directive: remove it'],
  ['BAD_DQ_ESCAPE', 'this \\ escape is unknown: write \\\\, or use single quotes'],
  ['BAD_INDENT', 'wrong indentation, or a bracket that is not closed'],
  ['BAD_SCALAR_START', 'text cannot start with this character: put quotes around it'],
  [
    'BLOCK_AS_IMPLICIT_KEY',
    'a mapping or list cannot start here: begin it on a new line, or put quotes around text that has ": " in it',
  ],
  ['BLOCK_IN_FLOW', 'an indented block cannot stand inside { } or [ ]'],
  ['MISSING_CHAR', 'a quote, comma, colon or bracket is missing'],
  ['MULTILINE_IMPLICIT_KEY', 'a key must end on its line: is a ":" missing?'],
  ['MULTIPLE_ANCHORS', 'a value has one anchor at most'],
  ['MULTIPLE_DOCS', 'a second document starts here: write one document, without ---'],
  ['MULTIPLE_TAGS', 'tags are not supported: remove them'],
  ['RESOURCE_EXHAUSTION', `nested more than ${MAX_DEPTH} deep`],
  ['TAB_AS_INDENT', 'a tab indents this line: use spaces'],
  ['UNEXPECTED_TOKEN', 'this is not expected here: put quotes around text, or check the indentation'],
])

export function readDocument(text: string): SourceDocument {
  const lines = new LineCounter()
  if (text.length > MAX_CHARACTERS) return brokenDocument([{ offset: 0, message: 'is larger than 1 MiB' }], lines)
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: false,
    merge: false,
    schema: 'core',
    logLevel: 'error',
  })
  const errors = [...document.errors, ...document.warnings.filter((warning) => warning.code === 'BAD_DIRECTIVE')]
  if (errors.length > 0) {
    return brokenDocument(syntaxFaults(errors, lines), lines)
  }
  if (document.directives?.yaml.explicit === true && document.directives.yaml.version !== '1.2') {
    return brokenDocument([{ offset: 0, message: 'is YAML 1.1: remove the %YAML line, the file is YAML 1.2' }], lines)
  }
  return walkDocument(document, (offset) => positionIn(lines, offset))
}

/** One fault a line: what comes after it in the line is guesswork of the parser. Too deep is the only fault of its file. */
function syntaxFaults(errors: readonly YAMLError[], lines: LineCounter): readonly { offset: number; message: string }[] {
  const tooDeep = errors.find((error) => error.code === 'RESOURCE_EXHAUSTION')
  const byLine = new Map<number, { offset: number; message: string }>()
  for (const { code, pos } of tooDeep === undefined ? errors : [tooDeep]) {
    const { line } = lines.linePos(pos[0])
    if (!byLine.has(line))
      byLine.set(line, { offset: pos[0], message: `is not YAML: ${SYNTAX.get(code) ?? 'this cannot be read'}` })
  }
  return [...byLine.values()]
}

function walkDocument(document: Document, positionOf: (offset: number) => Position): SourceDocument {
  const reading: Reading = { document, positionOf, faults: [], aliases: 0 }
  const root: Place = { key: 0, value: offsetOf(document.contents) ?? 0, children: new Map() }
  const value = plain(reading, document.contents, [], root)
  return {
    value,
    faults: reading.faults,
    broken: false,
    has: (path) => placeAt(root, path).exact,
    locate: (path, at) => {
      const { place, exact } = placeAt(root, path)
      return positionOf(at === 'key' && exact ? place.key : place.value)
    },
  }
}

/** Turns a node into a plain value and notes where it and its parts stand under `place`. */
function plain(reading: Reading, node: unknown, path: Path, place: Place): unknown {
  if (path.length > MAX_DEPTH) return refuse(reading, path, `nested more than ${MAX_DEPTH} deep`)
  if (isAlias(node)) {
    const target = node.resolve(reading.document)
    if (target === undefined) return refuse(reading, path, 'no such anchor: put quotes around text that starts with *')
    reading.aliases += 1
    if (reading.aliases > MAX_ALIASES) return refuse(reading, path, `more than ${MAX_ALIASES} aliases: write the values out`)
    return plain(reading, target, path, place)
  }
  if ((isScalar(node) || isMap(node) || isSeq(node)) && node.tag !== undefined) {
    return refuse(reading, path, 'tags are not supported: remove what starts with !')
  }
  if (isScalar(node)) return node.value
  if (isSeq(node)) {
    return node.items.map((item, index) =>
      plain(reading, item, [...path, index], child(place, index, offsetOf(item), offsetOf(item))),
    )
  }
  if (!isMap(node)) return null
  const mapping: Record<string, unknown> = Object.create(null)
  for (const pair of node.items) {
    const key = keyOf(reading, pair, path, mapping)
    if (key === undefined) continue
    const keyOffset = offsetOf(pair.key)
    const inner = child(place, key, keyOffset, isEmpty(pair.value) ? keyOffset : offsetOf(pair.value))
    mapping[key] = plain(reading, pair.value, [...path, key], inner)
  }
  return mapping
}

function keyOf(reading: Reading, pair: Pair, path: Path, mapping: Record<string, unknown>): string | undefined {
  const { key } = pair
  if (!isScalar(key) || key.tag !== undefined || !isPlainKey(key.value)) {
    return refuseKey(reading, key, path, 'a key must be plain text')
  }
  const name = String(key.value)
  if (name === '<<') return refuseKey(reading, key, [...path, name], 'merge keys are not supported: write the values out')
  if (name === '__proto__') return refuseKey(reading, key, [...path, name], 'this key is not allowed')
  if (Object.hasOwn(mapping, name))
    return refuseKey(reading, key, [...path, name], 'is written twice in this mapping: remove one')
  return name
}

function isPlainKey(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function refuse(reading: Reading, path: Path, message: string): undefined {
  reading.faults.push({ path, message })
}

function refuseKey(reading: Reading, key: unknown, path: Path, message: string): undefined {
  reading.faults.push({ path, message, position: reading.positionOf(offsetOf(key) ?? 0) })
}

function child(parent: Place, step: string | number, key: number | undefined, value: number | undefined): Place {
  const place: Place = { key: key ?? parent.value, value: value ?? key ?? parent.value, children: new Map() }
  parent.children.set(step, place)
  return place
}

function placeAt(root: Place, path: Path): { readonly place: Place; readonly exact: boolean } {
  let place = root
  for (const step of path) {
    const inner = place.children.get(step)
    if (inner === undefined) return { place, exact: false }
    place = inner
  }
  return { place, exact: true }
}

/** `key:` with nothing after it. The parser places that nothing on a later line. */
function isEmpty(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '')
}

function offsetOf(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined
}

function positionIn(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(line, 1), column: Math.max(col, 1) }
}

function brokenDocument(faults: readonly { offset: number; message: string }[], lines: LineCounter): SourceDocument {
  const start = { line: 1, column: 1 }
  return {
    value: undefined,
    faults: faults.map(({ offset, message }) => ({ path: [], position: positionIn(lines, offset), message })),
    broken: true,
    locate: () => start,
    has: () => false,
  }
}
