/**
 * A preflight: what a browser asks before it sends a request that a page of another origin made (Fetch Standard §4.8). It is
 * answered for the route that the request itself would take.
 */
import type { Arrived, Route } from '../exchange/exchange.ts'
import type { Asked } from './place.ts'

/** Stands for the value of a field that is not known: it is equal to all. No field value has a line break. */
export const ANY_VALUE = '\n'

const ORIGIN = 'origin'
const METHOD = 'access-control-request-method'
const NAMES = 'access-control-request-headers'

/**
 * The request that a preflight speaks of, as far as routes are told apart by it. A field that it names is taken to have the value
 * that a route asks for: the browser does not say which one it has.
 *
 * @returns undefined for whatever is no preflight, such as an OPTIONS without one of the fields, or with one twice
 */
export function askedBy(arrived: Arrived): Asked | undefined {
  if (arrived.method !== 'OPTIONS') return undefined
  const { rawHeaders } = arrived
  const [origin, method, names] = [fieldOf(rawHeaders, ORIGIN), fieldOf(rawHeaders, METHOD), fieldOf(rawHeaders, NAMES)]
  if (origin === undefined || method === undefined) return undefined
  const named = names === undefined ? [] : names.split(',').flatMap((name) => [name.trim(), ANY_VALUE])
  return { method, rawHeaders: [...rawHeaders, ...named] }
}

/** The route as its preflights take it: open to everyone where the route's networks are, and leading nowhere. */
export function preflightRoute(route: Route): Route | undefined {
  if (route.cors === undefined) return undefined
  const preflight: Route = {
    name: route.name,
    match: route.match,
    auth: 'public',
    scopes: [],
    claims: new Map(),
    revocation: route.revocation,
    ...(route.ip !== undefined && { ip: route.ip }),
    ...(route.countries !== undefined && { countries: route.countries }),
    cors: route.cors,
    bodyBytes: 0,
    ...(route.priority !== undefined && { priority: route.priority }),
    forwardToken: false,
    host: 'upstream',
    requestHeaders: NO_RULES,
    responseHeaders: NO_RULES,
    websocket: false,
    encodedSlash: route.encodedSlash,
    target: { kind: 'preflight' },
  }
  return Object.freeze(preflight)
}

const NO_RULES = Object.freeze({ set: new Map<string, string>(), remove: new Set<string>() })

/** The value of a field that is there once. */
function fieldOf(rawHeaders: readonly string[], name: string): string | undefined {
  let found: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const candidate = rawHeaders[index] ?? ''
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue
    if (found !== undefined) return undefined
    found = rawHeaders[index + 1]
  }
  return found
}
