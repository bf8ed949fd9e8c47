/** The command that says what would become of a request, beside a gateway that runs. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bearer, login, SERVICE_ROUTES } from '../support/gateway.ts'
import { gatehouse, startGatewayProcess, type GatewayProcess, type Output } from '../support/process.ts'

let gateway: GatewayProcess

beforeAll(async () => {
  gateway = await startGatewayProcess(`tenants: { default: { signing: ES256 } }
routes:
  - { name: api, match: { path: /api/* }, auth: required, service: echo }${SERVICE_ROUTES}`)
})
afterAll(async () => {
  expect((await gateway.end()).code).toBe(0)
})

function explain(...args: readonly string[]): Promise<Output> {
  return gatehouse(['explain', ...args, '--config', join(gateway.folder, 'gateway.yaml')])
}

describe('explain', () => {
  it('knows the keys, the sessions and the revocations of the gateway that runs', async () => {
    const { access_token: token } = await login(gateway.url)
    const url = `${gateway.url}/api/x?secret=1`
    const allowed = await explain('GET', url, '--token', token)
    expect(allowed).toMatchObject({ code: 0, stderr: '' })
    expect(allowed.stdout).toMatch(/^allow, route api\.below\n\nstep +rule +result\nlistener +.*\n(?:.*\n)+targets +service echo/)
    expect(allowed.stdout).not.toContain('secret')
    expect(allowed.stdout).not.toContain(token.slice(0, 30))
    await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(token) })
    const refused = await explain('GET', url, '--token', token, '--json')
    expect([refused.code, JSON.parse(refused.stdout)]).toMatchObject([
      0,
      { decision: 'refuse', status: 401, error: 'token_revoked', route: 'api.below' },
    ])
  })

  it('takes fields and an address, and says what it cannot take', async () => {
    const said = await explain('post', '/api/x', '--header', 'x-beta: 1', '--header', 'x-other: a:b', '--ip', '192.0.2.7')
    expect(said.stdout).toMatch(/^refuse 401 unauthorized, route api\.below\n/)
    expect(said.stdout).toContain('POST localhost/api/x from 192.0.2.7')
    expect(await explain('GET', 'mailto:x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('url must be a URL, or a path'),
    })
    expect(await explain('GET', '/', '--ip', 'nowhere')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('ip must be an IP address'),
    })
    expect(await explain('GET', '/', '--header', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--header needs a name'),
    })
  })
})
