import { createHash } from 'node:crypto'
import { describeTenant, type TenantConfig } from '../config/config.ts'
import type { TenantKeys } from './tenant-keys.ts'

/** Whole seconds since 1970. */
export interface TenantTimes {
  /** When it was configured first, on any gateway of the storage. */
  readonly createdAt: number
  /** When another configuration of it came into force last. */
  readonly updatedAt: number
}

/** What is kept of a tenant. */
export interface TenantRecord extends TenantTimes {
  /** SHA-256 of its configuration, base64url. */
  readonly digest: string
}

/** Keeps a record of each tenant. Storage implements it. */
export interface TenantStore {
  load(tenant: string): Promise<TenantRecord | undefined>
  save(tenant: string, record: TenantRecord): Promise<void>
}

/** Since when tenants are there, and since when they are as they are. */
export interface TenantRecords {
  /** Tenants with these configurations are in force. What cannot be stored now is stored later. */
  use(tenants: ReadonlyMap<string, TenantConfig>): void
  /** As any gateway of the storage noted it last. Rejects with `storage_unavailable`, or `tenant_not_found`. */
  times(tenant: string): Promise<TenantTimes>
  stop(): void
}

export interface TenantRecordsNeeds {
  readonly store: TenantStore
  readonly keys: Pick<TenantKeys, 'list'>
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
}

const AGAIN_MS = 5000

/**
 * Notes each tenant once for each configuration that comes into force here. Nothing waits for it, and no token depends on it.
 *
 * While gateways of one storage have different configurations, the one that was taken on last counts.
 */
export function createTenantRecords(needs: TenantRecordsNeeds): TenantRecords {
  /** Digests of what is in force, and of what of it is not in the store for sure. */
  let inForce: ReadonlyMap<string, string> = new Map()
  let due = new Map<string, string>()
  let cancel: (() => void) | undefined
  let working: Promise<void> | undefined
  let isStopped = false
  return { use, times, stop }

  function use(tenants: ReadonlyMap<string, TenantConfig>): void {
    const next = new Map([...tenants].map(([id, tenant]) => [id, digestOf(tenant)]))
    due = new Map([...next].filter(([id, digest]) => due.has(id) || inForce.get(id) !== digest))
    inForce = next
    cancel?.()
    work()
  }

  function work(): void {
    working ??= noteAll().finally(() => {
      working = undefined
      if (due.size > 0 && !isStopped) cancel = needs.schedule(AGAIN_MS, work)
    })
  }

  async function noteAll(): Promise<void> {
    try {
      for (let [next] = due; next !== undefined; [next] = due) {
        const [id, digest] = next
        await note(id, digest)
        if (due.get(id) === digest) due.delete(id)
      }
    } catch {
      // The store is away, which whoever reads the keys tells of: once more, later.
    }
  }

  async function note(id: string, digest: string): Promise<TenantTimes> {
    const stored = await needs.store.load(id)
    if (stored?.digest === digest) return stored
    const record = stored === undefined ? await firstOf(id, digest) : { ...stored, digest, updatedAt: needs.nowSeconds() }
    await needs.store.save(id, record)
    return record
  }

  /** A tenant of before there were records, or one that the store lost, is at least as old as its oldest key that is known. */
  async function firstOf(id: string, digest: string): Promise<TenantRecord> {
    const keys = await needs.keys.list(id)
    const createdAt = Math.min(needs.nowSeconds(), ...keys.map((key) => key.createdAt))
    return { createdAt, updatedAt: createdAt, digest }
  }

  async function times(tenant: string): Promise<TenantTimes> {
    const stored = await needs.store.load(tenant)
    const digest = inForce.get(tenant)
    const { createdAt, updatedAt } = stored ?? (digest === undefined ? await firstOf(tenant, '') : await note(tenant, digest))
    return { createdAt, updatedAt }
  }

  function stop(): void {
    isStopped = true
    due.clear()
    cancel?.()
  }
}

/** Equal configurations have equal digests, in whatever order they were written. There is no secret in one. */
function digestOf(tenant: TenantConfig): string {
  return createHash('sha256')
    .update(JSON.stringify(describeTenant(tenant)))
    .digest('base64url')
}
