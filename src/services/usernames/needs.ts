import type { TenantConfig } from '../../config/config.ts'
import type { BudgetCounts } from './budget.ts'
import type { Layer } from './checks.ts'
import type { NameCache } from './lookups.ts'
import type { UsernameStore } from './store.ts'

/** What is counted and timed. */
export interface UsernameEvents {
  /** A check was answered, by this layer. */
  checked(tenant: string, layer: Layer, result: 'free' | 'taken' | 'held' | 'reserved' | 'invalid' | 'error'): void
  /** How long the work on a check took; waiting that was put in on purpose is not in it. */
  checkSeconds(seconds: number, layer: Layer): void
  /** One query of the database for this many names. */
  queried(names: number): void
  conflict(tenant: string): void
  probing(tenant: string, pattern: 'series' | 'dictionary' | 'flood'): void
  squatting(tenant: string, pattern: 'series' | 'holds'): void
  breaker(dependency: 'usernames_redis' | 'usernames_database', state: 'closed' | 'half-open' | 'open'): void
  /** Whether the feed of names can be read; told once for each change. */
  feed(state: 'up' | 'down', cause?: unknown): void
}

/** For the audit record. */
export interface UsernameRecord {
  readonly event: 'malicious_username_probing' | 'malicious_username_squatting'
  readonly tenant: string
  readonly user?: string
  readonly reason: string
  readonly ip?: string
  readonly requestId?: string
}

export interface UsernamesNeeds {
  readonly store: UsernameStore
  /** Absent: no Redis. */
  readonly cache?: NameCache
  /** What callers have spent at other processes and gateways. Absent: this is the only one. */
  readonly counts?: BudgetCounts
  /** Words that nobody can have as a name, of every tenant. */
  readonly reserved: readonly string[]
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Monotonic, milliseconds. */
  monotonicMs(): number
  /** From 0, below 1. */
  random(): number
  randomBytes(size: number): Buffer
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  readonly events: UsernameEvents
  record(event: UsernameRecord): void
}

export interface UsernamesConfig {
  readonly tenants: ReadonlyMap<string, TenantConfig>
  /** How long Redis keeps an answer, give or take a tenth. */
  readonly usernames: { readonly cacheSeconds: number }
}
