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

  test('has users in its keys by the ids that they have, and those of 16 bytes in short', () => {
    const { index } = createLayout(false)
    const names = (users: readonly string[]) =>
      users.map((user) => index('acme', 0, user).slice('tenant:acme:sessions:{0}:'.length))
    const hex = '9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d'
    const uuid = '9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d'
    expect(names([`usr_${hex}`, uuid, uuid.toUpperCase(), 'auth0|42', '~u', ''])).toEqual([
      '~umx3rTTt9S62b3SsNez3LbQ',
      '~gmx3rTTt9S62b3SsNez3LbQ',
      uuid.toUpperCase(),
      'auth0|42',
      '~~u',
      '',
    ])
  })

  test('lets no user or token choose the slot: the bucket is the first thing in braces', () => {
    const layout = createLayout(true)
    const keys = [
      layout.index('acme', 3, '{9}'),
      layout.epoch('acme', 3, '{9}'),
      layout.revoked('acme', 3, '{9}'),
      layout.ended('acme', 3, '{9}'),
      layout.used('acme', 3, 'gateway', '{9}'),
    ]
    for (const key of keys) expect(/\{(.*?)\}/.exec(key)?.[1]).toBe('3')
  })
})
