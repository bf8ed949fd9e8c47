/** What every backend must do, whatever it is made of: each suite runs against a store that `open` makes empty. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { UsedTokens } from '../../src/replay/replay.ts'
import type { RevocationLog, RevocationLookup } from '../../src/revocation/revocation.ts'
import type { Account, DeviceStore } from '../../src/services/accounts/accounts.ts'
import type { NewSession, SessionStore } from '../../src/services/sessions/sessions.ts'
import type { KeyStore, TenantStore } from '../../src/tenants/tenants.ts'

export interface Backend {
  readonly keys: KeyStore
  readonly sessions: SessionStore
  readonly log: RevocationLog & RevocationLookup
  readonly used: UsedTokens
  readonly devices: DeviceStore
  readonly tenants: TenantStore
  close(): void | Promise<void>
}

export interface Clock {
  /** Whole seconds since 1970. */
  now: number
}

export type Open<B extends Backend = Backend> = (clock: Clock) => Promise<B>

export const NOW = 1_800_000_000

/** Of user `usr_1` in tenant `acme`, begun at `now`. */
export function aSession(changes: Partial<NewSession> = {}, now = NOW): NewSession {
  return {
    tenant: 'acme',
    id: '00112233445566778899aabbccddeeff',
    user: 'usr_1',
    scope: 'orders:read orders:write',
    metadata: { plan: 'pro', Straße: '"\u0000\n' },
    device: 'curl/8',
    ip: '2001:db8::1',
    clientId: 'gatehouse',
    createdAt: now,
    expiresAt: now + 3_000,
    idleExpiresAt: now + 2_000,
    tokensUntil: now + 902,
    ...changes,
  }
}

export function anAccount(changes: Partial<Account> = {}): Account {
  return {
    id: 'usr_1',
    tenant: 'acme',
    email: 'Ann@Example.com',
    emailFolded: 'ann@example.com',
    username: { shown: 'Ann', folded: 'ann', skeleton: 'ann' },
    status: 'active',
    passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2g',
    createdAt: NOW,
    ...changes,
  }
}

/** A session id of one digit, 32 times. */
export function sid(digit: string): string {
  return digit.repeat(32)
}

/**
 * Opens the store before each test and closes it after. The clock starts at the real second, because a server has a clock
 * of its own and takes another one for true within 2 s only: a test may move it by so much.
 */
export function withBackend<B extends Backend>(open: Open<B>): { readonly clock: Clock; readonly backend: () => B } {
  const clock = { now: 0 }
  let backend: B | undefined
  beforeEach(async () => {
    clock.now = Math.floor(Date.now() / 1000)
    backend = await open(clock)
  })
  afterEach(async () => {
    await backend?.close()
  })
  return {
    clock,
    backend() {
      if (backend === undefined) throw new Error('not open')
      return backend
    },
  }
}

export function keyStoreContract(open: Open): void {
  describe('key store', () => {
    const { backend } = withBackend(open)

    test('keeps the first of two sets and tells the second starter of it', async () => {
      const { keys } = backend()
      expect(await keys.load('tenant:acme')).toBeUndefined()
      const saved = await Promise.all([keys.save('tenant:acme', 'one', undefined), keys.save('tenant:acme', 'two', undefined)])
      expect(new Set(saved).size).toBe(1)
      expect(await keys.load('tenant:acme')).toBe(saved[0])
      expect(await keys.load('tenant:beta')).toBeUndefined()
    })

    test('lets one of many win that replace the same set at once', async () => {
      const { keys } = backend()
      await keys.save('tenant:acme', 'old', undefined)
      const names = Array.from({ length: 50 }, (_, i) => `new ${i}`)
      const saved = await Promise.all(names.map((name) => keys.save('tenant:acme', name, 'old')))
      expect(new Set(saved)).toEqual(new Set([await keys.load('tenant:acme')]))
      expect(names).toContain(saved[0])
    })

    test('replaces only the set that was read', async () => {
      const { keys } = backend()
      await keys.save('gateway', 'one', undefined)
      expect(await keys.save('gateway', 'two', 'one')).toBe('two')
      expect(await keys.save('gateway', 'three', 'one')).toBe('two')
      expect(await keys.load('gateway')).toBe('two')
    })
  })
}
