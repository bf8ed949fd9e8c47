/**
 * Which country an address belongs to: the networks of a file, packed for a search by halving.
 *
 * Half a million networks take 8 MB (IPv4) or 20 MB (IPv6) and 19 comparisons.
 *
 * @module
 */
import { readAddress, readNetwork } from '../exchange/exchange.ts'
import { faultOfCountry } from './countries.ts'

/** What is wrong in a line, counted from 1. */
export interface LineFault {
  readonly line: number
  readonly message: string
}

export interface PackedCountries {
  readonly networks: number
  /** For `findCountry` alone. */
  readonly table: Uint8Array
}

const MOST_NETWORKS = 2_000_000
const MOST_FAULTS = 5
/** As other files say that nobody knows. */
const UNKNOWN: ReadonlySet<string> = new Set(['ZZ', 'XX', '-', ''])
const NONE = 0xffff_ffff
/** Words before the entries: how many there are of IPv4, and of IPv6. */
const HEAD = 2

/** A network: its first and last address, and its country as two letters. */
interface Entry {
  readonly first: string
  readonly last: string
  readonly country: number
  readonly line: number
}

/**
 * Lines of `NETWORK,COUNTRY`, in any order; empty ones and those that start with # say nothing. Where one network lies in another
 * one, the smaller counts. `ZZ`, `XX`, `-` and nothing mean that it is not known.
 */
export function packCountries(text: string): PackedCountries | { readonly faults: readonly LineFault[] } {
  const faults: LineFault[] = []
  const four: Entry[] = []
  const six: Entry[] = []
  let [line, start] = [0, 0]
  while (start < text.length && faults.length < MOST_FAULTS) {
    const end = text.indexOf('\n', start)
    const written = text.slice(start, end === -1 ? text.length : end)
    start = end === -1 ? text.length : end + 1
    line += 1
    const entry = readLine(written.trim(), line)
    if (entry === undefined) continue
    if ('message' in entry) faults.push(entry)
    else (entry.first.length === 2 ? four : six).push(entry)
    if (four.length + six.length > MOST_NETWORKS) return { faults: [{ line, message: `more than ${MOST_NETWORKS} networks` }] }
  }
  for (const entries of [four, six]) faults.push(...sort(entries))
  if (faults.length > 0) return { faults: faults.slice(0, MOST_FAULTS) }
  return { networks: four.length + six.length, table: pack(four, six) }
}

function readLine(written: string, line: number): Entry | LineFault | undefined {
  if (written === '' || written.startsWith('#')) return undefined
  const comma = written.indexOf(',')
  if (comma === -1) return { line, message: 'must be NETWORK,COUNTRY, such as 192.0.2.0/24,NO' }
  const range = readNetwork(unquoted(written.slice(0, comma)))
  if (range === undefined) return { line, message: 'must start with a network in CIDR form, without bits behind its prefix' }
  const code = unquoted(written.slice(comma + 1)).toUpperCase()
  if (UNKNOWN.has(code)) return { ...range, country: 0, line }
  const fault = /^[A-Z]{2}$/.test(code) ? faultOfCountry(code) : 'is no country: write two letters, such as NO'
  if (fault !== undefined) return { line, message: `what follows the comma ${fault}` }
  return { ...range, country: (code.charCodeAt(0) << 8) | code.charCodeAt(1), line }
}

function unquoted(text: string): string {
  const plain = text.trim()
  return plain.length > 1 && plain.startsWith('"') && plain.endsWith('"') ? plain.slice(1, -1) : plain
}

/** In place: by the first address, those around others before them; the same network stands there once. */
function sort(entries: Entry[]): readonly LineFault[] {
  entries.sort((a, b) => byText(a.first, b.first) || byText(b.last, a.last) || a.line - b.line)
  const faults: LineFault[] = []
  let kept = 0
  for (const entry of entries) {
    const before = kept === 0 ? undefined : entries[kept - 1]
    const isSame = before !== undefined && before.first === entry.first && before.last === entry.last
    if (isSame && before.country !== entry.country)
      faults.push({ line: entry.line, message: `is the network of line ${before.line}, in another country` })
    if (isSame) continue
    entries[kept] = entry
    kept += 1
  }
  entries.length = kept
  return faults
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** Of each entry the words of its first and last address, the index of the smallest network around it, and its country. */
function pack(four: readonly Entry[], six: readonly Entry[]): Uint8Array {
  const words = new Uint32Array(HEAD + four.length * 4 + six.length * 10)
  words.set([four.length, six.length])
  fill(words, HEAD, four)
  fill(words, HEAD + four.length * 4, six)
  return new Uint8Array(words.buffer)
}

function fill(words: Uint32Array, start: number, entries: readonly Entry[]): void {
  const around: number[] = []
  let at = start
  for (const [index, { first, last, country }] of entries.entries()) {
    while (around.length > 0 && (entries[around.at(-1) ?? 0]?.last ?? '') < first) around.pop()
    const size = first.length / 2
    for (let word = 0; word < size; word += 1) {
      words[at + word] = wordOf(first, word)
      words[at + size + word] = wordOf(last, word)
    }
    words[at + 2 * size] = around.at(-1) ?? NONE
    words[at + 2 * size + 1] = country
    at += 2 * size + 2
    around.push(index)
  }
}

function wordOf(address: string, word: number): number {
  return ((address.charCodeAt(2 * word) << 16) | address.charCodeAt(2 * word + 1)) >>> 0
}

/**
 * Finds countries in a table of `packCountries`.
 *
 * @returns the code of the country of an address as text; undefined where it is no address, or nobody knows
 */
export function countriesIn(table: Uint8Array): (address: string) => string | undefined {
  const words = new Uint32Array(table.buffer, table.byteOffset, table.byteLength / 4)
  const [fours = 0, sixes = 0] = words
  const codes = new Map<number, string>()
  return function find(text) {
    const address = readAddress(text)
    if (address === undefined) return undefined
    const isFour = address.length === 2
    const size = address.length / 2
    const start = isFour ? HEAD : HEAD + fours * 4
    const width = 2 * size + 2
    let index = lastBefore(address, start, isFour ? fours : sixes)
    while (index !== NONE && compare(words, start + index * width + size, address) < 0) {
      index = words[start + index * width + 2 * size] ?? NONE
    }
    const country = index === NONE ? 0 : (words[start + index * width + 2 * size + 1] ?? 0)
    return country === 0 ? undefined : codeOf(country)
  }

  /** Index of the last entry that does not begin behind the address. */
  function lastBefore(address: string, start: number, count: number): number {
    const width = address.length + 2
    let [low, high] = [0, count - 1]
    while (low <= high) {
      const middle = (low + high) >>> 1
      if (compare(words, start + middle * width, address) <= 0) low = middle + 1
      else high = middle - 1
    }
    return high === -1 ? NONE : high
  }

  function codeOf(country: number): string {
    let code = codes.get(country)
    if (code === undefined) {
      code = String.fromCharCode(country >>> 8, country & 0xff)
      codes.set(country, code)
    }
    return code
  }
}

/** Of the address that stands in the table, and another one. */
function compare(words: Uint32Array, at: number, address: string): number {
  for (let word = 0; word < address.length / 2; word += 1) {
    const [one, other] = [words[at + word] ?? 0, wordOf(address, word)]
    if (one !== other) return one < other ? -1 : 1
  }
  return 0
}
