/** The look-up tables against the rules, written out plainly: every route is tried and the most specific one wins. */
import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { createRouter, findRouteFaults } from '../../../src/router/router.ts'
import { endpointsOf, readingOf, type RequestSketch, route, type RouteSketch } from './routes.ts'

const HOSTS = ['a.test', 'b.test', '*.test', '*.a.test', '*.b.a.test']
const segment = fc.constantFrom('a', 'b', 'ab')
const path = fc.array(segment, { maxLength: 3 }).map((segments) => `/${segments.join('/')}`)
const header = fc.constantFrom<Record<string, string>[]>({}, {}, { x: '1' }, { x: '2' }, { x: '1', y: '1' })
const sketches = fc.array(
  fc.record({
    hosts: fc.subarray(HOSTS, { maxLength: 2 }),
    path: fc.oneof(
      path,
      path.map((start) => (start === '/' ? '/*' : `${start}/*`)),
    ),
    methods: fc.subarray(['GET', 'HEAD', 'POST'], { maxLength: 2 }),
    headers: header,
  }),
  { minLength: 1, maxLength: 12 },
)
const requests = fc.record({
  host: fc.constantFrom('a.test', 'b.test', 'c.test', 'x.a.test', 'x.b.a.test', 'b.a.test', 'test', 'other'),
  target: fc.oneof(
    path,
    path.map((start) => `${start === '/' ? '' : start}/ab/`),
  ),
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT'),
  headers: header.map((fields) => Object.entries(fields).flat()),
})

/** Greater is more specific; undefined: does not fit. */
function hostRank(hosts: readonly string[], host: string): number | undefined {
  if (hosts.length === 0) return 0
  const ranks = hosts.flatMap((pattern) => {
    if (pattern === host) return [1000]
    const suffix = pattern.slice(1)
    return pattern.startsWith('*') && host.endsWith(suffix) && host.length > suffix.length ? [suffix.length] : []
  })
  return ranks.length === 0 ? undefined : Math.max(...ranks)
}

function pathRank(pattern: string, target: string): number | undefined {
  if (!pattern.endsWith('/*')) return pattern === target ? 1000 : undefined
  const prefix = pattern.slice(0, -2)
  return target === prefix || target.startsWith(`${prefix}/`) ? prefix.length : undefined
}

function headersFit(wanted: Readonly<Record<string, string>>, sent: readonly string[]): boolean {
  const fields = new Map<string, string>()
  for (let at = 0; at < sent.length; at += 2) fields.set(sent[at] ?? '', sent[at + 1] ?? '')
  return Object.entries(wanted).every(([name, value]) => fields.get(name) === value)
}

function methodFits(methods: readonly string[], method: string): boolean {
  return methods.length === 0 || methods.includes(method) || (method === 'HEAD' && methods.includes('GET'))
}

function plainly(
  routes: readonly Required<Pick<RouteSketch, 'hosts' | 'path' | 'methods' | 'headers' | 'name'>>[],
  asked: Required<RequestSketch>,
): string {
  const fitting = routes
    .flatMap((candidate) => {
      const host = hostRank(candidate.hosts, asked.host)
      const place = pathRank(candidate.path, asked.target)
      if (host === undefined || place === undefined || !headersFit(candidate.headers, asked.headers)) return []
      return [{ candidate, rank: host * 10_000 + place, headers: Object.keys(candidate.headers).length }]
    })
    .toSorted(
      (a, b) =>
        b.rank - a.rank ||
        b.headers - a.headers ||
        Number(b.candidate.methods.length > 0) - Number(a.candidate.methods.length > 0),
    )
  const best = fitting[0]
  if (best === undefined) return 'no_route'
  const chosen = fitting.find(({ candidate, rank }) => rank === best.rank && methodFits(candidate.methods, asked.method))
  return chosen === undefined ? 'method_not_allowed' : `${chosen.candidate.name} ${asked.target}`
}

describe('the most specific route', () => {
  it('is what the tables find, for any routes and requests', () => {
    let compared = 0
    fc.assert(
      fc.property(sketches, fc.array(requests, { minLength: 1, maxLength: 10 }), (drawn, asked) => {
        const named = drawn.map((sketch, at) => ({ ...sketch, name: `r${at}` }))
        const tied = new Set(findRouteFaults(named.map(route), endpointsOf).map((fault) => fault.path[1]))
        const kept = named.filter((_, at) => !tied.has(at))
        const router = createRouter(kept.map(route), endpointsOf)
        for (const one of asked) expect(readingOf(router, one)).toBe(plainly(kept, one))
        compared += asked.length
      }),
      { numRuns: 3_000 },
    )
    expect(compared).toBeGreaterThan(3_000)
  })
})
