/** Two regions: the one of the master is given up while clients call, and comes back as the region of the replica. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { postJson, type TestGateway } from '../support/gateway.ts'
import { startRedis, startReplicaOf } from '../support/redis.ts'
import { asClient, callApi, createSession, report, startMember, type Pair } from './fleet.ts'

const WHOLE = { timeout: 30_000, interval: 50 } as const
/** Longer than a machine that is busy with other tests takes to start two gateways. */
const STALE = 'revocation: { maxStaleness: 5m }\n'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
}, 60_000)

interface Member {
  gateway: TestGateway
  readonly folder: string
  isUp: boolean
}

async function startIn(place: unknown): Promise<Member> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-region-'))
  const member: Member = { gateway: await startMember(place, folder, STALE), folder, isUp: true }
  open.push(async () => {
    if (member.isUp) await member.gateway.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return member
}

async function stop(member: Member): Promise<void> {
  member.isUp = false
  await member.gateway.close()
}

async function startAgain(member: Member, place: unknown): Promise<void> {
  member.gateway = await startMember(place, member.folder, STALE)
  member.isUp = true
}

const end = async (gateway: TestGateway, token: string): Promise<number> =>
  (await postJson(`${gateway.url}/sessions/revoke`, { token, reason: 'test' }, asClient('acme'))).status

async function refresh(gateway: TestGateway, pair: Pair): Promise<string> {
  const response = await postJson(`${gateway.url}/sessions/refresh`, { refresh_token: pair.refresh_token })
  const { error } = (await response.json()) as { readonly error?: string }
  return response.status === 200 ? '200' : `${response.status} ${error}`
}

it('no verified token is refused, and no revoked one taken, while the region of the master is given up and when it is back', async () => {
  const master = await startRedis()
  open.push(() => master.stop())
  const replica = await startReplicaOf(master)
  open.push(() => replica.stop())
  const europe = await startIn({ url: master.url })
  const america = [
    await startIn({ url: master.url, replica: replica.url }),
    await startIn({ url: master.url, replica: replica.url }),
  ]
  const live = await createSession(europe.gateway, 'acme', 'u1')
  const ended = await createSession(europe.gateway, 'acme', 'u2')
  expect(await end(europe.gateway, ended.access_token)).toBe(200)
  for (const { gateway } of america) {
    await vi.waitFor(async () => expect(await callApi(gateway, ended.access_token)).toBe('401 token_revoked'), WHOLE)
  }

  const seen = new Map<string, number>()
  const over = new AbortController()
  const clients = [live, ended].map(async (pair) => {
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      // As a balancer does: to one that is up.
      const member = america.filter(({ isUp }) => isUp).at(turn % 2) ?? america.find(({ isUp }) => isUp)
      if (member === undefined) throw new Error('no gateway is up')
      const answer = `${pair === live ? 'live' : 'ended'}: ${await callApi(member.gateway, pair.access_token)}`
      seen.set(answer, (seen.get(answer) ?? 0) + 1)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })

  // All of that region is gone at once.
  await Promise.all([master.kill(), stop(europe)])
  await replica.admin.replicaof('NO', 'ONE')
  for (const member of america) {
    await stop(member)
    await startAgain(member, { url: replica.url })
  }
  const [one, two] = america.map(({ gateway }) => gateway)
  if (one === undefined || two === undefined) throw new Error('no gateways')
  const later = await createSession(one, 'acme', 'u3')
  expect(await callApi(two, later.access_token)).toBe('200')
  expect(await refresh(two, live)).toBe('200')
  expect(await end(one, later.access_token)).toBe(200)
  await vi.waitFor(async () => expect(await callApi(two, later.access_token)).toBe('401 token_revoked'), WHOLE)

  // It comes back as a replica, and its gateway learns what happened in between.
  await master.restart()
  await master.admin.replicaof('127.0.0.1', replica.port)
  await vi.waitFor(async () => expect(await master.admin.info('replication')).toContain('master_link_status:up'), WHOLE)
  await startAgain(europe, { url: replica.url, replica: master.url })
  await vi.waitFor(async () => expect(await callApi(europe.gateway, later.access_token)).toBe('401 token_revoked'), WHOLE)
  expect(await callApi(europe.gateway, ended.access_token)).toBe('401 token_revoked')
  expect(await callApi(europe.gateway, live.access_token)).toBe('200')
  over.abort()
  await Promise.all(clients)
  report(`a region was given up under load: ${[...seen].map(([answer, count]) => `${count} × ${answer}`).join(', ')}`)
  expect([...seen.keys()].toSorted()).toEqual(['ended: 401 token_revoked', 'live: 200'])
}, 120_000)
