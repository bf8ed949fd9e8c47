import { describe, expect, it } from 'vitest'
import { faultsOf, marked } from './faults-of.ts'

const TARGETS = 'targets: [http://127.0.0.1:9001]'
const ROUTE = 'name: r, match: { path: /a }, auth: public, service: echo'

const UNKNOWN: readonly (readonly [string, string])[] = [
  ['§rotues: []', 'rotues: unknown key, did you mean routes?'],
  ['§Routes: []', 'Routes: unknown key, did you mean routes?'],
  ['§banana: []', 'banana: unknown key, remove it'],
  ['tenants: { a: { §audiance: a } }', 'tenants.a.audiance: unknown key, did you mean audience?'],
  ['tenants: { a: { §lifetime: 5m } }', 'tenants.a.lifetime: unknown key, did you mean accessToken.lifetime?'],
  [`upstreams: { u: { ${TARGETS}, §retry: 1 } }`, 'upstreams.u.retry: unknown key, did you mean retries?'],
  [
    'upstreams: { u: { targets: [{ url: "http://a", §wieght: 2 }] } }',
    'upstreams.u.targets.0.wieght: unknown key, did you mean weight?',
  ],
  [`routes: [{ ${ROUTE}, §methods: [GET] }]`, 'routes.r.methods: unknown key, did you mean match.methods?'],
  [`routes: [{ ${ROUTE}, §banana: 1 }]`, 'routes.r.banana: unknown key, remove it'],
  [
    'storage: { sessions: { §nodes: [] } }',
    'storage.sessions.nodes: unknown key, remove it: known are url, replica, cluster, sentinels, name, ca',
  ],
  ['tenants: { a: { §rotateEvery: 30d } }', 'tenants.a.rotateEvery: unknown key, did you mean keys.rotateEvery?'],
  ['telemetry: { §banana: 1 }', 'telemetry.banana: unknown key, remove it: known are accessLog, metrics, traces'],
  [
    'storage: { §constructor: 1 }',
    'storage.constructor: unknown key, remove it: known are sessions, accounts, directory, migrate',
  ],
]

describe('a key or value that is', () => {
  it.each(UNKNOWN)('unknown is refused with what was probably meant: %s', (text, message) => {
    const { yaml, faults } = marked(text, [message])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('written out although it is the only one that works is accepted', () => {
    expect(
      faultsOf(
        'workers: 1\nstorage: { sessions: embedded, accounts: embedded }\nupstreams: { u: { targets: [{ url: "http://a" }], balance: roundRobin, protocol: http1 } }',
      ),
    ).toEqual([])
  })
})
