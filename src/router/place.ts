/**
 * A place: one host pattern and one path, and the routes that compete for it by header and method.
 */
import { foldHeaderName, type Route } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { ANY_VALUE, preflightRoute } from './preflight.ts'

/** A route as the table keeps it, everything it is asked for at hand. */
export interface Candidate {
  readonly route: Route
  /** Index of the route in the configuration. */
  readonly index: number
  /** What it takes, HEAD included where GET is; undefined: every method. */
  readonly methods: ReadonlySet<string> | undefined
  /** Folded names, and the values they must have, in the same order. */
  readonly headerNames: readonly string[]
  readonly headerValues: readonly string[]
  /** Names of its `{name}` segments, by the number of the segment; undefined where there are none. */
  readonly params: ReadonlyMap<number, string> | undefined
  /** What answers the preflights of its requests; undefined where it has no `cors`. */
  readonly preflight: Route | undefined
}

export interface Place {
  /** Most specific first. */
  readonly candidates: Candidate[]
}

/** Part of a request that candidates are compared with. */
export interface Asked {
  readonly method: string
  readonly rawHeaders: readonly string[]
}

export function createCandidate(route: Route, index: number): Candidate {
  const names = [...route.match.headers.keys()]
  return {
    route,
    index,
    methods: methodsOf(route),
    headerNames: names.map(foldHeaderName),
    headerValues: [...route.match.headers.values()],
    params: paramsOf(route.match.path),
    preflight: preflightRoute(route),
  }
}

/** Puts a candidate where its specificity says, and names those that no request could tell it from. */
export function addCandidate(place: Place, candidate: Candidate): readonly Candidate[] {
  const tied = place.candidates.filter((other) => ties(candidate, other))
  place.candidates.push(candidate)
  place.candidates.sort(bySpecificity)
  return tied
}

/** Whether any candidate's headers hold: if not, the place does not count and a less specific one gets its chance. */
export function isOpenTo(place: Place, rawHeaders: readonly string[]): boolean {
  for (const candidate of place.candidates) if (headersHold(candidate, rawHeaders)) return true
  return false
}

/**
 * The most specific candidate whose headers and method fit.
 *
 * @throws {Problem} `method_not_allowed`: a method that does not fit never leads to a less specific path, which might be public.
 */
export function chooseCandidate(place: Place, asked: Asked): Candidate {
  const candidate = fittingCandidate(place, asked)
  if (candidate !== undefined) return candidate
  throw new Problem('method_not_allowed', { headers: { allow: allowedMethods(place, asked.rawHeaders) } })
}

/** The same; undefined where no method fits. */
export function fittingCandidate(place: Place, asked: Asked): Candidate | undefined {
  for (const candidate of place.candidates) {
    if (!headersHold(candidate, asked.rawHeaders)) continue
    if (candidate.methods === undefined || candidate.methods.has(asked.method)) return candidate
  }
  return undefined
}

function allowedMethods(place: Place, rawHeaders: readonly string[]): string {
  const open = place.candidates.filter((candidate) => headersHold(candidate, rawHeaders))
  const methods = new Set(open.flatMap((candidate) => [...(candidate.methods ?? [])]))
  return [...methods].toSorted().join(', ')
}

function headersHold(candidate: Candidate, rawHeaders: readonly string[]): boolean {
  for (let at = 0; at < candidate.headerNames.length; at++) {
    if (!headerHolds(candidate.headerNames[at] ?? '', candidate.headerValues[at] ?? '', rawHeaders)) return false
  }
  return true
}

/** A repeated header holds nothing: upstreams differ in which of the values they read. */
function headerHolds(folded: string, value: string, rawHeaders: readonly string[]): boolean {
  let found = false
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (!hasFoldedName(rawHeaders[at] ?? '', folded)) continue
    if (found || (rawHeaders[at + 1] !== value && rawHeaders[at + 1] !== ANY_VALUE)) return false
    found = true
  }
  return found
}

/** Folding keeps the length, so most names are told apart without being folded. */
function hasFoldedName(name: string, folded: string): boolean {
  return name.length === folded.length && (name === folded || foldHeaderName(name) === folded)
}

/** What a route takes, HEAD included where GET is; undefined: every method. */
export function methodsOf(route: Route): ReadonlySet<string> | undefined {
  const { methods } = route.match
  if (methods.length === 0) return undefined
  // RFC 9110 §9.3.2: HEAD is GET without the content.
  return new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods)
}

function paramsOf(path: string): ReadonlyMap<number, string> | undefined {
  const params = new Map<number, string>()
  for (const [number, segment] of path.split('/').entries()) {
    if (isParam(segment)) params.set(number, segment.slice(1, -1))
  }
  return params.size === 0 ? undefined : params
}

/** `{` never stands in a canonical path, so a literal segment cannot look like this. */
export function isParam(segment: string): boolean {
  return segment.startsWith('{') && segment.endsWith('}')
}

/** More headers first, then those that name their methods. */
function bySpecificity(a: Candidate, b: Candidate): number {
  return b.headerNames.length - a.headerNames.length || Number(a.methods === undefined) - Number(b.methods === undefined)
}

/** Equally specific at one place, and some request would fit both. */
function ties(a: Candidate, b: Candidate): boolean {
  if (bySpecificity(a, b) !== 0 || contradict(a, b)) return false
  if (a.methods === undefined || b.methods === undefined) return true
  return !a.methods.isDisjointFrom(b.methods)
}

function contradict(a: Candidate, b: Candidate): boolean {
  return a.headerNames.some((name, at) => {
    const other = b.headerNames.indexOf(name)
    return other >= 0 && b.headerValues[other] !== a.headerValues[at]
  })
}
