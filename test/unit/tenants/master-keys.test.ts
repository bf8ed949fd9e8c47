import { decodeProtectedHeader } from 'jose'
import { describe, expect, test } from 'vitest'
import { MASTER_KEY, OTHER_KEY, configured, createWorld, memoryStore, tenant } from './world.ts'

const SID = '00112233445566778899aabbccddeeff'
const tenants = configured(tenant('acme'))

describe('a new master key', () => {
  test('beside the old one opens what that sealed and seals it anew, keys unchanged', async () => {
    const world = createWorld()
    const store = memoryStore()
    const before = await world.open(store, tenants, [OTHER_KEY])
    const sealed = new Map([...store.sets].map(([owner, text]) => [owner, decodeProtectedHeader(text).kid]))
    const after = await world.open(store, tenants, [MASTER_KEY, OTHER_KEY])
    expect(after.jwks('acme')).toBe(before.jwks('acme'))
    expect(after.passport.publicJwk).toEqual(before.passport.publicJwk)
    for (const [owner, text] of store.sets) expect(decodeProtectedHeader(text).kid).not.toBe(sealed.get(owner))
    const later = await world.open(store, tenants, [MASTER_KEY])
    expect(later.jwks('acme')).toBe(before.jwks('acme'))
    await expect(world.open(store, tenants, [OTHER_KEY])).rejects.toMatchObject({ code: 'master_key_differs' })
  })

  test('in second place opens, but leaves the seal alone', async () => {
    const world = createWorld()
    const store = memoryStore()
    await world.open(store, tenants, [MASTER_KEY])
    const sets = new Map(store.sets)
    await world.open(store, tenants, [MASTER_KEY, OTHER_KEY])
    expect(store.sets).toEqual(sets)
  })

  test('is learnt of by a process that has both, without a word said', async () => {
    const world = createWorld()
    const store = memoryStore()
    const old = await world.open(store, tenants, [OTHER_KEY, MASTER_KEY])
    await world.open(store, tenants, [MASTER_KEY, OTHER_KEY])
    await old.reload()
    expect(world.reachable).toEqual([])
    await expect(old.sign('acme', {}, 'at+jwt')).resolves.toBeTypeOf('string')
  })

  test('mints refresh tokens, and those of the old one are read as long as it is listed', async () => {
    const world = createWorld()
    const store = memoryStore()
    const before = await world.open(store, tenants, [OTHER_KEY])
    const token = before.mintRefreshToken('acme', SID, 3, 7)
    const both = await world.open(store, tenants, [MASTER_KEY, OTHER_KEY])
    expect(both.readRefreshToken('acme', token)).toEqual({ sid: SID, generation: 3, bucket: 7 })
    const fresh = both.mintRefreshToken('acme', SID, 4, 65_535)
    expect(before.readRefreshToken('acme', fresh)).toBeUndefined()
    const alone = await world.open(store, tenants, [MASTER_KEY])
    expect(alone.readRefreshToken('acme', fresh)).toEqual({ sid: SID, generation: 4, bucket: 65_535 })
    expect(alone.readRefreshToken('acme', token)).toBeUndefined()
  })
})

test('at least one master key is needed', async () => {
  await expect(createWorld().open(memoryStore(), tenants, [])).rejects.toThrow('a master key is needed')
})
