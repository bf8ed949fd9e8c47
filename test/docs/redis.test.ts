import { describe, expect, it } from 'vitest'
import { fieldsOf } from '../../src/storage/redis/session-hash.ts'
import { CREATE } from '../../src/storage/redis/session-scripts.ts'
import { createKeyStore } from '../../src/storage/redis/key-store.ts'
import { BUCKETS_KEY, createLayout } from '../../src/storage/redis/layout.ts'
import { createTenantStore } from '../../src/storage/redis/tenant-store.ts'
import { createUsernameCache } from '../../src/storage/redis/username-cache.ts'
import { codeIn, codesIn, readPage, rowsOf } from './documents.ts'

const BUCKET = 0

describe('the layout in docs/redis.md', () => {
  const page = readPage('docs/redis.md')
  const rows = rowsOf(page, 'Layout')
  const keys = rows.filter(([key]) => codeIn(key).includes(':'))
  const fields = rows.filter(([key]) => !codeIn(key).includes(':')).flatMap(([names]) => codesIn(names ?? ''))

  it('has every key that the code writes, and no other', async () => {
    const written = [...keysOfLayout(), ...(await keysOfTenants()), ...(await keysOfUsernames()), BUCKETS_KEY]
    expect(keys.map(([key]) => codeIn(key)).toSorted()).toEqual(written.toSorted())
  })

  it('says of each what it is, what it holds and until when', () => {
    expect(keys.filter((cells) => cells.length !== 4 || cells.includes(''))).toEqual([])
  })

  it('has every field of a session, and no other', () => {
    const texts = fieldsOf(FULL).flatMap((field, index) => (index % 2 === 0 ? [String(field)] : []))
    const numbers = [...CREATE.text.matchAll(/'HSET', KEYS\[1\], '(\w+)'/g)].map(([, name = '']) => name)
    expect(numbers.length).toBe(1)
    expect([...new Set(fields)].toSorted()).toEqual([...numbers, ...texts].toSorted())
  })

  it('says how many buckets there are', () => {
    expect(page.prose).toContain(`**Cluster**: ${createLayout(true).buckets} buckets`)
    expect(createLayout(false).buckets).toBe(1)
  })
})

/** A member that is new here needs a row there. */
function keysOfLayout(): readonly string[] {
  const { buckets: _buckets, bucketOf: _bucketOf, bucketOfText: _bucketOfText, ...names } = createLayout(false)
  const { session, index, epoch, revoked, ended, used, devices, limit, feed, live, mark, beat, ...others } = names
  expect(Object.keys(others)).toEqual([])
  return [
    session('<id>', BUCKET, '<sid>'),
    index('<id>', BUCKET, '<user>'),
    epoch('<id>', BUCKET, '<user>'),
    epoch('<id>', BUCKET),
    revoked('<id>', BUCKET, '<jti or sid>'),
    ended('<id>', BUCKET, '<user>'),
    ended('<id>', BUCKET),
    used('<id>', BUCKET, '<issuer>', '<jti>'),
    devices('<id>', BUCKET, '<user>'),
    limit(BUCKET, 'route', 'limit', '<caller>').replace('route:limit', '<route>:<limit>'),
    feed(BUCKET),
    live(BUCKET),
    mark(BUCKET),
    beat('<gateway>'),
  ].map((key) => key.replace(`{${BUCKET}}`, '{b}'))
}

async function keysOfUsernames(): Promise<readonly string[]> {
  const asked: string[] = []
  const connection = {
    async send(...[, ...keys]: readonly (string | number)[]) {
      asked.push(...keys.map(String))
      return keys
    },
    run: async () => '',
    sendTogether: async () => [],
    hasReplicas: async () => false,
    close: () => undefined,
  }
  const names = createUsernameCache({ connection, isCluster: false, random: () => 0 }, 300)
  await names.read('default', ['<name>'])
  await names.read('<tenant>', ['<name>'])
  return asked
}

/** Of a tenant, and of the passports' keys, which are published elsewhere. */
async function keysOfTenants(): Promise<readonly string[]> {
  const asked: string[] = []
  const connection = {
    async send(...[command, key]: readonly (string | number)[]) {
      asked.push(String(key))
      return command === 'HMGET' ? [null, null, null] : null
    },
    run: async () => '',
    sendTogether: async () => [],
    hasReplicas: async () => false,
    close: () => undefined,
  }
  const store = createKeyStore(connection)
  await createTenantStore(connection).load('<id>')
  await store.load('tenant:<id>')
  await store.load('gateway')
  await store.publish('tenant:<id>', '{}')
  return asked
}

const FULL = {
  tenant: 'acme',
  id: '0'.repeat(32),
  user: 'u',
  scope: 'a',
  // So much that the texts are cut into three.
  metadata: { plan: 'x'.repeat(128) },
  device: 'curl',
  ip: '192.0.2.1',
  clientId: 'billing',
  country: 'NO',
  createdAt: 1,
  expiresAt: 2,
  idleExpiresAt: 2,
  tokensUntil: 2,
} as const
