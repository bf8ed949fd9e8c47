import { describe, expect, test } from 'vitest'
import { createLayout } from '../../src/storage/redis/layout.ts'

describe('the layout of Redis', () => {
  test('finds a user’s bucket in a cluster where every version before found it', () => {
    const { bucketOf } = createLayout(true)
    expect(bucketOf({ tenant: 'acme', user: 'usr_1' })).toBe(8)
    expect(bucketOf({ tenant: 'acme', user: 'usr_2' })).toBe(1)
    expect(bucketOf({ tenant: 'beta', user: 'usr_1' })).toBe(9)
    expect(bucketOf({ tenant: 'default', user: 'auth0|ü😀' })).toBe(10)
  })

  test('has one bucket outside of a cluster', () => {
    const { buckets, bucketOf } = createLayout(false)
    expect(buckets).toBe(1)
    expect(bucketOf({ tenant: 'acme', user: 'usr_2' })).toBe(0)
  })

  test('lets no user or token choose the slot: the bucket is the first thing in braces', () => {
    const layout = createLayout(true)
    const keys = [
      layout.index('acme', 3, '{9}'),
      layout.revoked('acme', 3, '{9}'),
      layout.ended('acme', 3, '{9}'),
      layout.used('acme', 3, 'gateway', '{9}'),
    ]
    for (const key of keys) expect(/\{(.*?)\}/.exec(key)?.[1]).toBe('3')
  })
})
