import { expect, it } from 'vitest'
import { bearer, postJson, SERVICE_ROUTES } from '../support/gateway.ts'
import { pause, startGatewayProcess, type GatewayProcess } from '../support/process.ts'

const PASSWORD = 'correct horse battery staple'
const CLIENTS = 6
const ROUNDS = 3

/** What one client was told before the gateway was killed. */
interface Told {
  readonly registered: string[]
  /** Tokens that were given out and not taken back. */
  readonly live: Set<string>
  readonly revoked: string[]
}

it('keeps every registration and every logout that it has acknowledged, also through kill -9 under load', async () => {
  const told: Told = { registered: [], live: new Set(), revoked: [] }
  let gateway = await startGatewayProcess(`routes:${SERVICE_ROUTES}`)
  const { folder, port } = gateway

  for (let round = 0; round < ROUNDS; round += 1) {
    const clients = Array.from({ length: CLIENTS }, () => useUntilItDies(gateway, told))
    const before = told.revoked.length
    await expect.poll(() => told.revoked.length, { timeout: 15_000, interval: 50 }).toBeGreaterThan(before + 1)
    await pause(200)
    expect(await gateway.end('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
    await Promise.all(clients)
    gateway = await startGatewayProcess(`routes:${SERVICE_ROUTES}`, { folder, port })
  }

  expect(told.registered.length).toBeGreaterThan(ROUNDS)
  expect(told.revoked.length).toBeGreaterThan(ROUNDS)
  expect(await statuses(gateway, told.revoked)).toEqual(told.revoked.map(() => '401 token_revoked'))
  expect(await statuses(gateway, [...told.live])).toEqual([...told.live].map(() => '200'))
  for (const email of told.registered) {
    const again = await postJson(`${gateway.url}/auth/register`, { email, password: PASSWORD })
    expect(again.status).toBe(409)
  }
  await gateway.end()
})

/** Registers, logs in and logs out every second time, over and over, until the connection breaks. */
async function useUntilItDies(gateway: GatewayProcess, told: Told): Promise<void> {
  try {
    for (let turn = 0; ; turn += 1) {
      const email = `user-${crypto.randomUUID()}@example.com`
      const registered = await postJson(`${gateway.url}/auth/register`, { email, password: PASSWORD })
      if (registered.status !== 201) throw new Error(`register: ${registered.status}`)
      told.registered.push(email)
      const login = await postJson(`${gateway.url}/auth/login`, { email, password: PASSWORD })
      if (login.status !== 200) throw new Error(`login: ${login.status}`)
      const { access_token: token } = (await login.json()) as { access_token: string }
      told.live.add(token)
      if (turn % 2 === 1) continue
      // Whether a logout that was never answered took place is for nobody to say.
      told.live.delete(token)
      const logout = await fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(token) })
      if (logout.status === 204) told.revoked.push(token)
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
  }
}

function statuses(gateway: GatewayProcess, tokens: readonly string[]): Promise<string[]> {
  return Promise.all(
    tokens.map(async (token) => {
      const answer = await fetch(`${gateway.url}/auth/me`, { headers: bearer(token) })
      const body = (await answer.json()) as { error?: string }
      return answer.ok ? '200' : `${answer.status} ${body.error}`
    }),
  )
}
