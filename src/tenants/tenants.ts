/**
 * The gateway's own signing keys: those of each tenant and those of passports, from the day they are published to the day
 * no token of theirs is left. And since when each tenant is there.
 *
 * next → current → previous → retired, and revoked. Every process reads the sets again each second and does what is due; of
 * several one wins. A key is published before it signs and as long as its tokens live, so no valid token is ever refused:
 * a process that cannot read the sets stops signing before others forget the key it signs with.
 *
 * Sets are kept as sealed text by whoever implements {@link KeyStore}. A private key never leaves this room: what is returned
 * signs, or is public.
 *
 * @module
 */
import { isSame, type SigningAlgorithm, type TenantConfig } from '../config/config.ts'
import { Problem } from '../problem/problem.ts'
import type { DeviceTokens } from './device-token.ts'
import { createDeviceTokens } from './device-token.ts'
import { openOwner } from './owner.ts'
import type { Owner } from './owner.ts'
import type { KeyEvent, TenantKeys } from './tenant-keys.ts'
import { createTenantKeys } from './tenant-keys.ts'
import type { KeyPolicy } from './key-life.ts'
import type { RefreshToken, RefreshTokens } from './refresh-token.ts'
import { createRefreshTokens } from './refresh-token.ts'
import { createSeal } from './seal.ts'

export type { DeviceTokens } from './device-token.ts'
export type { RefreshToken } from './refresh-token.ts'
export type { KeyEvent, KeyFacts, KeyRotation, TenantKeys } from './tenant-keys.ts'
export { createTenantRecords } from './tenant-records.ts'
export type { TenantRecords, TenantStore, TenantTimes } from './tenant-records.ts'

/** Keeps sealed key sets by owner: `tenant:ID` or `gateway`. Storage implements it. */
export interface KeyStore {
  load(owner: string): Promise<string | undefined>
  /**
   * Stores `sealed` if what is stored now is `replacing` (undefined: nothing), in one step: of several starters one wins.
   *
   * @returns what is stored afterwards
   */
  save(owner: string, sealed: string, replacing: string | undefined): Promise<string>
  /** What an earlier process on this machine read last, for a start while the store cannot be read. */
  kept?(owner: string): Promise<KeptKeys | undefined>
}

/** A sealed set as it was in the store once. */
export interface KeptKeys {
  readonly sealed: string
  /** When it was read there: whole seconds since 1970. */
  readonly heardAt: number
}

/** A public key as in a JWKS (RFC 7517 §4). Frozen. */
export interface PublicJwk {
  readonly kty: string
  /** RFC 7638 thumbprint. */
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly use: 'sig'
  readonly n?: string
  readonly e?: string
  readonly crv?: string
  readonly x?: string
  readonly y?: string
}

export type Claims = Readonly<Record<string, unknown>>

/** Every method that takes a tenant throws `tenant_not_found` for one that is not configured. */
export interface Tenants {
  /**
   * Signs a JWT with the tenant's current key; `typ` as in RFC 7515 §4.1.9, for instance `at+jwt`. Rejects with
   * `storage_unavailable` while the stored keys were not heard of for minutes.
   */
  sign(tenant: string, claims: Claims, typ: string): Promise<string>
  /** Keys that verify the tenant's tokens, current first. */
  publicKeys(tenant: string): readonly PublicJwk[]
  /** The same as a JWKS document (RFC 7517 §5). */
  jwks(tenant: string): string
  /** A refresh token: opaque to its holder, `gwr_` + base64url. `sid` is 32 lower-case hex digits, `generation` counts from 0. */
  mintRefreshToken(tenant: string, sid: string, generation: number, bucket?: number): string
  /** What the refresh token says; undefined for anything that was not minted here for this tenant. */
  readRefreshToken(tenant: string, token: string): RefreshToken | undefined
  /** Tells from where a user has logged in before. */
  readonly deviceTokens: DeviceTokens
  /** The gateway's own word to upstreams. */
  readonly passport: {
    /** An ES256 JWT, made at once: it is on the path of each request. */
    sign(claims: Claims): string
    /** The key that signs now. */
    readonly publicJwk: PublicJwk
    /** Every key that verifies, as a JWKS document. */
    jwks(): string
  }
  /** For operators. */
  readonly keys: TenantKeys
  /** When the key of each tenant that signs now is to be replaced, seconds since 1970. */
  rotationsDue(): Iterable<readonly [tenant: string, dueAt: number]>
  /** Begins to read the stored sets again each second and to do what is due. */
  start(): void
  stop(): void
  /** Reads the stored sets again now: all, or that of one tenant. Never rejects: what cannot be read stays as it is. */
  reload(tenant?: string): Promise<void>
  /**
   * Opens the key sets that other tenants, or tenants with another configuration, need, making those that are missing. Changes
   * nothing for the tenants in force.
   *
   * @returns puts them in force; who is not among them has no keys here from then on
   */
  prepare(tenants: ReadonlyMap<string, TenantConfig>): Promise<() => void>
  /** Tells of each tenant whose published keys are others now; returns the way to stop that. */
  onKeysChanged(listener: (tenant: string) => void): () => void
}

export interface TenantsNeeds {
  readonly store: KeyStore
  /** 32 bytes each, newest first; the first one seals and mints, all open and read. */
  readonly masterKeys: readonly Uint8Array[]
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** From 0, below 1; spreads the reads of many gateways. */
  random(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** Writes the revocation of a key to the ordered log, so that every gateway drops it. `tokensUntil`: seconds since 1970. */
  revokeKey(tenant: string, kid: string, ending: { readonly reason: string; readonly tokensUntil: number }): Promise<void>
  /** Told of what happens to keys, for the audit record. */
  record?(event: KeyEvent): void
  /** The stored keys cannot be read, or can be again; told once for each change. */
  reachable?(state: 'up' | 'down', cause?: unknown): void
}

const PASSPORTS = 'gateway'
/** Longest life of a passport that can be configured, and a minute for clocks that differ. */
const PASSPORT_POLICY: KeyPolicy = Object.freeze({
  alg: 'ES256',
  rotateEverySeconds: 90 * 86_400,
  publishBeforeSeconds: 86_400,
  tokenSeconds: 3660,
})
const POLL_MS = 1000
/** With many tenants the sets are read less often. */
const POLL_MS_FOR_EACH = 10

/**
 * Opens the key set of every tenant, making those that are missing.
 *
 * @throws KeySetError when a stored set was sealed by another master key, tampered with, or belongs to another owner
 */
export async function openTenants(needs: TenantsNeeds, tenants: ReadonlyMap<string, TenantConfig>): Promise<Tenants> {
  const seal = createSeal(needs.masterKeys)
  const listeners = new Set<(tenant: string) => void>()
  const open = (name: string, policy: KeyPolicy, tenant?: string): Promise<Owner> =>
    openOwner({ ...pick(needs), seal, changed: () => tenant !== undefined && tell(tenant) }, { name, policy, tenant })
  let held = hold(new Map())
  const [passports, first] = await Promise.all([open(PASSPORTS, PASSPORT_POLICY), openAll(tenants)])
  held = hold(first)
  const poll = createPoll(needs, () => [passports, ...held.owners.values()])
  return {
    sign: async (tenant, claims, typ) => of(tenant).signer().sign(claims, typ),
    publicKeys: (tenant) => of(tenant).published().publicKeys,
    jwks: (tenant) => of(tenant).published().jwks,
    mintRefreshToken: (tenant, ...token) => knowing(tenant).refreshTokens.mint(tenant, ...token),
    readRefreshToken: (tenant, token) => knowing(tenant).refreshTokens.read(tenant, token),
    deviceTokens: {
      mint: (tenant, token) => knowing(tenant).deviceTokens.mint(tenant, token),
      read: (tenant, token) => knowing(tenant).deviceTokens.read(tenant, token),
    },
    passport: createPassport(passports),
    keys: createTenantKeys(needs, of),
    rotationsDue: () => rotationsDue(held.owners),
    start: poll.start,
    stop: poll.stop,
    reload: (tenant) => poll.run(tenant === undefined ? undefined : of(tenant)),
    async prepare(next) {
      const owners = await openAll(next)
      return () => {
        held = hold(owners)
      }
    },
    onKeysChanged(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }

  /** What is held already, under the same policy, stays what it is. */
  async function openAll(wanted: ReadonlyMap<string, TenantConfig>): Promise<ReadonlyMap<string, Owner>> {
    const opened = [...wanted.values()].map(async (tenant): Promise<readonly [string, Owner]> => {
      const policy = policyOf(tenant)
      const known = held.owners.get(tenant.id)
      const owner =
        known !== undefined && isSame(known.policy, policy) ? known : await open(`tenant:${tenant.id}`, policy, tenant.id)
      return [tenant.id, owner]
    })
    return new Map(await Promise.all(opened))
  }

  function hold(owners: ReadonlyMap<string, Owner>): Held {
    const ids = [...owners.keys()]
    return {
      owners,
      refreshTokens: createRefreshTokens(needs.masterKeys, ids),
      deviceTokens: createDeviceTokens(needs.masterKeys, ids),
    }
  }

  function of(tenant: string): Owner {
    const owner = held.owners.get(tenant)
    if (owner === undefined) throw new Problem('tenant_not_found')
    return owner
  }

  function knowing(tenant: string): Held {
    of(tenant)
    return held
  }

  function tell(tenant: string): void {
    if (held.owners.has(tenant)) for (const listener of listeners) listener(tenant)
  }
}

/** What is there for each tenant in force. */
interface Held {
  readonly owners: ReadonlyMap<string, Owner>
  readonly refreshTokens: RefreshTokens
  readonly deviceTokens: DeviceTokens
}

function* rotationsDue(owners: ReadonlyMap<string, Owner>): Generator<readonly [tenant: string, dueAt: number]> {
  for (const [tenant, { keeper, policy }] of owners) {
    const current = keeper.records().find(({ state }) => state === 'current')
    if (current !== undefined) yield [tenant, current.since + policy.rotateEverySeconds]
  }
}

function policyOf({ signing, keys, accessToken, clockSkewSeconds }: TenantConfig): KeyPolicy {
  return { alg: signing, ...keys, tokenSeconds: Math.ceil(accessToken.lifetimeSeconds + clockSkewSeconds) }
}

function createPassport(owner: Owner): Tenants['passport'] {
  return {
    // Not refused when the store was not heard of: a passport lives for seconds, and nobody but us would be the worse.
    sign: (claims) => owner.published().signer.signNow(claims, 'JWT'),
    get publicJwk() {
      return owner.current()
    },
    jwks: () => owner.published().jwks,
  }
}

interface Poll {
  start(): void
  stop(): void
  run(one?: Owner): Promise<void>
}

function createPoll(needs: TenantsNeeds, owners: () => readonly Owner[]): Poll {
  let cancel: (() => void) | undefined
  let running = false
  let isDown = false
  return { start, stop, run }

  function start(): void {
    running = true
    plan()
  }

  function stop(): void {
    running = false
    cancel?.()
  }

  function plan(): void {
    const everyMs = Math.max(POLL_MS, POLL_MS_FOR_EACH * owners().length)
    if (running) cancel = needs.schedule(everyMs * (0.75 + needs.random() / 2), () => void run().then(plan))
  }

  async function run(one?: Owner): Promise<void> {
    const results = await Promise.allSettled((one === undefined ? owners() : [one]).map((owner) => owner.refresh()))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed === undefined && one !== undefined) return
    if (isDown === (failed !== undefined)) return
    isDown = failed !== undefined
    if (failed === undefined) needs.reachable?.('up')
    else needs.reachable?.('down', failed.reason)
  }
}

function pick({ store, nowSeconds, record }: TenantsNeeds): Pick<TenantsNeeds, 'store' | 'nowSeconds' | 'record'> {
  return { store, nowSeconds: () => nowSeconds(), ...(record !== undefined && { record }) }
}
