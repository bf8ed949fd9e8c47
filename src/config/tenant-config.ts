import type { CountryRules } from '../exchange/exchange.ts'

export type SigningAlgorithm = 'RS256' | 'ES256' | 'EdDSA'

export interface TenantConfig {
  readonly id: string
  /** What people call it. */
  readonly name: string
  /** Lower case, without port. */
  readonly hosts: readonly string[]
  readonly issuer: string
  readonly audience: string
  readonly signing: SigningAlgorithm
  readonly accessToken: {
    readonly lifetimeSeconds: number
    /** Share by which each lifetime is cut at random, 0 to 0.05, so that fleets do not refresh in step. */
    readonly jitter: number
  }
  readonly refreshToken: {
    readonly lifetimeSeconds: number
    readonly idleSeconds: number
    readonly rotation: boolean
    readonly graceSeconds: number
  }
  readonly sessionsPerUser: number
  readonly loginScopes: readonly string[]
  readonly keys: { readonly rotateEverySeconds: number; readonly publishBeforeSeconds: number }
  readonly registration: 'open' | 'closed'
  readonly clockSkewSeconds: number
  readonly throttle: {
    readonly loginPerMinute: number
    /** Checks by one address. */
    readonly usernamesPerMinute: number
    /** Checks by all together, on each gateway. */
    readonly usernamesTotalPerMinute: number
  }
  readonly usernames: {
    /** Names that nobody can have, nor one that looks like them. */
    readonly reserved: readonly string[]
    /** Names of which nobody can have a look-alike. */
    readonly protected: readonly string[]
  }
  /** Which countries its users must be in. Absent: any. */
  readonly countries?: CountryRules
  /** What is looked for in logins. Absent: nothing. */
  readonly anomalies?: { readonly newDevice: 'off' | 'record'; readonly impossibleTravel: 'off' | 'record' | 'refuse' }
}
