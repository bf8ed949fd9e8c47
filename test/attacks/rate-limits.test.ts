/** Ways around a rate limit: another address than one's own, another spelling, another name, more names than can be kept. */
import { connect } from 'node:net'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fc } from '../support/properties.ts'
import { OWN_ISSUER } from '../../src/exchange/exchange.ts'
import type { Charged } from '../../src/quota/quota.ts'
import { createLayout } from '../../src/storage/redis/layout.ts'
import { createRateCounts } from '../../src/storage/redis/rate-counts.ts'
import { callerOf } from '../../src/quota/callers.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { ALICE, createWorld, limitsOf, uncountedOf } from '../unit/quota/world.ts'

const LIMIT = 'rateLimit: { requests: 3, per: 1d, by: ip }'

async function statuses(url: string, headers: readonly Readonly<Record<string, string>>[]): Promise<readonly number[]> {
  const all: number[] = []
  for (const fields of headers) {
    const response = await fetch(url, { headers: fields })
    await response.arrayBuffer()
    all.push(response.status)
  }
  return all
}

describe('an address that a client makes up', () => {
  let gateway: TestGateway
  let behind: TestGateway
  beforeAll(async () => {
    const routes = ['xff', 'more', 'cased'].map(
      (name) => `  - { name: ${name}, match: { path: /${name}/* }, auth: public, service: echo, ${LIMIT} }`,
    )
    const yaml = `routes:\n${routes.join('\n')}\n`
    gateway = await startGateway(yaml)
    behind = await startGateway(
      `listeners:\n  public:\n    {{public}}\n    trustedProxies: [127.0.0.1/32]\n  admin: { address: 127.0.0.1:0 }\n${yaml}`,
    )
  })
  afterAll(() => Promise.all([gateway.close(), behind.close()]))

  it('is not believed of a peer that is no trusted proxy, in whatever field', async () => {
    const made = Array.from({ length: 9 }, (_, at) => ({
      'x-forwarded-for': `198.51.100.${at}`,
      'x-real-ip': `198.51.100.${at}`,
      forwarded: `for=198.51.100.${at}`,
      'cf-connecting-ip': `198.51.100.${at}`,
      'true-client-ip': `198.51.100.${at}`,
      'x-client-ip': `198.51.100.${at}`,
    }))
    expect(await statuses(`${gateway.url}/xff/a`, made)).toEqual([200, 200, 200, 429, 429, 429, 429, 429, 429])
  })

  it('does not count before the one that the trusted proxy has seen', async () => {
    const made = Array.from({ length: 6 }, (_, at) => ({ 'x-forwarded-for': `198.51.100.${at}, 203.0.113.7` }))
    expect(await statuses(`${behind.url}/xff/a`, made)).toEqual([200, 200, 200, 429, 429, 429])
    expect(await statuses(`${behind.url}/xff/a`, [{ 'x-forwarded-for': '203.0.113.8' }])).toEqual([200])
  })

  it('of IPv6 counts as its /64, however it is written and whichever of its 2^64 addresses it is', async () => {
    const network = [
      '2001:db8:1:2::1',
      '2001:DB8:1:2::1',
      '2001:0db8:0001:0002:0:0:0:9',
      '2001:db8:1:2:ffff:ffff:ffff:ffff',
      '2001:db8:1:2::',
    ]
    const made = network.map((address) => ({ 'x-forwarded-for': address }))
    expect(await statuses(`${behind.url}/more/a`, made)).toEqual([200, 200, 200, 429, 429])
    expect(await statuses(`${behind.url}/more/a`, [{ 'x-forwarded-for': '2001:db8:1:3::1' }])).toEqual([200])
  })

  it('of IPv4 in IPv6 is the IPv4 address', async () => {
    const network = ['192.0.2.5', '::ffff:192.0.2.5', '::FFFF:192.0.2.5', '::ffff:c000:205']
    const made = network.map((address) => ({ 'x-forwarded-for': address }))
    expect(await statuses(`${behind.url}/cased/a`, made)).toEqual([200, 200, 200, 429])
  })

  it('is the same on every connection of a client, and on both address families of one machine', async () => {
    const hasIpv6 = Object.values(networkInterfaces())
      .flat()
      .some((one) => one?.address === '::1')
    if (!hasIpv6) return
    const sockets = Array.from({ length: 8 }, () => connect(gateway.port, '127.0.0.1'))
    const answers = await Promise.all(
      sockets.map(async (socket) => {
        socket.write('GET /cased/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
        const [chunk] = (await once(socket, 'data')) as [Buffer]
        socket.destroy()
        return chunk.toString('latin1').slice(9, 12)
      }),
    )
    expect(answers.filter((status) => status === '200')).toHaveLength(3)
  })
})

describe('a path that is spelled otherwise', () => {
  it('is the same route, with the same limit', async () => {
    const gateway = await startGateway(
      `routes:\n  - { name: r, match: { path: /pay/* }, auth: public, service: echo, ${LIMIT} }\n`,
    )
    try {
      const paths = ['/pay/a', '/pay/%61', '/pay/b?x=1', '/pay', '/pay/c']
      const found: number[] = []
      for (const path of paths) found.push(...(await statuses(`${gateway.url}${path}`, [{}])))
      expect(found).toEqual([200, 200, 200, 429, 429])
    } finally {
      await gateway.close()
    }
  })
})

describe('a composed key', () => {
  const part = fc.string({
    unit: fc.constantFrom(':', '{', '}', '~', '%', '/', ' ', '\0', 'a', 'b', '1', '-', 'user', 'ip', 'ip-2', 'token'),
    maxLength: 6,
  })
  const tenant = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,3}$/)
  const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,3}$/)

  it('CVE-2026-16158: distinct callers are distinct texts', () => {
    const principal = fc.record({ issuer: name, tenant, user: part, tokenId: part, client: part })
    const by = fc.constantFrom('user', 'token', 'client', 'tenant', 'ip')
    const asked = fc.record({ by, principal, client: fc.constantFrom('192.0.2.1', '2001:db8::1') })
    const textOf = ({
      by: how,
      principal: who,
      client,
    }: typeof asked extends fc.Arbitrary<infer T> ? T : never): [string, string] => {
      const exchange = uncountedOf({
        rateLimit: limitsOf(`1/1 ${how}`),
        client,
        tenant: who.tenant,
        principal: { ...ALICE, ...who, claims: { client_id: who.client } },
      })
      const isLogin = who.client === '' || (who.issuer === OWN_ISSUER && who.client === 'gatehouse')
      const parts: Record<string, readonly unknown[]> = {
        user: ['user', who.tenant, who.user],
        token: ['token', who.issuer, who.tenant, who.tokenId],
        client: isLogin ? ['user', who.tenant, who.user] : ['client', who.issuer, who.tenant, who.client],
        tenant: ['tenant', who.tenant],
        ip: ['ip', client],
      }
      return [JSON.stringify(parts[how]), callerOf(how, exchange)]
    }
    fc.assert(
      fc.property(asked, asked, (one, other) => {
        const [a, b] = [textOf(one), textOf(other)]
        expect(a[1] === b[1]).toBe(a[0] === b[0])
      }),
      { numRuns: 3_000 },
    )
  })

  it('CVE-2026-16158: distinct routes, limits and callers are distinct keys of Redis, in the slot of their bucket', async () => {
    const charged = fc.record({
      route: part,
      policy: fc.constantFrom('ip', 'ip-2', 'user', 'token'),
      caller: fc
        .tuple(
          fc.constantFrom('ip', 'user', 'token', 'client'),
          tenant,
          fc.oneof(part, fc.constantFrom('x'.repeat(90), 'x'.repeat(200))),
        )
        .map((parts) => parts.join(':')),
    })
    const keyOf = async (one: { route: string; policy: string; caller: string }): Promise<string> => {
      let key = ''
      const connection = {
        async run(_: unknown, keys: readonly string[]) {
          key = keys.join()
          return [1, 0]
        },
        send: async () => null,
        sendTogether: async () => [],
        hasReplicas: async () => false,
        close: () => undefined,
      }
      const charge: Charged = { ...one, intervalUs: 1, spanUs: 1 }
      const counts = createRateCounts({ connection, layout: createLayout(true) })
      const bucket = counts.partOf([charge])
      await counts.take(bucket, [charge])
      expect(key.indexOf(`{${bucket}}`)).toBe('limit:'.length)
      return key
    }
    await fc.assert(
      fc.asyncProperty(charged, charged, async (one, other) => {
        const [a, b] = [await keyOf(one), await keyOf(other)]
        expect(a === b).toBe(JSON.stringify(one) === JSON.stringify(other))
        expect(a.length).toBeLessThan(200)
      }),
      { numRuns: 2_000 },
    )
  })

  it('has no token in it, nor what its id is', async () => {
    const counts = createRateCounts({
      connection: {
        async run(_: unknown, keys: readonly string[]) {
          expect(keys.join()).not.toContain('secret-jti')
          return [1, 0]
        },
        send: async () => null,
        sendTogether: async () => [],
        hasReplicas: async () => false,
        close: () => undefined,
      },
      layout: createLayout(false),
    })
    await counts.take(0, [{ route: 'r', policy: 'token', caller: 'token:gateway:acme:secret-jti', intervalUs: 1, spanUs: 1 }])
  })
})

describe('more callers than are kept', () => {
  it('do not set anybody free: a user whose limit is spent stays refused while 200,000 addresses come by', async () => {
    const world = createWorld(undefined, { entries: 1_024 })
    const users = limitsOf('3/86400 user')
    const addresses = limitsOf('3/86400 ip')
    expect(await world.many(4, { rateLimit: users })).toBe(3)
    for (let number = 0; number < 200_000; number += 1) {
      const client = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`
      if (number % 20 === 0) await world.ask({ rateLimit: addresses, client })
    }
    expect(await world.many(3, { rateLimit: users })).toBe(0)
  })

  it('do not let one through who comes from ever new addresses: together they have what so many may', async () => {
    const world = createWorld(undefined, { entries: 256 })
    const rateLimit = limitsOf('2/86400 ip')
    let admitted = 0
    for (let number = 0; number < 5_000; number += 1) {
      const { outcome } = await world.ask({ rateLimit, client: `10.0.${number >> 8}.${number & 255}` })
      if (outcome === '200') admitted += 1
    }
    expect(admitted).toBeLessThanOrEqual(256 * 2)
  })
})
