/** Gateways that share one store of keys, on a clock that stands still until it is moved. */
import type { SigningAlgorithm, TenantConfig } from '../../../src/config/config.ts'
import type { KeyEvent, KeyStore, Tenants, TenantsNeeds } from '../../../src/tenants/tenants.ts'
import { openTenants } from '../../../src/tenants/tenants.ts'

export const MASTER_KEY = new Uint8Array(32).fill(7)
export const OTHER_KEY = new Uint8Array(32).fill(8)

/** Noon of a day in 2027. */
export const START = 1_800_000_000
export const MINUTE = 60
export const DAY = 86_400

export function tenant(id: string, signing: SigningAlgorithm = 'ES256', more: Partial<TenantConfig> = {}): TenantConfig {
  return {
    id,
    name: id,
    hosts: [],
    issuer: `http://localhost:8080/t/${id}`,
    audience: 'api',
    signing,
    accessToken: { lifetimeSeconds: 900, jitter: 0 },
    refreshToken: { lifetimeSeconds: 1_000, idleSeconds: 500, rotation: true, graceSeconds: 10 },
    sessionsPerUser: 100,
    loginScopes: [],
    keys: { rotateEverySeconds: 90 * DAY, publishBeforeSeconds: 10 * MINUTE },
    registration: 'open',
    clockSkewSeconds: 2,
    throttle: { loginPerMinute: 20, usernamesPerMinute: 10, usernamesTotalPerMinute: 3_000_000 },
    usernames: { reserved: [], protected: [] },
    ...more,
  }
}

export function configured(...tenants: TenantConfig[]): ReadonlyMap<string, TenantConfig> {
  return new Map(tenants.map((entry) => [entry.id, entry]))
}

export interface MemoryStore extends KeyStore {
  readonly sets: Map<string, string>
  /** Set to have every call fail. */
  down: boolean
}

/** @param pause awaited before each step, so that callers interleave */
export function memoryStore(sets = new Map<string, string>(), pause: () => Promise<void> = async () => undefined): MemoryStore {
  const store: MemoryStore = {
    sets,
    down: false,
    async load(owner) {
      await pause()
      if (store.down) throw new Error('the store is down')
      const found = sets.get(owner)
      await pause()
      return found
    },
    async save(owner, sealed, replacing) {
      await pause()
      if (store.down) throw new Error('the store is down')
      if (sets.get(owner) === replacing) sets.set(owner, sealed)
      const found = sets.get(owner) ?? ''
      await pause()
      return found
    },
  }
  return store
}

export interface Clock {
  now: number
}

export interface Revoked {
  readonly tenant: string
  readonly kid: string
  readonly reason: string
  readonly tokensUntil: number
}

export interface World {
  readonly clock: Clock
  readonly revoked: Revoked[]
  readonly events: KeyEvent[]
  readonly reachable: string[]
  /** Timers that are set: run the last one to let a second pass for a process. */
  readonly timers: { readonly delayMs: number; readonly run: () => void }[]
  readonly needs: Omit<TenantsNeeds, 'store' | 'masterKeys'>
  open(store: KeyStore, tenants: ReadonlyMap<string, TenantConfig>, masterKeys?: readonly Uint8Array[]): Promise<Tenants>
}

export function createWorld(): World {
  const clock: Clock = { now: START }
  const revoked: Revoked[] = []
  const events: KeyEvent[] = []
  const reachable: string[] = []
  const timers: { readonly delayMs: number; readonly run: () => void }[] = []
  const needs: World['needs'] = {
    nowSeconds: () => clock.now,
    random: () => 0.5,
    schedule(delayMs, run) {
      const timer = { delayMs, run }
      timers.push(timer)
      return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1))
    },
    revokeKey: async (tenant, kid, ending) => void revoked.push({ tenant, kid, ...ending }),
    record: (event) => void events.push(event),
    reachable: (state) => void reachable.push(state),
  }
  return {
    clock,
    revoked,
    events,
    reachable,
    timers,
    needs,
    open: (store, tenants, masterKeys = [MASTER_KEY]) => openTenants({ ...needs, store, masterKeys }, tenants),
  }
}
