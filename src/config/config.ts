/**
 * The configuration: what `gateway.yaml` says, with every default applied, parsed once and frozen.
 *
 * This room reads the file and knows its grammar. It never starts, connects or listens to anything.
 *
 * @module
 */
import { resolve } from 'node:path'
import type {
  Auth,
  CorsRules,
  CountryRules,
  HeaderRules,
  NetworkRules,
  Priority,
  RateLimits,
  Route,
  SplitSide,
  WhenStale,
} from '../exchange/exchange.ts'
import { describe, describePart } from './describe.ts'
import type { FrontConfig } from './build-front.ts'
import type { GeographyConfig } from './build-geography.ts'
import type { OverloadConfig } from './build-overload.ts'
import type { TelemetrySettings } from './build-telemetry.ts'
import type { RateLimitsConfig } from './build-rate-limits.ts'
import type { TakenFromEnvironment } from './from-environment.ts'
import type { InsecureName } from './insecure.ts'
import type { SERVICE_NAMES } from './names.ts'
import { fileFault, parseText, type ConfigNeeds } from './parse.ts'
import type { IssuerConfig } from './issuer-config.ts'
import type { TenantConfig } from './tenant-config.ts'
import type { UpstreamConfig } from './upstream-config.ts'

export { headersInWords, isSame } from './describe.ts'
export { didYouMean } from './suggest.ts'
export { restartRemarks } from './restart.ts'
export { ConfigError, formatFault } from './faults.ts'
export { listenerOfProcess } from './share.ts'
export type { PublicTlsConfig } from './build-front.ts'
export type { GeographyConfig } from './build-geography.ts'
export { kilometresBetween } from './countries.ts'
export { countriesIn } from './country-table.ts'
export type { OverloadConfig } from './build-overload.ts'
export type { AccessField, KeepConfig, TelemetrySettings, TracesConfig } from './build-telemetry.ts'
export type { ConfigNeeds, ConfigRemark } from './parse.ts'
export type { SigningAlgorithm, TenantConfig } from './tenant-config.ts'
export type * from './issuer-config.ts'
export type * from './upstream-config.ts'
export { JWKS_MAX_AGE_SECONDS, LONGEST_ACCESS_TOKEN_SECONDS, SERVICE_NAMES } from './names.ts'

/**
 * Reads and parses a configuration file.
 *
 * @param file As the operator wrote it; faults name it so. Other files that it names are relative to its folder.
 * @throws {@link ConfigError} with every fault at once.
 */
export function loadConfig(file: string, needs: ConfigNeeds): Config {
  return parseConfig(readOrRefuse(file, needs), file, needs)
}

/** The same for a text at hand; `file` names it in faults, and its folder is where relative paths start. */
export function parseConfig(text: string, file: string, needs: ConfigNeeds): Config {
  return parseText(text, file, needs)
}

/** The effective configuration as plain JSON, with `[redacted]` for each secret. Units are in the names of the keys. */
export function describeConfig(config: Config): unknown {
  return describe(config)
}

/** Compiled routes in the same form, with the same things hidden. */
export function describeRoutes(routes: readonly Route[]): unknown {
  return describePart('routes', routes)
}

/** A tenant in the same form. */
export function describeTenant(tenant: TenantConfig): unknown {
  return describePart('tenants', tenant)
}

function readOrRefuse(file: string, needs: ConfigNeeds): string {
  try {
    return needs.readFile(resolve(file))
  } catch (error) {
    throw fileFault(file, error)
  }
}

export interface Config {
  /** Absolute path of the file. */
  readonly file: string
  /** Changes whenever the effective configuration does: first 16 hex digits of its SHA-256. */
  readonly version: string
  readonly listeners: { readonly public: PublicListenerConfig; readonly admin: AdminListenerConfig }
  /** Processes that answer requests; 1: this one. */
  readonly workers: number
  /** How changes of the file come into force. */
  readonly reload: { /** Whether it is looked for them. */ readonly watch: boolean; readonly intervalMs: number }
  readonly storage: {
    readonly sessions: SessionStorageConfig
    readonly accounts: AccountStorageConfig
    /** Absolute path. */
    readonly directory: string
    readonly migrate: boolean
  }
  /** 32 bytes each; the first one seals, the others still open. Empty where the gateway keeps one of its own in `directory`. */
  readonly masterKeys: readonly Uint8Array[]
  /** By id. Has `default` always. */
  readonly tenants: ReadonlyMap<string, TenantConfig>
  /** By name. */
  readonly issuers: ReadonlyMap<string, IssuerConfig>
  /** Services that may create and revoke sessions, get tokens of their own or introspect others; by id. */
  readonly clients: ReadonlyMap<string, ClientConfig>
  readonly revocation: RevocationConfig
  /** How long Redis keeps whether a name is taken, give or take a tenth. */
  readonly usernames: { readonly cacheSeconds: number }
  /** `breachedPasswords`: absolute path of a file of hashes; absent: new passwords are not looked up. */
  readonly accounts: { readonly breachedPasswords?: string }
  readonly tokenCache: { readonly entries: number; /** At most. */ readonly lifetimeMs: number }
  readonly rateLimits: RateLimitsConfig
  readonly identity: IdentityConfig
  /** Absent: nobody knows. */
  readonly geography?: GeographyConfig
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>
  readonly routes: readonly RouteConfig[]
  readonly telemetry: TelemetrySettings
  /** What is insecure, and so on purpose. */
  readonly insecure: readonly InsecureName[]
  /** What is allowed and seldom meant; absent: nothing. */
  readonly warnings?: readonly Fault[]
  /** What the file does not speak of and the variables of an older service say; absent: nothing. */
  readonly fromEnvironment?: readonly TakenFromEnvironment[]
}

/** Where sessions, signing keys and revocations are kept. */
export type SessionStorageConfig =
  | { readonly kind: 'embedded' }
  /** The URLs may carry user name and password: they are secrets. `replica`: where revocations are read. `ca`: PEM. */
  | { readonly kind: 'redis'; readonly url: string; readonly replica?: string; readonly ca?: string }
  | { readonly kind: 'cluster'; readonly urls: readonly string[]; readonly ca?: string }
  | { readonly kind: 'sentinel'; readonly urls: readonly string[]; readonly name: string; readonly ca?: string }

/** Where accounts and usernames are kept. `url` may carry a password: it is a secret. */
export type AccountStorageConfig = { readonly kind: 'embedded' } | { readonly kind: 'postgres' | 'mysql'; readonly url: string }

export interface PublicListenerConfig extends FrontConfig {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** How clients reach us: scheme, host and port, without a slash at the end. */
  readonly origin: string
  /** CIDRs. */
  readonly trustedProxies: readonly string[]
  readonly limits: {
    readonly headerBytes: number
    readonly headers: number
    readonly urlBytes: number
    readonly bodyBytes: number
    /** Requests at once of one HTTP/2 connection. */
    readonly streams: number
    readonly connections: number
    /** Of one network, but for trusted proxies. Absent: no limit. */
    readonly connectionsPerClient?: number
  }
  readonly overload: OverloadConfig
  readonly timeouts: {
    readonly headersMs: number
    readonly requestMs: number
    readonly keepAliveMs: number
    readonly drainMs: number
    /** Before that, how long it still takes all that comes, while it is not ready any more. */
    readonly drainDelayMs: number
  }
}

export interface AdminListenerConfig {
  readonly host: string
  readonly port: number
  /** Absent only on a loopback address. */
  readonly token?: string
}

export interface ClientConfig {
  readonly id: string
  readonly tenant: string
  /** The shared secret, at least 16 bytes; absent where the client proves itself by a key. */
  readonly secret?: Uint8Array
  /** Public keys for `private_key_jwt` (RFC 7523 §2.2), from a JWKS file; absent where there is a secret. */
  readonly keys?: readonly Readonly<Record<string, unknown>>[]
  /** `sessions:write`, `sessions:read`, `tokens:introspect`, `revocations:read`, and what client_credentials may ask for. */
  readonly scopes: readonly string[]
}

export interface RevocationConfig {
  readonly maxStalenessMs: number
  readonly whenStale: WhenStale
  readonly breaker: { readonly timeoutMs: number; /** 0 to 1. */ readonly errorThreshold: number; readonly resetAfterMs: number }
  /** The channel of an older authentication service; absent: nothing is heard there and nothing is told. */
  readonly legacyChannel?: LegacyChannelConfig
}

export interface LegacyChannelConfig {
  readonly name: string
  /** Whether tokens that end are published as they are, for subscribers that know nothing else. */
  readonly publishRawToken: boolean
}

export interface IdentityConfig {
  /** Header names, lower case. */
  readonly headers: {
    readonly user: string
    readonly tenant: string
    readonly scopes: string
    readonly session: string
    readonly token: string
    /** Carries the subject of a client certificate. */
    readonly certificate: string
  }
  readonly passport: { readonly header: string; readonly lifetimeSeconds: number }
  /** That of `geography`, lower case: only a trusted proxy may send it, and in this spelling alone. */
  readonly countryHeader?: string
}

export type ServiceName = (typeof SERVICE_NAMES)[number]

/** A route as written, with its defaults; the router compiles it, one {@link ServiceName} endpoint at a time. */
export interface RouteConfig {
  readonly name: string
  readonly match: {
    readonly hosts: readonly string[]
    readonly path: string
    readonly methods: readonly string[]
    readonly headers: ReadonlyMap<string, string>
  }
  /** Absent only where a service says it, endpoint by endpoint. */
  readonly auth?: Auth
  readonly tenants?: ReadonlySet<string>
  readonly issuers?: ReadonlySet<string>
  readonly scopes: readonly string[]
  readonly claims: ReadonlyMap<string, ReadonlySet<string>>
  readonly maxAuthAgeSeconds?: number
  /** Absent: `allowed`. */
  readonly replay?: 'once'
  readonly rateLimit?: RateLimits
  readonly revocation: { readonly whenStale: WhenStale; readonly maxStalenessMs: number }
  readonly ip?: NetworkRules
  readonly countries?: CountryRules
  readonly cors?: CorsRules
  readonly bodyBytes: number
  /** Absent: by what the route leads to. */
  readonly priority?: Priority
  readonly responseTimeoutMs?: number
  readonly requestTimeoutMs?: number
  readonly idleTimeoutMs?: number
  readonly stripPrefix?: string
  readonly addPrefix?: string
  readonly forwardToken: boolean
  readonly host: 'upstream' | 'preserve'
  readonly hostName?: string
  readonly requestHeaders: HeaderRules
  readonly responseHeaders: HeaderRules
  readonly websocket: boolean
  /** Absent: `token`. */
  readonly liveUntil?: 'session'
  readonly encodedSlash: 'reject' | 'keep'
  /** Absent: nobody asks. */
  readonly clientCertificate?: 'required' | 'optional'
  readonly target:
    | { readonly kind: 'upstream'; readonly upstream: string }
    | { readonly kind: 'split'; readonly sides: readonly SplitSide[] }
    | { readonly kind: 'service'; readonly service: ServiceName }
}

/** One thing that is wrong in the file. Lines and columns count from 1. */
export interface Fault {
  readonly file: string
  readonly line: number
  readonly column: number
  /** `routes.orders.auth`; empty for the file as a whole. */
  readonly path: string
  /** What is wrong, and what to write. */
  readonly message: string
}
