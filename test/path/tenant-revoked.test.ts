/** The end of all tokens of a tenant, and the tokens that were made under an earlier configuration. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { WORLD } from '../../src/world.ts'
import { admin } from '../fleet/fleet.ts'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

const yaml = (lifetime: string): string => `
tenants: { default: { accessToken: { lifetime: ${lifetime} } } }
routes:${SERVICE_ROUTES}
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`

/** Gateways one after the other, on the same storage. */
async function during<T>(directory: string, lifetime: string, aheadMs: number, work: (gateway: TestGateway) => Promise<T>) {
  const nowMs = (): number => WORLD.nowMs() + aheadMs
  const world = { ...WORLD, nowMs, nowSeconds: () => Math.floor(nowMs() / 1000) }
  const gateway = await startGateway(yaml(lifetime), { directory, world })
  try {
    return await work(gateway)
  } finally {
    await gateway.close()
  }
}

async function asked(gateway: TestGateway, token: string): Promise<readonly unknown[]> {
  const response = await fetch(`${gateway.url}/api/x`, { headers: bearer(token) })
  const { error } = (await response.json()) as { readonly error?: string }
  return [response.status, error]
}

it('a tenant whose tokens were revoked stays so for tokens that live longer than those of today', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-'))
  try {
    const { access_token: token } = await during(directory, '12h', 0, (gateway) => login(gateway.url))
    await during(directory, '15m', 1_000, async (gateway) => {
      await admin(gateway, '/tenants/default/revoke')
      expect(await asked(gateway, token)).toEqual([401, 'token_revoked'])
    })
    const later = await during(directory, '15m', 11 * 3_600_000, (gateway) => asked(gateway, token))
    expect(later).toEqual([401, 'token_revoked'])
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 60_000)
