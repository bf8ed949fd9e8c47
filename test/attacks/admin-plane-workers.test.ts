/** The operators' side of several processes: what the primary answers itself is guarded as what it passes on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCrew, workersOf } from '../process/crew.ts'
import type { GatewayProcess } from '../support/process.ts'
import { sendRaw } from '../support/raw.ts'

const PATHS = ['/metrics', '/usernames/analytics', '/routes', '/config', '/openapi.json', '/tenants/default/keys']
const CHANGES = ['/tenants/default/revoke', '/tenants/default/keys/rotate', '/reload', '/graphql']

describe('the admin listener of several workers', { timeout: 60_000 }, () => {
  let gateway: GatewayProcess
  let port = 0
  beforeAll(async () => {
    gateway = await startCrew(2, 'routes:\n  - { name: health, match: { path: /health }, service: health }\n')
    port = Number(new URL(gateway.adminUrl).port)
  }, 120_000)
  afterAll(async () => {
    await gateway.end()
  }, 60_000)

  const ask = async (method: string, path: string, host: string, fields = ''): Promise<string> => {
    const text = await sendRaw(port, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}Connection: close\r\n\r\n`, 10_000)
    return text.split('\r\n', 1)[0] ?? ''
  }

  it.each(PATHS)('answers a web page that found it by a name of its own with 403 (DNS rebinding): %s', async (path) => {
    expect(await ask('GET', path, 'evil.test')).toMatch(/^HTTP\/1\.1 403 /)
    expect(await ask('GET', path, `localhost:${port}`)).toMatch(/^HTTP\/1\.1 200 /)
  })

  it.each(CHANGES)('changes nothing for a web page (CSRF): POST %s', async (path) => {
    expect(await ask('POST', path, `localhost:${port}`, 'Origin: https://evil.test\r\nContent-Length: 0\r\n')).toMatch(
      /^HTTP\/1\.1 403 /,
    )
  })

  it('has no path to what processes say to each other, and none of its workers listens for operators', async () => {
    for (const path of ['/welcome', '/metrics/', '/admin', '/login%20begin', '/count%20request', '//metrics', '/../metrics']) {
      expect(await ask('GET', path, `localhost:${port}`)).toMatch(/^HTTP\/1\.1 404 /)
    }
    expect(workersOf(gateway)).toHaveLength(2)
    expect(gateway.stdout()).not.toContain('a question of an operator failed')
  })
})
