/** Gateways that are processes of their own and share a directory: what ends at one is over at the other at once. */
import { expect, it } from 'vitest'
import { bearer, login, postJson, SERVICE_ROUTES } from '../support/gateway.ts'
import { startGatewayProcess, temporaryFolder, type GatewayProcess } from '../support/process.ts'
import { admin, kidOf, report } from './fleet.ts'

const YAML = `
tenants: { default: { signing: ES256 } }
routes:${SERVICE_ROUTES}
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`

/** Tokens of one are those of the other: both are known by one origin. */
const start = (folder: string): Promise<GatewayProcess> =>
  startGatewayProcess(YAML, { folder, listener: 'origin: http://gateway.test' })

async function statusOf(gateway: GatewayProcess, token: string): Promise<number> {
  const response = await fetch(`${gateway.url}/api/x`, { headers: bearer(token) })
  await response.arrayBuffer()
  return response.status
}

/** Milliseconds until the other process refuses the token. */
async function refusedAfter(gateway: GatewayProcess, token: string): Promise<number> {
  const startedMs = performance.now()
  while ((await statusOf(gateway, token)) === 200) {
    if (performance.now() - startedMs > 5_000) throw new Error('still accepted after 5 s')
  }
  return performance.now() - startedMs
}

it('two processes on one directory: an ended session and a revoked key reach the other', async () => {
  const folder = temporaryFolder()
  const [one, other] = [await start(folder), await start(folder)]
  const lags: { session: number[]; key: number[] } = { session: [], key: [] }
  for (let round = 0; round < 5; round += 1) {
    const { access_token: token } = await login(one.url)
    expect(await statusOf(other, token)).toBe(200)
    expect((await postJson(`${one.url}/auth/logout`, {}, bearer(token))).status).toBe(204)
    lags.session.push(await refusedAfter(other, token))
  }
  for (let round = 0; round < 5; round += 1) {
    const { access_token: token } = await login(one.url)
    await expect.poll(() => statusOf(other, token), { timeout: 20_000, interval: 20 }).toBe(200)
    await admin(one, `/tenants/default/keys/${kidOf(token)}/revoke`)
    lags.key.push(await refusedAfter(other, token))
  }
  for (const [what, found] of Object.entries(lags)) {
    report(`two processes, embedded: ${what}, refused at the other after ${found.map((ms) => ms.toFixed(0)).join(', ')} ms`)
  }
  await Promise.all([one.end(), other.end()])
}, 120_000)
