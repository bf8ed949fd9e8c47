/** No request is opened that the comparison does not tell: held against random pairs of files and random requests. */
import { expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { compareAccess } from '../../../src/access-diff/access-diff.ts'
import { parseConfig, type Config, type RouteConfig } from '../../../src/config/config.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { createRouter, findRouteFaults, type Router } from '../../../src/router/router.ts'
import { needsOf } from '../config/faults-of.ts'
import { request, route } from '../router/routes.ts'

type Drawn<A> = A extends fc.Arbitrary<infer T> ? T : never

const HOSTS = ['a.test', 'b.a.test', '*.a.test', '*.test']
const PATHS = ['/*', '/a', '/a/*', '/a/b', '/a/b/*', '/a/b/c', '/d/*']
const HEADERS = [{ x: '1' }, { x: '2' }, { y: '1' }, { x: '1', y: '1' }]
const METHODS = [['GET'], ['POST'], ['GET', 'PUT'], ['REPORT']]
const sketch = fc.record({
  hosts: fc.option(
    fc.constantFrom(...HOSTS).map((host) => [host]),
    { nil: [], freq: 3 },
  ),
  path: fc.constantFrom(...PATHS),
  methods: fc.option(fc.constantFrom(...METHODS), { nil: [] }),
  headers: fc.option(fc.constantFrom<Readonly<Record<string, string>>>(...HEADERS), { nil: {}, freq: 3 }),
  auth: fc.constantFrom('required', 'optional', 'public'),
})
const asked = fc.record({
  host: fc.constantFrom('a.test', 'b.a.test', 'c.a.test', 'd.c.a.test', 'z.test', 'other.example'),
  target: fc.constantFrom('/', '/a', '/a/', '/a/b', '/a/b/c', '/a/b/c/d', '/a/z', '/d', '/d/e', '/z'),
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'REPORT'),
  headers: fc.constantFrom([], ['x', '1'], ['x', '2'], ['y', '1'], ['x', '1', 'y', '1'], ['x', '2', 'y', '1'], ['x', '3']),
})

const NOTHING = parseConfig('{}', '/etc/gatehouse/gateway.yaml', needsOf())

/** The routes, but for those that tie with one before them. */
function configOf(sketches: readonly Drawn<typeof sketch>[]): Config {
  const routes: RouteConfig[] = []
  for (const one of sketches.map(route)) if (findRouteFaults([...routes, one], () => []).length === 0) routes.push(one)
  return { ...NOTHING, routes }
}

/** How open a request is: 0 for nobody, 3 for anyone. */
function opennessOf(router: Router, one: Drawn<typeof asked>): number {
  try {
    return ['required', 'optional', 'public'].indexOf(router.match(request(one)).route.auth) + 1
  } catch (error) {
    if (error instanceof Problem) return 0
    throw error
  }
}

it('every request that is more open with the new file is among what is wider', () => {
  const sketches = fc.array(sketch, { maxLength: 8 })
  const property = fc.property(sketches, sketches, fc.array(asked, { minLength: 20, maxLength: 60 }), (one, other, requests) => {
    const [before, after] = [configOf(one), configOf(other)]
    const [old, now] = [createRouter(before.routes, () => []), createRouter(after.routes, () => [])]
    const changes = compareAccess(before, after)
    for (const each of requests) {
      const [was, is] = [opennessOf(old, each), opennessOf(now, each)]
      const expected = changes.some((change) => {
        if (change.effect === 'other') return false
        const [from, to] = [change.before, change.after].map((word) => ['none', 'required', 'optional', 'public'].indexOf(word))
        return from === was && to === is
      })
      expect({ each, was, is, told: was === is || expected }).toEqual({ each, was, is, told: true })
    }
  })
  fc.assert(property, { numRuns: 60 })
})
