/** Tokens made elsewhere that are accepted, as the configuration says it. */

export type JwsAlgorithm =
  | 'RS256'
  | 'RS384'
  | 'RS512'
  | 'PS256'
  | 'PS384'
  | 'PS512'
  | 'ES256'
  | 'ES384'
  | 'ES512'
  | 'EdDSA'
  | 'HS256'
  | 'HS384'
  | 'HS512'

/** Where the keys of an issuer come from. */
export type KeySourceConfig =
  | {
      readonly kind: 'uri'
      readonly uri: string
      readonly refreshMs: number
      readonly minIntervalMs: number
      readonly staleForMs: number
      readonly timeoutMs: number
    }
  | { readonly kind: 'file'; /** Absolute path. */ readonly file: string }
  /** Shared secrets, current first; each as long as its hash at least. */
  | { readonly kind: 'secrets'; readonly secrets: readonly Uint8Array[] }

export interface IssuerConfig {
  readonly name: string
  /** Compared with `iss` to the letter. */
  readonly issuer: string
  readonly tenant: string
  readonly audiences: readonly string[] | 'any'
  readonly algorithms: readonly JwsAlgorithm[]
  readonly keys: KeySourceConfig
  readonly clockSkewSeconds: number
  readonly maxLifetimeSeconds: number
  /** `gateway`: another process of this kind makes them, so that epoch and key count as in our own; absent: somebody else. */
  readonly madeBy?: 'gateway'
  /** Names of the claims that carry each fact. */
  readonly claims: {
    readonly user: string
    /** Names the user of a token without `user`. */
    readonly userElse?: string
    readonly scope: string
    readonly session: string
    readonly token: string
  }
}
