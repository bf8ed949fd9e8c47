/** Several workers on one storage: what one of them does is so in all of them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyAudit } from '../../src/storage/audit/audit.ts'
import { gatehouse, waitFor, type GatewayProcess } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { ask, askEach, bearer, isRunning, register, SECRET_ROUTES, startCrew, untilReady, workersOf } from './crew.ts'
import { join } from 'node:path'

const WORKERS = 4
/** Bound of what is revoked in one worker and is still taken by another, on a machine that has other work. */
const BOUND_MS = 5_000

const TENANTS = 'tenants: { default: { signing: ES256, throttle: { usernames: 9999/s, login: 9999/s } } }'

describe.each(['embedded', 'redis'] as const)('workers on %s storage', { timeout: 60_000 }, (storage) => {
  let redis: RedisServer | undefined
  let gateway: GatewayProcess

  beforeAll(async () => {
    redis = storage === 'redis' ? await startRedis() : undefined
    process.env['WORKERS_MASTER_KEY'] = 'cd'.repeat(32)
    const place = redis === undefined ? '' : `\n  sessions: ${redis.url}\nmasterKey: { env: WORKERS_MASTER_KEY }`
    gateway = await startCrew(WORKERS, `${TENANTS}\nroutes:${SECRET_ROUTES}`, { storage: place })
  }, 120_000)
  afterAll(async () => {
    expect(await gateway.end()).toEqual({ code: 0, signal: null })
    await redis?.stop()
    delete process.env['WORKERS_MASTER_KEY']
  }, 120_000)

  const statuses = async (path: string, token: string): Promise<number[]> =>
    (await askEach(gateway, WORKERS, path, { headers: bearer(token) })).map(({ status }) => status)

  it('a token of one is good in all, and revoked in one refused in all', async () => {
    const lags: number[] = []
    for (let round = 0; round < 8; round += 1) {
      const { access_token: token } = await register(gateway)
      expect(await statuses('/api/x', token)).toEqual([200, 200, 200, 200])
      expect((await ask(gateway, '/auth/logout', { method: 'POST', headers: bearer(token) })).status).toBe(204)
      const endedMs = performance.now()
      while ((await statuses('/api/x', token)).some((status) => status === 200)) {
        if (performance.now() - endedMs > BOUND_MS) throw new Error(`still taken after ${BOUND_MS} ms`)
      }
      lags.push(performance.now() - endedMs)
      expect(await statuses('/api/x', token)).toEqual([401, 401, 401, 401])
    }
    process.stdout.write(
      `[workers] ${storage}: refused by ${WORKERS} workers after ${lags.map((ms) => ms.toFixed(0)).join(', ')} ms\n`,
    )
  })

  it('200 refreshes of one token at once, over all workers, are one rotation', async () => {
    const { refresh_token: token } = await register(gateway)
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => ask(gateway, '/sessions/refresh', { body: { refresh_token: token } })),
    )
    const given = new Set(answers.map(({ body }) => body['refresh_token']))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(given.size).toBe(1)
    const [next] = given
    expect((await ask(gateway, '/sessions/refresh', { body: { refresh_token: next } })).status).toBe(200)
  })

  it('an old refresh token that comes back to another worker ends the session in all', async () => {
    const first = await register(gateway)
    let newest = first.refresh_token
    let access = first.access_token
    for (let turn = 0; turn < 3; turn += 1) {
      const { body } = await ask(gateway, '/sessions/refresh', { body: { refresh_token: newest } })
      newest = String(body['refresh_token'])
      access = String(body['access_token'])
    }
    expect((await ask(gateway, '/sessions/refresh', { body: { refresh_token: first.refresh_token } })).status).toBe(401)
    await expect.poll(() => statuses('/api/x', access), { timeout: BOUND_MS, interval: 10 }).toEqual([401, 401, 401, 401])
  })

  it('a name that many claim at once has one owner, and no worker calls it free then', async () => {
    const name = `racer${Math.floor(Math.random() * 1e6)}`
    const claims = await Promise.all(
      Array.from({ length: 12 }, () =>
        ask(gateway, '/auth/register', {
          body: { email: `${crypto.randomUUID()}@example.com`, password: 'correct horse battery staple', username: name },
        }),
      ),
    )
    expect(claims.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(claims.filter(({ status }) => status !== 201).map(({ status }) => status)).toEqual(Array(11).fill(409))
    await expect
      .poll(
        async () => (await askEach(gateway, WORKERS, `/usernames/${name}/availability`)).map(({ body }) => body['available']),
        {
          timeout: 10_000,
          interval: 50,
        },
      )
      .toEqual([false, false, false, false])
  })

  it('a token that may be used once is used once, whichever worker it comes to', async () => {
    const { access_token: token } = await register(gateway)
    const answers = await Promise.all(Array.from({ length: 24 }, () => ask(gateway, '/once/x', { headers: bearer(token) })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(23)
  })

  it('a key that is revoked is refused by all, and all sign with the next', async () => {
    const { access_token: token } = await register(gateway)
    const { kid } = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }
    const revoked = await fetch(`${gateway.adminUrl}/tenants/default/keys/${kid}/revoke`, {
      method: 'POST',
      headers: { 'x-gatehouse-admin': '1' },
    })
    expect(revoked.status).toBe(200)
    await expect.poll(() => statuses('/api/x', token), { timeout: 20_000, interval: 20 }).toEqual([401, 401, 401, 401])
    await expect
      .poll(
        async () =>
          new Set((await askEach(gateway, WORKERS, '/.well-known/jwks.json')).map(({ body }) => JSON.stringify(body))).size,
        {
          timeout: 20_000,
          interval: 50,
        },
      )
      .toBe(1)
    const again = await register(gateway)
    await expect
      .poll(() => statuses('/api/x', again.access_token), { timeout: 20_000, interval: 20 })
      .toEqual([200, 200, 200, 200])
  })

  it('a worker that is killed and replaced knows what was revoked before', { timeout: 120_000 }, async () => {
    const { access_token: token } = await register(gateway)
    expect((await ask(gateway, '/auth/logout', { method: 'POST', headers: bearer(token) })).status).toBe(204)
    for (const victim of workersOf(gateway).slice(0, 2)) {
      process.kill(victim, 'SIGKILL')
      await waitFor(() => !isRunning(victim), gateway)
    }
    await untilReady(gateway, WORKERS)
    expect(await statuses('/api/x', token)).toEqual([401, 401, 401, 401])
  })

  it('what all of them did is in one record, whole', async () => {
    const config = { directory: join(gateway.folder, 'data'), migrate: false }
    await expect
      .poll(() => verifyAudit({ nowMs: () => Date.now() }, config).rows, { timeout: 20_000, interval: 100 })
      .toBeGreaterThan(30)
    const { code, stdout } = await gatehouse(['audit', 'verify', '--config', join(gateway.folder, 'gateway.yaml')])
    expect([code, stdout]).toEqual([0, expect.stringMatching(/fine|rows/)])
  })
})
