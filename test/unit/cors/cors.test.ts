import { describe, expect, it } from 'vitest'
import { createCors } from '../../../src/cors/cors.ts'
import type { CorsRules, Routed, Target } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { request, routerOf } from '../router/routes.ts'

const APP = 'https://app.example.com'
const RULES: CorsRules = {
  any: false,
  origins: new Set([APP]),
  patterns: [],
  methods: ['GET', 'PUT'],
  headers: ['authorization'],
  exposedHeaders: ['x-request-id', 'etag'],
  credentials: false,
  maxAgeSeconds: 600,
  privateNetwork: false,
}
const ANYONE: CorsRules = { ...RULES, any: true, origins: new Set() }
const PREFLIGHT: Target = { kind: 'preflight' }

function exchange(cors: CorsRules | undefined, headers: readonly string[], target?: Target): Routed {
  const routed = routerOf({ path: '/x' }).match(request({ target: '/x', headers }))
  const route = { ...routed.route, ...(cors !== undefined && { cors }), ...(target !== undefined && { target }) }
  return { ...routed, route }
}

/** The fields that are said of the answer. */
function said(cors: CorsRules | undefined, headers: readonly string[], target?: Target): Record<string, string> {
  const fields: Record<string, string> = {}
  createCors().announce(exchange(cors, headers, target), { setHeader: (name, value) => (fields[name] = value) })
  return fields
}

describe('an answer', () => {
  it.each([
    [
      'to a page that may read it',
      RULES,
      ['Origin', APP],
      { 'access-control-allow-origin': APP, vary: 'origin', 'access-control-expose-headers': 'x-request-id, etag' },
    ],
    ['to another page', RULES, ['Origin', 'https://evil.test'], { vary: 'origin' }],
    ['to a page without an origin', RULES, ['Origin', 'null'], { vary: 'origin' }],
    ['to nobody’s page', RULES, [], { vary: 'origin' }],
    ['to two pages at once', RULES, ['Origin', APP, 'origin', APP], { vary: 'origin' }],
    [
      'that every page may read',
      ANYONE,
      ['Origin', 'https://any.test'],
      { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'x-request-id, etag' },
    ],
    ['that every page may read, to nobody’s', ANYONE, [], {}],
    [
      'with cookies',
      { ...RULES, credentials: true, exposedHeaders: [] },
      ['Origin', APP],
      { 'access-control-allow-origin': APP, 'access-control-allow-credentials': 'true', vary: 'origin' },
    ],
    ['of a route that says nothing', undefined, ['Origin', APP], {}],
  ] as const)('%s', (_, cors, headers, expected) => {
    expect(said(cors, headers)).toEqual(expected)
  })
})

describe('a preflight', () => {
  const ask = (cors: CorsRules | undefined, headers: readonly string[]) =>
    createCors().preflight(exchange(cors, headers, PREFLIGHT))

  it('is told what a page may send', () => {
    const headers = ['Origin', APP, 'Access-Control-Request-Method', 'DELETE', 'Access-Control-Request-Headers', 'x-other']
    expect(ask(RULES, headers)).toEqual({
      status: 204,
      headers: {
        'access-control-allow-methods': 'GET, PUT',
        'access-control-allow-headers': 'authorization',
        'access-control-max-age': '600',
      },
    })
    expect(said(RULES, headers, PREFLIGHT)).toEqual({
      'access-control-allow-origin': APP,
      vary: 'origin, access-control-request-method, access-control-request-headers',
    })
  })

  it('is told of a private network only where the route says so', () => {
    const headers = ['Origin', APP, 'Access-Control-Request-Private-Network', 'true']
    const field = (cors: CorsRules, fields: readonly string[]) =>
      ask(cors, fields).headers['access-control-allow-private-network']
    const open = { ...RULES, privateNetwork: true }
    expect([field(RULES, headers), field(open, headers), field(open, ['Origin', APP])]).toEqual([undefined, 'true', undefined])
  })

  it.each([
    ['of another page', RULES, ['Origin', 'https://evil.test']],
    ['without an origin', RULES, []],
    ['with two', RULES, ['Origin', APP, 'Origin', APP]],
    ['on a route that says nothing', undefined, ['Origin', APP]],
  ] as const)('%s is refused', (_, cors, headers) => {
    expect(() => ask(cors, headers)).toThrow(expect.objectContaining({ kind: 'origin_refused' }))
    expect(() => ask(cors, headers)).toThrow(Problem)
  })
})
