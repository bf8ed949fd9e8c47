/** An empty Redis takes the place of the one that is lost, and a new gateway is the first to find it. */
import { expect, it } from 'vitest'
import { startFaultProxy } from '../support/fault-proxy.ts'
import { type TestGateway } from '../support/gateway.ts'
import { startRedis } from '../support/redis.ts'
import { callApi, createSession, kidOf, startMember } from './fleet.ts'

const LIMIT = { timeout: 20_000, interval: 50 }

const keysOf = async ({ url }: TestGateway): Promise<readonly string[]> => {
  const response = await fetch(`${url}/t/acme/.well-known/jwks.json`)
  const { keys } = (await response.json()) as { readonly keys: readonly { readonly kid: string }[] }
  return keys.map(({ kid }) => kid)
}

it('refuses no token, of the keys that were lost or of those that were made anew, and has the layout recorded again', async () => {
  const [lost, empty] = [await startRedis(), await startRedis()]
  const proxies = await Promise.all([0, 1].map(() => startFaultProxy(lost.port)))
  const gateways: TestGateway[] = []
  try {
    for (const { port } of proxies) gateways.push(await startMember(`redis://127.0.0.1:${port}`))
    const [first, second] = gateways
    if (first === undefined || second === undefined) throw new Error('nobody')
    const old = (await createSession(first, 'acme', 'an old user')).access_token
    // Of keys of the same second either may sign on.
    const secondMs = Math.ceil(Date.now() / 1000) * 1000
    await expect.poll(() => Date.now(), LIMIT).toBeGreaterThan(secondMs)
    const fresh = await startMember(empty.url)
    gateways.push(fresh)
    const made = (await createSession(fresh, 'acme', 'a new user')).access_token
    expect(kidOf(made)).not.toBe(kidOf(old))
    await empty.admin.del('storage:buckets')

    await lost.kill()
    for (const proxy of proxies) {
      proxy.lead(empty.port)
      proxy.cut()
    }
    const refused: string[] = []
    const everywhere = async (): Promise<unknown> => {
      for (const one of [first, second]) refused.push(await callApi(one, old))
      refused.push(await callApi(fresh, made))
      return Promise.all(gateways.map(keysOf))
    }
    await expect.poll(everywhere, LIMIT).toEqual(gateways.map(() => [kidOf(old), kidOf(made)]))
    expect(refused.filter((answer) => answer !== '200')).toEqual([])
    for (const one of gateways) for (const token of [old, made]) expect(await callApi(one, token)).toBe('200')
    const again = (await createSession(fresh, 'acme', 'a new user')).access_token
    expect(kidOf(again)).toBe(kidOf(old))
    for (const one of gateways) expect(await callApi(one, again)).toBe('200')
    await expect.poll(() => empty.admin.get('storage:buckets'), LIMIT).toBe('1')
  } finally {
    await Promise.all(gateways.map((one) => one.close()))
    await Promise.all(proxies.map((one) => one.close()))
    await Promise.all([lost, empty].map((one) => one.stop()))
  }
}, 60_000)
