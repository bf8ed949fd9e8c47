/** Gateways whose Redis is lost, replaced by one that knows less, or far away. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { bearer, postJson, type TestGateway } from '../support/gateway.ts'
import { startRedis, startReplicaOf, startSentinel } from '../support/redis.ts'
import { asClient, callApi, createSession, refusedEverywhere, report, startMember, type Pair } from './fleet.ts'

const WHOLE = { timeout: 30_000, interval: 50 } as const

const open: { close?(): unknown; stop?(): unknown }[] = []
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await (one.close ?? one.stop)?.()
}, 60_000)

function keep<T extends { close(): unknown } | { stop(): unknown }>(one: T): T {
  open.push(one)
  return one
}

function revoke(gateway: TestGateway, token: string): Promise<Response> {
  return postJson(`${gateway.url}/sessions/revoke`, { token, reason: 'test' }, asClient('acme'))
}

async function refresh(gateway: TestGateway, pair: Pair): Promise<string> {
  const response = await postJson(`${gateway.url}/sessions/refresh`, { refresh_token: pair.refresh_token })
  const body = (await response.json()) as { readonly error?: string }
  return response.status === 200 ? '200' : `${response.status} ${body.error}`
}

async function metric(gateway: TestGateway, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  const found = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)
  return Number(found?.[1] ?? Number.NaN)
}

/** The answer of an ending that succeeded, and what it says about replicas. */
async function ending(answer: Promise<Response>): Promise<string> {
  const response = await answer
  await response.text()
  return `${response.status} ${response.headers.get('gatehouse-replication') ?? 'confirmed'}`
}

describe('a master that is replaced by a replica that lagged', () => {
  it('has what was acknowledged put back by the gateways that know it, for those that start later too', async () => {
    const master = keep(await startRedis())
    const replica = keep(await startReplicaOf(master))
    const sentinels = keep(await startSentinel(master))
    const place = { sentinels: sentinels.urls, name: 'mymaster' }
    const [one, two] = [keep(await startMember(place)), keep(await startMember(place))]
    const [lost, kept, ended] = [
      await createSession(one, 'acme', 'u1'),
      await createSession(one, 'acme', 'u2'),
      await createSession(one, 'acme', 'u3'),
    ]
    await vi.waitFor(async () => expect(await metric(one, 'gatehouse_redis_unconfirmed_writes')).toBe(0), WHOLE)
    for (const gateway of [one, two]) expect(await callApi(gateway, lost.access_token)).toBe('200')

    // Nothing that is written from here on reaches the replica.
    replica.pause()
    await master.admin.call('CLIENT', 'KILL', 'TYPE', 'replica')
    expect(await ending(revoke(one, lost.access_token))).toBe('200 unconfirmed')
    expect(await ending(revoke(two, ended.refresh_token))).toBe('200 unconfirmed')
    await Promise.all([refusedEverywhere([one, two], lost.access_token), refusedEverywhere([one, two], ended.access_token)])
    expect(await metric(one, 'gatehouse_redis_unconfirmed_writes')).toBeGreaterThan(0)
    await master.kill()
    replica.resume()

    await vi.waitFor(async () => expect(await replica.admin.info('replication')).toContain('role:master'), WHOLE)
    const known = async (): Promise<number> => replica.admin.zcard('revocations:live:{0}')
    await vi.waitFor(async () => expect(await known()).toBe(2), WHOLE)
    for (const gateway of [one, two]) {
      expect(await callApi(gateway, lost.access_token)).toBe('401 token_revoked')
      expect(await callApi(gateway, ended.access_token)).toBe('401 token_revoked')
      await vi.waitFor(async () => expect(await callApi(gateway, kept.access_token)).toBe('200'), WHOLE)
    }
    await vi.waitFor(async () => expect(await refresh(two, ended)).toBe('401 invalid_token'), WHOLE)

    // The old master comes back as a replica, and takes what the new one has.
    await master.restart()
    await vi.waitFor(async () => expect(await master.admin.info('replication')).toMatch(/master_link_status:up/), WHOLE)
    await vi.waitFor(async () => expect(await metric(one, 'gatehouse_redis_unconfirmed_writes')).toBe(0), WHOLE)
    expect(await master.admin.zcard('revocations:live:{0}')).toBe(2)
    const fresh = keep(await startMember(place))
    expect(await callApi(fresh, lost.access_token)).toBe('401 token_revoked')
    expect(await callApi(fresh, ended.access_token)).toBe('401 token_revoked')
    expect(await callApi(fresh, kept.access_token)).toBe('200')
    expect(await refresh(fresh, kept)).toBe('200')
  }, 120_000)
})

describe('two regions', () => {
  const STALE = 'revocation: { maxStaleness: 4s }\n'

  it('know of each other’s revocations, and the far one refuses rather than guess when the link is cut', async () => {
    const master = keep(await startRedis())
    const link = keep(await startFaultProxy(master.port))
    const replica = keep(await startReplicaOf(master, link.port))
    const folder = keep(aFolder())
    const here = keep(await startMember({ url: master.url }, undefined, STALE))
    let there = await startMember({ url: `redis://127.0.0.1:${link.port}`, replica: replica.url }, folder.path, STALE)
    keep({ close: () => there.close() })
    const [first, second, third, fourth] = [
      await createSession(here, 'acme', 'u1'),
      await createSession(here, 'acme', 'u2'),
      await createSession(there, 'acme', 'u3'),
      await createSession(there, 'acme', 'u4'),
    ]
    for (const pair of [first, second, third, fourth]) expect(await callApi(there, pair.access_token)).toBe('200')

    await revoke(here, first.access_token)
    const [lagMs] = await refusedEverywhere([there], first.access_token, 5_000)
    report(`two regions: refused in the other one after ${lagMs?.toFixed(0)} ms`)
    // Whoever ends something is not told before it is in force where it was asked.
    await revoke(there, second.access_token)
    expect(await callApi(there, second.access_token)).toBe('401 token_revoked')
    await refusedEverywhere([here], second.access_token, 5_000)

    link.disturb({ kind: 'hole' })
    await revoke(here, third.access_token)
    await vi.waitFor(async () => expect(await callApi(there, fourth.access_token)).toBe('503 revocation_unavailable'), WHOLE)
    expect(await callApi(there, first.access_token)).toBe('401 token_revoked')
    expect(await callApi(here, fourth.access_token)).toBe('200')
    expect(await metric(there, 'gatehouse_revocation_staleness_seconds')).toBeGreaterThan(4)
    expect(await metric(here, 'gatehouse_revocation_staleness_seconds')).toBeLessThan(4)

    link.disturb({ kind: 'none' })
    await vi.waitFor(async () => expect(await callApi(there, fourth.access_token)).toBe('200'), WHOLE)
    expect(await callApi(there, third.access_token)).toBe('401 token_revoked')

    // The first region is lost: the replica is made the master, and the gateways beside it are told.
    await master.kill()
    await replica.admin.replicaof('NO', 'ONE')
    await there.close()
    there = await startMember({ url: replica.url }, folder.path, STALE)
    for (const pair of [first, second, third]) expect(await callApi(there, pair.access_token)).toBe('401 token_revoked')
    expect(await callApi(there, fourth.access_token)).toBe('200')
    expect(await refresh(there, fourth)).toBe('200')
    const response = await fetch(`${there.url}/api/x`, {
      headers: bearer((await createSession(there, 'acme', 'u5')).access_token),
    })
    expect(response.status).toBe(200)
  }, 120_000)
})

function aFolder(): { readonly path: string; close(): void } {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-region-'))
  return { path, close: () => rmSync(path, { recursive: true, force: true }) }
}
