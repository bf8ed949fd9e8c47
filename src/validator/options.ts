import type { GatehouseError } from '../errors/errors.ts'

/** Where a gateway is, and what this service takes from it: passports, access tokens, or both. */
export interface ValidatorOptions {
  /** Public origin of the gateway, as `listeners.public.origin` says: issuers are made of it, and keys are fetched there. */
  readonly origin: string
  /** Where the gateway is reached from here, when that is not the origin: `http://gatehouse.internal:8080`. */
  readonly reachAt?: string
  /** Lets keys and tokens pass over plain HTTP to a host that is not this machine. Default: refused. */
  readonly allowInsecure?: boolean
  /** Name of this service in `upstreams`: its passports are taken. Absent: passports are not looked at. */
  readonly service?: string
  /** Header of the passport, where `identity.passport.header` names another. Default: `x-gatehouse-identity`. */
  readonly header?: string
  /** Takes access tokens in `Authorization: Bearer`, for services that clients reach past the gateway. Absent: they are not looked at. */
  readonly tokens?: TokenOptions
  /** Tenants that may come in. Default: any that the gateway vouches for with passports; `default` with tokens. */
  readonly tenants?: readonly (string | TenantOptions)[]
  /** How far clocks may be apart, seconds. Default: 5. */
  readonly clockSkewSeconds?: number
  /** Most verified tokens that are remembered. Default: 10,000. */
  readonly cacheEntries?: number
  /** Told of what happens: for the log and for metrics. */
  readonly onEvent?: (event: ValidatorEvent) => void
  readonly fetch?: typeof globalThis.fetch
}

export interface TenantOptions {
  readonly id: string
  /** Default: the origin and `/t/<id>`. */
  readonly issuer?: string
  /** Default: `api`. */
  readonly audience?: string
}

export interface TokenOptions {
  /**
   * Where revocations are learnt. `unchecked`: not at all, so that a token is good until it expires; has to be said.
   */
  readonly revocations: FedRevocations | RedisRevocations | IntrospectedRevocations | 'unchecked'
}

/** Bounds of what is known in this process. */
export interface FreshnessOptions {
  /** Older knowledge than this says nothing about a token that is not known to be revoked. Milliseconds; default: 10,000. */
  readonly maxStalenessMs?: number
  /** What becomes of such a token. Default: `deny`, 503. */
  readonly whenStale?: 'deny' | 'allow'
}

/**
 * Follows what the gateway tells over HTTP: every check is local, and a revocation counts some milliseconds after it was made. Works
 * with any storage of the gateway. Needs a client with the scope `revocations:read` for each tenant whose tokens are taken.
 */
export interface FedRevocations extends FreshnessOptions {
  readonly feed: FeedClient | readonly FeedClient[]
}

export interface FeedClient {
  readonly clientId: string
  readonly clientSecret: string
  /** Where the service `revocations` is mounted. Default: `/revocations`. */
  readonly path?: string
}

/** Follows the feed of the gateways in their Redis itself. */
export interface RedisRevocations extends FreshnessOptions {
  /** The Redis of `storage.sessions`: the URL of one, or a cluster, or sentinels. A user who may only read is enough. */
  readonly redis:
    | string
    | { readonly cluster: readonly string[]; readonly ca?: string }
    | { readonly sentinels: readonly string[]; readonly name: string; readonly ca?: string }
    | { readonly url: string; readonly ca?: string }
}

/** Asks the gateway about each token (RFC 7662), for gateways without Redis. Needs a client with the scope `tokens:introspect`. */
export interface IntrospectedRevocations {
  readonly introspection: {
    readonly clientId: string
    readonly clientSecret: string
    /** Where the service `oauth` is mounted. Default: `/oauth`. */
    readonly path?: string
    /** How long an answer counts, milliseconds: the bound on how late a revocation is learnt. Default: 5,000. */
    readonly rememberMs?: number
    /** Default: 2,000. */
    readonly timeoutMs?: number
  }
}

export type ValidatorEvent =
  /** A request or token was refused. */
  | { readonly kind: 'refused'; readonly error: GatehouseError }
  /** Keys were fetched, or could not be; told once for each change. `of`: `passports`, or the tenant. */
  | { readonly kind: 'keys'; readonly of: string; readonly state: 'up' | 'down'; readonly cause?: unknown }
  /** Revocations can be read, or not; told once for each change. */
  | { readonly kind: 'revocations'; readonly state: 'up' | 'down'; readonly cause?: unknown }

/** Clocks, chance and timers; those of the process unless a test brings others. */
export interface Surroundings {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
  /** Monotonic clock, milliseconds. */
  monotonicMs(): number
  /** From 0, below 1. */
  random(): number
  /** Runs once after the delay without keeping the process alive; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
}

/** What is known of the revocations. */
export interface RevocationState {
  /** Revocations held. */
  readonly entries: number
  /** Infinite before they were loaded. */
  readonly stalenessMs: number
}
