import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { argon2id, createPasswords } from '../../../src/services/accounts/accounts.ts'
import type { Argon2Cost } from '../../../src/services/accounts/accounts.ts'
import { quickly } from './world.ts'

/** A derivation that waits to be let go, and counts. */
function gated() {
  const waiting: (() => void)[] = []
  const costs: Argon2Cost[] = []
  return {
    costs,
    running: () => waiting.length,
    release: () => waiting.shift()?.(),
    derive: async (password: Uint8Array, salt: Uint8Array, cost: Argon2Cost): Promise<Uint8Array> => {
      costs.push(cost)
      await new Promise<void>((resolve) => waiting.push(resolve))
      return quickly(password, salt)
    },
  }
}

function plain(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '')
}

describe('passwords', () => {
  test('follow a test vector of Argon2id', async () => {
    // Reference implementation of Argon2, test.c: version 19, t = 2, m = 2^16, p = 1.
    const hash = await argon2id(Buffer.from('password'), Buffer.from('somesalt'), { memoryKiB: 65_536, passes: 2, lanes: 1 }, 32)
    expect(Buffer.from(hash).toString('hex')).toBe('09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7')
  })

  test('are verified whatever cost they were hashed with', async () => {
    const passwords = createPasswords({ derive: argon2id, randomBytes, cores: 2 })
    const salt = Buffer.from('somesalt')
    const derived = await argon2id(Buffer.from('old password'), salt, { memoryKiB: 256, passes: 1, lanes: 1 }, 32)
    const phc = `$argon2id$v=19$m=256,t=1,p=1$${plain(salt)}$${plain(derived)}`
    expect(await passwords.verify('old password', phc)).toBe(true)
    expect(await passwords.verify('new password', phc)).toBe(false)
  })

  test('are salted: the same one hashes differently each time', async () => {
    const passwords = createPasswords({ derive: quickly, randomBytes, cores: 2 })
    const hashes = await Promise.all([passwords.hash('same'), passwords.hash('same')])
    expect(new Set(hashes).size).toBe(2)
    for (const hash of hashes) expect(await passwords.verify('same', hash)).toBe(true)
  })

  test('of nobody cost the same and are never right', async () => {
    const gate = gated()
    const passwords = createPasswords({ derive: gate.derive, randomBytes, cores: 3 })
    const known = passwords.hash('secret one')
    const unknown = passwords.verify('secret one', undefined)
    gate.release()
    gate.release()
    await known
    expect(await unknown).toBe(false)
    expect(gate.costs[1]).toEqual(gate.costs[0])
    expect(gate.costs[0]).toEqual({ memoryKiB: 19_456, passes: 2, lanes: 1 })
  })

  test.each([
    [1, 1],
    [2, 1],
    [3, 2],
    [5, 4],
    [64, 4],
  ])('on %i cores are hashed %i at a time, 64 wait, and the next is told to come back', async (cores, size) => {
    const gate = gated()
    const passwords = createPasswords({ derive: gate.derive, randomBytes, cores })
    const all = Array.from({ length: size + 64 }, () => passwords.verify('x', undefined))
    await setImmediate()
    expect(gate.running()).toBe(size)
    await expect(passwords.verify('x', undefined)).rejects.toMatchObject({
      kind: 'overloaded',
      facts: { headers: { 'retry-after': '1' } },
    })
    await expect(passwords.hash('x')).rejects.toMatchObject({ kind: 'overloaded' })
    for (let i = 0; i < size + 64; i++) {
      gate.release()
      await setImmediate()
      expect(gate.running()).toBeLessThanOrEqual(size)
    }
    expect(await Promise.all(all)).toEqual(all.map(() => false))
    expect(gate.costs.length).toBe(size + 64)
  })

  test('make room again after a run has failed', async () => {
    let failing = true
    const passwords = createPasswords({
      derive: async (password, salt) => {
        if (failing) throw new Error('no memory')
        return quickly(password, salt)
      },
      randomBytes,
      cores: 1,
    })
    for (let i = 0; i < 70; i++) await expect(passwords.hash('x')).rejects.toThrow('no memory')
    failing = false
    expect(await passwords.verify('x', await passwords.hash('x'))).toBe(true)
  })

  test('whose hash is of an unknown form are refused without quoting it', async () => {
    const passwords = createPasswords({ derive: quickly, randomBytes, cores: 1 })
    const error: unknown = await passwords.verify('x', '$2b$10$SECRETSECRETSECRET').catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).not.toContain('SECRET')
  })
})
