import { describe, expect, it } from 'vitest'
import { outcomeOf, request, routerOf } from './routes.ts'

const router = routerOf(
  { name: 'admin', path: '/admin/*', auth: 'required' },
  { name: 'public', path: '/public/*', auth: 'public' },
  { name: 'api', path: '/api/*', auth: 'public', stripPrefix: '/api' },
)

/** What a request without a token comes to: the problem, or the path that the upstream would see. */
function anonymous(target: string, method = 'GET', headers: readonly string[] = []): string {
  const arrived = request({ target, method, headers })
  const { problem, route } = outcomeOf(router, arrived)
  if (problem !== undefined) return problem.kind
  return route?.auth === 'required' ? 'unauthorized' : router.match(arrived).forwardPath
}

describe('paths that other gateways read in two ways', () => {
  it.each([
    ['CVE-2019-9901', '/public/../admin', 'unauthorized'],
    ['CVE-2019-9901', '/public//../admin', 'ambiguous_path'],
    ['CVE-2019-9901', '//admin', 'unauthorized'],
    ['CVE-2021-29492', '/something%2F..%2Fadmin', 'ambiguous_path'],
    ['CVE-2021-29492', '/public%5c..%5cadmin', 'ambiguous_path'],
    ['CVE-2021-31920', '/a%2f%2fadmin', 'ambiguous_path'],
    ['CVE-2021-32779', '/admin#x', 'ambiguous_path'],
    ['CVE-2026-27587', '/ADMIN', 'no_route'],
    ['CVE-2026-27587', '/%41DMIN', 'no_route'],
    ['CVE-2025-46821', '/admin/*/x', 'unauthorized'],
    ['CVE-2026-73511', '/admin;a=b/x', 'ambiguous_path'],
    ['CVE-2026-73553', '/public;/../admin', 'ambiguous_path'],
    ['CVE-2026-33494', '/public/../admin/secrets', 'unauthorized'],
    ['CVE-2021-27306', '/;/x/../admin', 'ambiguous_path'],
    ['CVE-2021-43557', '/./admin', 'unauthorized'],
    ['GHSA-fvhj-4qfh-q2hm', '/#/../admin', 'ambiguous_path'],
    ['CVE-2025-32431', '/public/%2E%2E/admin', 'unauthorized'],
    ['CVE-2025-47952', '/%61dmin', 'unauthorized'],
    ['CVE-2025-66490', '/admin%2F', 'ambiguous_path'],
    ['CVE-2025-66490', '/admin%5C', 'ambiguous_path'],
    ['CVE-2025-66490', '/admin%00', 'ambiguous_path'],
    ['CVE-2025-66490', '/admin%3B', 'ambiguous_path'],
    ['CVE-2025-66490', '/admin%25', 'ambiguous_path'],
    ['CVE-2025-66490', '/admin%3F', 'ambiguous_path'],
    ['CVE-2025-66490', '/admin%23', 'ambiguous_path'],
    ['CVE-2026-48020', '/api../admin', 'no_route'],
    ['CVE-2026-48020', '/api%2e%2e/admin', 'no_route'],
    ['CVE-2026-48020', '/public..%2fadmin', 'ambiguous_path'],
    ['CVE-2026-40912', '/api%2e/admin/secret', 'no_route'],
    ['CVE-2026-40912', '/%61p%69/x%20y', '/x%20y'],
    ['opaque absolute form', 'http:/admin', 'invalid_request'],
    ['opaque absolute form', 'foo:/admin', 'invalid_request'],
    ['opaque absolute form', 'http:admin', 'invalid_request'],
    ['CVE-2021-21321', '/api/../admin', 'unauthorized'],
    ['GHSA-2q7r-29rg-6m5h', '/api/%2E%2E/%2E%2E/hi', 'ambiguous_path'],
    ['CVE-2026-16117', '/%61pi/admin', '/admin'],
    ['CVE-2026-85124', '/api/..\\..\\admin', 'ambiguous_path'],
    ['CVE-2026-120213', '/api/x%2f..%2fy%23', 'ambiguous_path'],
    ['CVE-2026-22031', 'http://gateway.test/admin', 'unauthorized'],
    ['CVE-2026-22031', 'http://gateway.test/public/../admin', 'unauthorized'],
    ['CVE-2026-33186', 'Service/Method', 'invalid_request'],
    ['CVE-2026-33186', '*', 'invalid_request'],
    ['CVE-2026-33186', '', 'invalid_request'],
    ['CVE-2025-54576', '/admin?x=/public', 'unauthorized'],
    ['CVE-2025-54576', '/admin?/public/', 'unauthorized'],
    ['CVE-2026-41059', '/admin%23/public', 'ambiguous_path'],
    ['GHSA-r9fw-vxmp-hwf2', '/public/%2561dmin', 'ambiguous_path'],
  ])('%s: %s comes to %s', (_, target, outcome) => {
    expect(anonymous(target)).toBe(outcome)
  })

  it('CVE-2023-30845: the method of the request line counts, whatever a header says', () => {
    expect(anonymous('/admin', 'POST', ['X-HTTP-Method-Override', 'GET'])).toBe('unauthorized')
  })

  it.each([
    'X-Envoy-Original-Path',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-Forwarded-Uri',
    'X-Forwarded-Path',
    'X-Forwarded-Host',
  ])('CVE-2023-27487, CVE-2026-40575: %s does not choose the route', (name) => {
    expect(anonymous('/admin', 'GET', [name, '/public'])).toBe('unauthorized')
  })
})

describe('a host pattern', () => {
  const hosted = routerOf({ name: 'api', hosts: ['api.example.com'], path: '/*', auth: 'public' })

  it.each([
    'api.example.com.attacker',
    'evil-api.example.com',
    'api.example.com@attacker',
    'apixexample.com',
    'x.api.example.com',
  ])('CVE-2026-55602: is not met by %s', (host) => {
    expect(outcomeOf(hosted, request({ target: '/', host })).problem?.kind).toBe('no_route')
  })
})
