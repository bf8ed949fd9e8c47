import { createPublicKey, randomBytes, verify } from 'node:crypto'
import { inspect } from 'node:util'
import { calculateJwkThumbprint, createLocalJWKSet, decodeProtectedHeader, importJWK, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import type { TenantConfig } from '../../../src/config/config.ts'
import type { KeyStore, Tenants } from '../../../src/tenants/tenants.ts'
import { MASTER_KEY, configured, createWorld, memoryStore, tenant } from './world.ts'

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

function open(store: KeyStore, tenants: ReadonlyMap<string, TenantConfig>, masterKey: Uint8Array = MASTER_KEY): Promise<Tenants> {
  return createWorld().open(store, tenants, [masterKey])
}

async function sealedStore(): Promise<ReturnType<typeof memoryStore>> {
  const store = memoryStore()
  await open(store, configured(tenant('acme', 'RS256')))
  return store
}

describe('signing keys of a tenant', () => {
  test.each(['RS256', 'ES256', 'EdDSA'] as const)('sign %s tokens that its published keys verify', async (algorithm) => {
    const tenants = await open(memoryStore(), configured(tenant('acme', algorithm)))
    const token = await tenants.sign('acme', { sub: 'usr_1', nested: { a: [1] } }, 'at+jwt')
    const [key] = tenants.publicKeys('acme')
    expect(decodeProtectedHeader(token)).toEqual({ alg: algorithm, kid: key?.kid, typ: 'at+jwt' })
    const jwks: unknown = JSON.parse(tenants.jwks('acme'))
    expect(jwks).toEqual({ keys: tenants.publicKeys('acme') })
    const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: [{ ...key, kty: key?.kty ?? '' }] }))
    expect(payload).toEqual({ sub: 'usr_1', nested: { a: [1] } })
  })

  test('are named by their RFC 7638 thumbprint and are RSA-2048 for RS256', async () => {
    const tenants = await open(memoryStore(), configured(tenant('acme', 'RS256')))
    const [key] = tenants.publicKeys('acme')
    if (key === undefined) throw new Error('no key')
    expect(Object.keys(key).toSorted()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use'])
    expect(await calculateJwkThumbprint({ ...key })).toBe(key.kid)
    expect(Buffer.from(key.n ?? '', 'base64url').length).toBe(256)
    expect(key.use).toBe('sig')
  })

  test('verify no token of another tenant', async () => {
    const tenants = await open(memoryStore(), configured(tenant('acme'), tenant('beta')))
    const token = await tenants.sign('acme', {}, 'at+jwt')
    const [other] = tenants.publicKeys('beta')
    await expect(jwtVerify(token, await importJWK({ ...other }, 'ES256'))).rejects.toMatchObject({
      code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    })
  })

  test('are the same after a restart, and of two starters both use those of the first', async () => {
    const store = memoryStore()
    const tenants = configured(tenant('acme'), tenant('beta', 'EdDSA'))
    const [one, two] = await Promise.all([open(store, tenants), open(store, tenants)])
    const three = await open(store, tenants)
    for (const id of ['acme', 'beta']) {
      expect(two.jwks(id)).toBe(one.jwks(id))
      expect(three.jwks(id)).toBe(one.jwks(id))
    }
    expect(two.passport.publicJwk).toEqual(one.passport.publicJwk)
    expect(three.passport.publicJwk).toEqual(one.passport.publicJwk)
  })

  test('are asked of no tenant that is not configured', async () => {
    const tenants = await open(memoryStore(), configured(tenant('acme')))
    await expect(tenants.sign('beta', {}, 'at+jwt')).rejects.toMatchObject({ kind: 'tenant_not_found' })
    expect(() => tenants.jwks('beta')).toThrow('tenant_not_found')
    expect(() => tenants.publicKeys('__proto__')).toThrow('tenant_not_found')
  })

  test('never show a private member, however they are printed', async () => {
    const tenants = await open(memoryStore(), configured(tenant('acme', 'RS256'), tenant('beta', 'EdDSA'), tenant('gamma')))
    const all = [tenants, ...['acme', 'beta', 'gamma'].map((id) => [tenants.publicKeys(id), tenants.jwks(id)])]
    const printed = [
      JSON.stringify(all),
      inspect(all, { depth: null, showHidden: true, getters: true }),
      inspect(tenants.passport, { depth: null, showHidden: true }),
    ].join('\n')
    for (const member of PRIVATE_MEMBERS) expect(printed).not.toMatch(new RegExp(`[{,\\s"']${member}["']?:`))
  })
})

describe('sealed key sets', () => {
  test('hold nothing readable at rest and name the master key that sealed them', async () => {
    const store = await sealedStore()
    expect([...store.sets.keys()].toSorted()).toEqual(['gateway', 'tenant:acme'])
    for (const [owner, sealed] of store.sets) {
      expect(sealed.split('.').length).toBe(5)
      const header = decodeProtectedHeader(sealed)
      expect(header).toMatchObject({ alg: 'dir', enc: 'A256GCM', owner })
      expect(header.kid).toMatch(/^[A-Za-z0-9_-]{11}$/)
      for (const part of sealed.split('.')) {
        expect(Buffer.from(part, 'base64url').toString('latin1')).not.toMatch(/"(d|p|q|dp|dq|qi|kty)"|BEGIN/)
      }
    }
  })

  test('are refused under another master key, and are left as they are', async () => {
    const store = await sealedStore()
    const before = new Map(store.sets)
    const refused = open(store, configured(tenant('acme', 'RS256')), new Uint8Array(32).fill(8))
    await expect(refused).rejects.toMatchObject({ name: 'KeySetError', code: 'master_key_differs' })
    expect(store.sets).toEqual(before)
  })

  test('are refused when any part of them was changed', async () => {
    const store = await sealedStore()
    const sealed = store.sets.get('tenant:acme') ?? ''
    const parts = sealed.split('.')
    for (const index of [2, 3, 4]) {
      const bytes = Buffer.from(parts[index] ?? '', 'base64url')
      bytes[0] = (bytes[0] ?? 0) ^ 1
      const changed = parts.with(index, bytes.toString('base64url')).join('.')
      store.sets.set('tenant:acme', changed)
      const refused = open(store, configured(tenant('acme', 'RS256')))
      await expect(refused).rejects.toMatchObject({ name: 'KeySetError', code: 'tampered' })
      expect(store.sets.get('tenant:acme')).toBe(changed)
    }
  })

  test('are refused when they were copied from another owner, even with the header rewritten', async () => {
    const store = await sealedStore()
    const gateway = store.sets.get('gateway') ?? ''
    store.sets.set('tenant:acme', gateway)
    await expect(open(store, configured(tenant('acme')))).rejects.toMatchObject({ code: 'tampered' })
    const header = { ...decodeProtectedHeader(gateway), owner: 'tenant:acme' }
    const forged = gateway.split('.').with(0, Buffer.from(JSON.stringify(header)).toString('base64url'))
    store.sets.set('tenant:acme', forged.join('.'))
    await expect(open(store, configured(tenant('acme')))).rejects.toMatchObject({ code: 'tampered' })
  })

  test.each(['', 'x', 'a.b.c.d.e', '{"keys":[]}'])('are refused when they are %j', async (sealed) => {
    const store = memoryStore(new Map([['tenant:acme', sealed]]))
    await expect(open(store, configured(tenant('acme')))).rejects.toMatchObject({ code: 'malformed' })
  })

  test('need a master key of 32 bytes', async () => {
    await expect(open(memoryStore(), configured(tenant('acme')), new Uint8Array(16))).rejects.toThrow('32 bytes')
  })
})

describe('passports', () => {
  test('are ES256 JWTs with R and S side by side', async () => {
    const { passport } = await open(memoryStore(), configured(tenant('acme')))
    const token = passport.sign({ sub: 'usr_1', aud: 'orders' })
    expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', typ: 'JWT', kid: passport.publicJwk.kid })
    const { payload } = await jwtVerify(token, await importJWK({ ...passport.publicJwk }, 'ES256'))
    expect(payload).toEqual({ sub: 'usr_1', aud: 'orders' })
    const [header, body, signature = ''] = token.split('.')
    const key = createPublicKey({ key: { ...passport.publicJwk }, format: 'jwk' })
    const bytes = Buffer.from(signature, 'base64url')
    expect(bytes.length).toBe(64)
    expect(verify('sha256', Buffer.from(`${header}.${body}`), { key, dsaEncoding: 'ieee-p1363' }, bytes)).toBe(true)
  })

  test('are signed by a key that no tenant publishes, even one called gateway', async () => {
    const tenants = await open(memoryStore(), configured(tenant('gateway')))
    expect(tenants.publicKeys('gateway').map((key) => key.kid)).not.toContain(tenants.passport.publicJwk.kid)
  })
})

describe('refresh tokens', () => {
  const sid = '00112233445566778899aabbccddeeff'

  test('read back as they were minted, and by their own tenant and master key only', async () => {
    const store = memoryStore()
    const tenants = await open(store, configured(tenant('acme'), tenant('beta')))
    for (const generation of [0, 1, 127, 128, 16_383, 16_384, 2 ** 28 - 1]) {
      const token = tenants.mintRefreshToken('acme', sid, generation)
      expect(token).toMatch(/^gwr_[A-Za-z0-9_-]{50,54}$/)
      expect(tenants.readRefreshToken('acme', token)).toEqual({ sid, generation, bucket: 0 })
      expect(tenants.readRefreshToken('beta', token)).toBeUndefined()
    }
    const elsewhere = await open(memoryStore(), configured(tenant('acme')), new Uint8Array(32).fill(9))
    expect(elsewhere.readRefreshToken('acme', tenants.mintRefreshToken('acme', sid, 0))).toBeUndefined()
    const restarted = await open(store, configured(tenant('acme'), tenant('beta')))
    expect(restarted.readRefreshToken('acme', tenants.mintRefreshToken('acme', sid, 3))).toEqual({
      sid,
      generation: 3,
      bucket: 0,
    })
  })

  test('are refused with any one bit changed', async () => {
    const tenants = await open(memoryStore(), configured(tenant('acme')))
    const bytes = Buffer.from(tenants.mintRefreshToken('acme', sid, 300).slice(4), 'base64url')
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(tenants.readRefreshToken('acme', `gwr_${changed.toString('base64url')}`)).toBeUndefined()
    }
  })

  test('have one spelling', async () => {
    const tenants = await open(memoryStore(), configured(tenant('acme')))
    const token = tenants.mintRefreshToken('acme', sid, 0)
    const spellings = [
      `${token}=`,
      `${token} `,
      ` ${token}`,
      token.replace('gwr_', 'GWR_'),
      token.slice(4),
      `${token}A`,
      `${token}\n`,
    ]
    for (const spelling of spellings) expect(tenants.readRefreshToken('acme', spelling)).toBeUndefined()
  })

  test('are refused when they are anything else', async () => {
    const tenants = await open(memoryStore(), configured(tenant('acme')))
    for (let length = 0; length < 80; length++) {
      expect(tenants.readRefreshToken('acme', `gwr_${randomBytes(length).toString('base64url')}`)).toBeUndefined()
    }
    expect(tenants.readRefreshToken('acme', 'gwr_'.repeat(100_000))).toBeUndefined()
  })

  test('are minted for session ids only', async () => {
    const tenants = await open(memoryStore(), configured(tenant('acme')))
    expect(() => tenants.mintRefreshToken('acme', sid.toUpperCase(), 0)).toThrow('32 lower-case hex digits')
    expect(() => tenants.mintRefreshToken('acme', sid, -1)).toThrow('out of range')
    expect(() => tenants.mintRefreshToken('acme', sid, 2 ** 28)).toThrow('out of range')
  })
})
