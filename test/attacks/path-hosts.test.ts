/**
 * A host is one host, however it is written and however many there are.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openScene, valuesOf, type Scene } from '../support/attack.ts'

describe.each([5, 500])('with %i hosts', (count) => {
  let scene: Scene

  beforeAll(async () => {
    const hosts = Array.from({ length: count }, (_, index) => `tenant-${index}.example.test`)
    const routes = hosts.map(
      (host, index) =>
        `  - { name: host-${index}, match: { hosts: [${host}], path: /whose/* }, auth: public, upstream: recorder, requestHeaders: { set: { x-route: host-${index} } } }`,
    )
    scene = await openScene({
      tenants: `  many: { signing: ES256, hosts: [${hosts.join(', ')}] }`,
      routes: `${routes.join('\n')}
  - { name: api-host, match: { hosts: [api.example.com], path: /only/* }, auth: public, upstream: recorder }
  - { name: below, match: { hosts: ["*.example.org"], path: /only/* }, auth: public, upstream: recorder }`,
    })
  })
  afterAll(() => scene.close())
  beforeEach(() => {
    scene.upstream.seen.length = 0
  })

  it.each([
    'TENANT-3.EXAMPLE.TEST',
    'tEnAnT-3.eXaMpLe.TeSt',
    'tenant-3.example.test.',
    'Tenant-3.Example.Test:8080',
    'TENANT-3.example.test.:80',
  ])('CVE-2021-39155, GHSA-x76f-jf84-rqj8, CVE-2026-27588: Host %s has the same route and tenant', async (host) => {
    const open = await scene.ask({ target: '/whose/x', host })
    expect([open.status, valuesOf(scene.upstream.seen[0]?.rawHeaders ?? [], 'x-route')]).toEqual([200, ['host-3']])
    // The token is of another tenant than the host.
    const closed = await scene.ask({ target: '/admin', host, token: scene.token() })
    expect([closed.status, closed.json()['error'], scene.upstream.seen.length]).toEqual([403, 'tenant_mismatch', 1])
  })

  it.each([
    'api.example.com.attacker',
    'evil-api.example.com',
    'apiXexample.com',
    'api.example.com.attacker.test:80',
    'x.api.example.com',
    'example.org',
    'evilexample.org',
    'x.example.org.attacker',
  ])('CVE-2026-55602: Host %s has no route', async (host) => {
    const answer = await scene.ask({ target: '/only/x', host })
    expect([answer.status, answer.json()['error'], scene.upstream.seen]).toEqual([404, 'no_route', []])
  })

  it.each([
    'api.example.com@attacker',
    'api.example.com/attacker',
    'api.example.com attacker',
    'api.example.com:80:90',
    'api.example.com:x',
    '.api.example.com',
    'api.example.com..',
    '',
  ])('CVE-2026-55602: Host «%s» is no host', async (host) => {
    const answer = await scene.ask({ target: '/only/x', host })
    expect([[400, 404].includes(answer.status), scene.upstream.seen]).toEqual([true, []])
  })

  it('the asked host counts, not what a header says it was', async () => {
    const answer = await scene.ask({
      target: '/only/x',
      host: 'other.test',
      lines: ['X-Forwarded-Host: api.example.com', 'X-Original-Host: api.example.com', 'Forwarded: host=api.example.com'],
    })
    expect([answer.status, scene.upstream.seen]).toEqual([404, []])
  })
})
