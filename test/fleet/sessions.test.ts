/** Sessions of gateways that share a storage: any of them serves, and what ends at one is over at all. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bearer, login, postJson, type TestGateway } from '../support/gateway.ts'
import {
  admin,
  asClient,
  callApi,
  createSession,
  kidOf,
  refusedEverywhere,
  report,
  startFleet,
  type Fleet,
  type Pair,
  type Tenant,
} from './fleet.ts'

interface Ending {
  readonly tenant: Tenant | 'default'
  /** Ends the session at that gateway. */
  end(gateway: TestGateway, pair: Pair, user: string): Promise<void>
}

/** Each way in which a session or a token is over, through the door that it has. */
const ENDINGS: Readonly<Record<string, Ending>> = {
  'revoke of the access token': {
    tenant: 'acme',
    end: (gateway, pair) => posted(gateway, '/sessions/revoke', { token: pair.access_token }),
  },
  'revoke of the refresh token': {
    tenant: 'acme',
    end: (gateway, pair) => posted(gateway, '/sessions/revoke', { token: pair.refresh_token }),
  },
  'revoke-all by a client': {
    tenant: 'acme',
    end: (gateway, _, user) => posted(gateway, '/sessions/revoke-all', { tenant_id: 'acme', user_id: user }, asClient('acme')),
  },
  logout: { tenant: 'default', end: (gateway, pair) => posted(gateway, '/auth/logout', {}, bearer(pair.access_token)) },
  'logout-all': { tenant: 'default', end: (gateway, pair) => posted(gateway, '/auth/logout-all', {}, bearer(pair.access_token)) },
  'delete of the session': {
    tenant: 'default',
    async end(gateway, pair) {
      const response = await fetch(`${gateway.url}/sessions/${pair.session_id}`, {
        method: 'DELETE',
        headers: bearer(pair.access_token),
      })
      expect(response.status).toBe(204)
    },
  },
  'revoke of the tenant': {
    tenant: 'doomed',
    end: async (gateway) => void (await admin(gateway, '/tenants/doomed/revoke')),
  },
  'revoke of the key': {
    tenant: 'rotating',
    end: async (gateway, pair) => void (await admin(gateway, `/tenants/rotating/keys/${kidOf(pair.access_token)}/revoke`)),
  },
}

async function posted(
  gateway: TestGateway,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const response = await postJson(`${gateway.url}${path}`, body, headers)
  expect([200, 204]).toContain(response.status)
  await response.arrayBuffer()
}

const refresh = (gateway: TestGateway, pair: Pair): Promise<Response> =>
  postJson(`${gateway.url}/sessions/refresh`, { refresh_token: pair.refresh_token })

describe.each(['redis', 'embedded'] as const)('gateways on %s storage', (storage) => {
  let fleet: Fleet
  beforeAll(async () => {
    fleet = await startFleet(storage, 2)
  }, 30_000)
  afterAll(() => fleet.close())

  const user = (): string => `user-${randomUUID()}`
  const everywhere = (token: string): Promise<string[]> => Promise.all(fleet.gateways.map((one) => callApi(one, token)))
  const all = (answer: string): string[] => fleet.gateways.map(() => answer)

  /** Clients of a tenant make sessions; the tenant `default` has users who log in. */
  async function begin(tenant: Tenant | 'default', who: string): Promise<Pair> {
    return tenant === 'default' ? login(fleet.at(0).url) : createSession(fleet.at(0), tenant, who)
  }

  it('publish the same keys, though they started at the same moment', async () => {
    const jwks = await Promise.all(
      fleet.gateways.map(async (one) => (await fetch(`${one.url}/t/acme/.well-known/jwks.json`)).text()),
    )
    expect(new Set(jwks).size).toBe(1)
  })

  it('serve a session in turn, whoever made it: calls, refreshes and lists', async () => {
    let pair: Pair = await login(fleet.at(0).url)
    const id = pair.session_id
    for (let turn = 1; turn <= 8; turn += 1) {
      expect(await callApi(fleet.at(turn), pair.access_token)).toBe('200')
      const refreshed = await refresh(fleet.at(turn + 1), pair)
      expect(refreshed.status).toBe(200)
      pair = (await refreshed.json()) as Pair
      expect(pair.session_id).toBe(id)
      const listed = await fetch(`${fleet.at(turn).url}/sessions`, { headers: bearer(pair.access_token) })
      expect(await listed.json()).toMatchObject({ sessions: [{ id, current: true }] })
    }
  })

  it('rotate a refresh token once when it comes to all of them at the same moment', async () => {
    const pair = await createSession(fleet.at(0), 'acme', user())
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => refresh(fleet.at(index), pair)))
    const pairs = await Promise.all(answers.map(async (answer) => (await answer.json()) as Pair))
    expect(new Set(pairs.map((one) => one.refresh_token)).size).toBe(1)
    expect(new Set(pairs.map((one) => one.refresh_token)).has(pair.refresh_token)).toBe(false)
  })

  it.each(Object.keys(ENDINGS))('refuse a token after the %s at one of them, and never accept it again', async (name) => {
    const { tenant, end } = ENDINGS[name] as Ending
    const who = user()
    const [pair, other] = [await begin(tenant, who), await createSession(fleet.at(1), 'globex', who)]
    expect(await everywhere(pair.access_token)).toEqual(all('200'))
    await end(fleet.at(0), pair, who)
    const [own = 0, ...others] = await refusedEverywhere(fleet.gateways, pair.access_token)
    report(
      `${storage}: ${name}: ${own.toFixed(0)} ms where it was asked, elsewhere ${others.map((ms) => ms.toFixed(0)).join(', ')} ms`,
    )
    for (const ms of others) expect(ms).toBeLessThan(2_000)
    expect(await everywhere(other.access_token)).toEqual(all('200'))
  })

  it('stop to refresh a session that ended elsewhere', async () => {
    const pair = await createSession(fleet.at(0), 'acme', user())
    await posted(fleet.at(0), '/sessions/revoke', { token: pair.refresh_token })
    for (const gateway of fleet.gateways) expect((await refresh(gateway, pair)).status).toBe(401)
  })

  it('see a refresh token that was used at one and is replayed at another, and end its session at all', async () => {
    const first = await createSession(fleet.at(0), 'acme', user())
    const second = (await (await refresh(fleet.at(1), first)).json()) as Pair
    const third = (await (await refresh(fleet.at(0), second)).json()) as Pair
    expect((await refresh(fleet.at(1), first)).status).toBe(401)
    await refusedEverywhere(fleet.gateways, third.access_token)
    expect((await refresh(fleet.at(0), third)).status).toBe(401)
  })

  it('take another one in while they serve: it knows sessions and endings at once', async () => {
    const [live, dead] = [await createSession(fleet.at(0), 'acme', user()), await createSession(fleet.at(1), 'acme', user())]
    await posted(fleet.at(0), '/sessions/revoke', { token: dead.refresh_token })
    const third = await fleet.add()
    expect(await callApi(third, live.access_token)).toBe('200')
    expect(await callApi(third, dead.access_token)).toBe('401 token_revoked')
    const next = (await (await refresh(third, live)).json()) as Pair
    expect(await everywhere(next.access_token)).toEqual(all('200'))
    await posted(third, '/sessions/revoke', { token: next.refresh_token })
    await refusedEverywhere(fleet.gateways, next.access_token)
  })

  it('go on after a restart of one: what was over is over, what lived lives', async () => {
    const [live, dead] = [await createSession(fleet.at(0), 'acme', user()), await createSession(fleet.at(1), 'acme', user())]
    await posted(fleet.at(1), '/sessions/revoke', { token: dead.access_token })
    await fleet.restart(1)
    expect(await callApi(fleet.at(1), dead.access_token)).toBe('401 token_revoked')
    expect(await callApi(fleet.at(1), live.access_token)).toBe('200')
    expect((await refresh(fleet.at(1), live)).status).toBe(200)
  })
})

describe('gateways whose connections to Redis are cut while they revoke', () => {
  let fleet: Fleet
  beforeAll(async () => {
    fleet = await startFleet('redis', 3)
  }, 30_000)
  afterAll(() => fleet.close())

  /** Cuts the connections that follow the feed, or all that gateways have, and says how many those were. */
  async function cut(which: 'feeds' | 'all'): Promise<number> {
    const redis = fleet.redis?.admin
    if (redis === undefined) throw new Error('no Redis')
    if (which === 'all') {
      return Number(await redis.call('CLIENT', 'KILL', 'TYPE', 'NORMAL', 'SKIPME', 'YES'))
    }
    const clients = String(await redis.call('CLIENT', 'LIST', 'TYPE', 'NORMAL')).split('\n')
    const feeds = clients.flatMap((client) => /^id=(\d+) .* cmd=xread /.exec(client)?.[1] ?? [])
    for (const id of feeds) await redis.call('CLIENT', 'KILL', 'ID', id)
    return feeds.length
  }

  /** The same, once there is a connection to cut: a gateway takes a moment to come back. */
  async function cutSome(which: 'feeds' | 'all'): Promise<number> {
    let cuts = 0
    await expect.poll(async () => (cuts = await cut(which)), { timeout: 20_000, interval: 5 }).toBeGreaterThan(0)
    return cuts
  }

  it.each(['feeds', 'all'] as const)(
    'miss none that was acknowledged (%s)',
    async (which) => {
      const pairs: Pair[] = []
      for (let number = 0; number < 45; number += 1)
        pairs.push(await createSession(fleet.at(number), 'acme', `user-${randomUUID()}`))
      let cuts = 0
      for (const [number, pair] of pairs.entries()) {
        if (number % 3 === 0) cuts += await cutSome(which)
        // What is not acknowledged is asked for again, as a client would.
        await expect
          .poll(async () => (await postJson(`${fleet.at(number).url}/sessions/revoke`, { token: pair.access_token })).status, {
            timeout: 20_000,
            interval: 20,
          })
          .toBe(200)
      }
      expect(cuts).toBeGreaterThan(10)
      const lags = await Promise.all(pairs.map((pair) => refusedEverywhere(fleet.gateways, pair.access_token)))
      report(
        `redis: 45 endings and ${cuts} connections cut meanwhile (${which}): 0 missed, the last after ${Math.max(...lags.flat()).toFixed(0)} ms`,
      )
    },
    60_000,
  )
})
