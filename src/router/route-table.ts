/**
 * The table of routes: hosts, then paths, most specific first, each step a look-up in a map whatever the number of routes.
 *
 * Every walk starts at the length of the longest key, so a long path or Host costs no more than the configuration allows.
 */
import { addCandidate, type Candidate, isOpenTo, isParam, type Place } from './place.ts'

/** Paths of one host pattern. */
interface PathTable {
  readonly exact: Map<string, Place>
  /** How long those are: to look for a path that no request had before costs more than all other steps of the walk. */
  readonly exactLengths: Set<number>
  /** Paths with `{name}` segments, by their number of segments; within one, literal segments first. */
  readonly patterns: Map<number, PatternPlace[]>
  /** `/a` for `/a/*`; empty for `/*`. */
  readonly prefixes: Map<string, Place>
  longestPrefix: number
}

interface PatternPlace extends Place {
  /** The text of each segment after the first slash; undefined: any that is not empty. */
  readonly segments: readonly (string | undefined)[]
}

export interface RouteTable {
  readonly anyHost: PathTable
  readonly hosts: Map<string, PathTable>
  /** `.example.com` for `*.example.com`. */
  readonly suffixes: Map<string, PathTable>
  longestSuffix: number
}

export function createRouteTable(): RouteTable {
  return { anyHost: createPathTable(), hosts: new Map(), suffixes: new Map(), longestSuffix: 0 }
}

/** Enters a candidate for each of its hosts; gives those that it ties with. */
export function enter(table: RouteTable, candidate: Candidate): ReadonlySet<Candidate> {
  const tied = new Set<Candidate>()
  for (const paths of pathTablesFor(table, candidate.route.match.hosts)) {
    for (const other of addCandidate(placeFor(paths, candidate.route.match.path), candidate)) tied.add(other)
  }
  return tied
}

/** The most specific place for a folded host and a canonical path, of those whose headers hold. */
export function findPlace(table: RouteTable, host: string, path: string, rawHeaders: readonly string[]): Place | undefined {
  const exact = table.hosts.get(host)
  const place = exact && findPath(exact, path, rawHeaders)
  if (place !== undefined) return place
  return findBySuffix(table, host, path, rawHeaders) ?? findPath(table.anyHost, path, rawHeaders)
}

/** Longest suffix first. At least one label stands before it. */
function findBySuffix(table: RouteTable, host: string, path: string, rawHeaders: readonly string[]): Place | undefined {
  if (table.longestSuffix === 0) return undefined
  let dot = host.indexOf('.', Math.max(1, host.length - table.longestSuffix))
  while (dot > 0) {
    const paths = table.suffixes.get(host.slice(dot))
    const place = paths && findPath(paths, path, rawHeaders)
    if (place !== undefined) return place
    dot = host.indexOf('.', dot + 1)
  }
  return undefined
}

function findPath(paths: PathTable, path: string, rawHeaders: readonly string[]): Place | undefined {
  const exact = paths.exactLengths.has(path.length) ? paths.exact.get(path) : undefined
  if (exact !== undefined && isOpenTo(exact, rawHeaders)) return exact
  if (paths.patterns.size > 0) {
    const pattern = findPattern(paths.patterns, path, rawHeaders)
    if (pattern !== undefined) return pattern
  }
  return findPrefix(paths, path, rawHeaders)
}

function findPattern(
  patterns: ReadonlyMap<number, readonly PatternPlace[]>,
  path: string,
  rawHeaders: readonly string[],
): Place | undefined {
  const places = patterns.get(countSegments(path))
  if (places === undefined) return undefined
  for (const place of places) if (fits(place.segments, path) && isOpenTo(place, rawHeaders)) return place
  return undefined
}

/** The whole path first, then segment after segment off its end. */
function findPrefix(paths: PathTable, path: string, rawHeaders: readonly string[]): Place | undefined {
  if (paths.prefixes.size === 0) return undefined
  let end = path.length <= paths.longestPrefix ? path.length : path.lastIndexOf('/', paths.longestPrefix)
  while (end >= 0) {
    const place = paths.prefixes.get(path.slice(0, end))
    if (place !== undefined && isOpenTo(place, rawHeaders)) return place
    end = end === 0 ? -1 : path.lastIndexOf('/', end - 1)
  }
  return undefined
}

function countSegments(path: string): number {
  let count = 0
  for (let at = 0; at >= 0; at = path.indexOf('/', at + 1)) count++
  return count
}

function fits(segments: readonly (string | undefined)[], path: string): boolean {
  let start = 1
  for (const segment of segments) {
    const slash = path.indexOf('/', start)
    const end = slash < 0 ? path.length : slash
    if (end === start) return false
    if (segment !== undefined && !(segment.length === end - start && path.startsWith(segment, start))) return false
    start = end + 1
  }
  return true
}

function createPathTable(): PathTable {
  return { exact: new Map(), exactLengths: new Set(), patterns: new Map(), prefixes: new Map(), longestPrefix: 0 }
}

function pathTablesFor(table: RouteTable, hosts: readonly string[]): readonly PathTable[] {
  if (hosts.length === 0) return [table.anyHost]
  return [...new Set(hosts)].map((host) => {
    if (!host.startsWith('*.')) return getOrAdd(table.hosts, host, createPathTable)
    const suffix = host.slice(1)
    table.longestSuffix = Math.max(table.longestSuffix, suffix.length)
    return getOrAdd(table.suffixes, suffix, createPathTable)
  })
}

function placeFor(paths: PathTable, path: string): Place {
  if (path.endsWith('/*')) {
    const prefix = path.slice(0, -2)
    paths.longestPrefix = Math.max(paths.longestPrefix, prefix.length)
    return getOrAdd(paths.prefixes, prefix, createPlace)
  }
  const segments = path.slice(1).split('/')
  if (segments.some(isParam)) return patternPlaceFor(paths, segments)
  paths.exactLengths.add(path.length)
  return getOrAdd(paths.exact, path, createPlace)
}

function patternPlaceFor(paths: PathTable, written: readonly string[]): Place {
  const segments = written.map((segment) => (isParam(segment) ? undefined : segment))
  const places = getOrAdd(paths.patterns, segments.length, createList)
  const known = places.find((place) => place.segments.every((segment, at) => segment === segments[at]))
  if (known !== undefined) return known
  const place: PatternPlace = { candidates: [], segments }
  places.push(place)
  places.sort(byLiteralSegments)
  return place
}

/** The pattern that is literal where the other is not, counted from the left, comes first. */
function byLiteralSegments(a: PatternPlace, b: PatternPlace): number {
  for (const [at, segment] of a.segments.entries()) {
    const difference = Number(segment === undefined) - Number(b.segments[at] === undefined)
    if (difference !== 0) return difference
  }
  return 0
}

function createPlace(): Place {
  return { candidates: [] }
}

function createList(): PatternPlace[] {
  return []
}

function getOrAdd<Key, Value>(map: Map<Key, Value>, key: Key, create: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const value = create()
  map.set(key, value)
  return value
}
