/** The servers that requests of a route are forwarded to, and how one of them is chosen. */
export interface UpstreamConfig {
  readonly name: string
  /** At least one, and one at least that takes something. */
  readonly targets: readonly TargetConfig[]
  readonly balance: BalanceConfig
  /** `http2`: over TLS by ALPN, without it by prior knowledge. */
  readonly protocol: 'http1' | 'http2'
  /** What speaks HTTP/1.1 to `http://` targets. */
  readonly client: 'builtin' | 'undici'
  /** Requests bring no signed passport; absent: they do. */
  readonly passport?: false
  /** Connections for each target. */
  readonly connections: number
  readonly timeouts: {
    readonly connectMs: number
    readonly responseMs: number
    readonly idleMs: number
    /** Longest exchange as a whole; absent: no limit. */
    readonly requestMs?: number
  }
  /** Absent: a request is sent once. */
  readonly retries?: RetriesConfig
  /** Absent: nothing is asked. */
  readonly health?: HealthConfig
  /** Absent: no target is left out because of its answers. */
  readonly outliers?: OutliersConfig
  /** Absent: no limits. */
  readonly breaker?: UpstreamBreakerConfig
  readonly tls: {
    readonly verify: boolean
    /** PEM. */
    readonly ca?: string
    readonly certificate?: string
    readonly key?: string
    readonly serverName?: string
  }
}

export interface TargetConfig {
  /** Base URL, http or https; a path in it is put before the request's. */
  readonly url: URL
  /** Its share beside the others; 0: it takes nothing. */
  readonly weight: number
}

export type BalanceConfig =
  | { readonly kind: 'roundRobin' | 'leastRequests' | 'ewma' }
  | { readonly kind: 'hash'; readonly by: 'user' | 'ip' }
  /** `header`: lower case. */
  | { readonly kind: 'hash'; readonly by: 'header'; readonly header: string }

/** What a request may be sent again for. */
export type RetryReason = 'connect' | 'reset' | '502' | '503' | '504'

export interface RetriesConfig {
  /** Beyond the first one. */
  readonly attempts: number
  /** Share of the requests, 0 to 1. */
  readonly budget: number
  readonly on: ReadonlySet<RetryReason>
}

export interface HealthConfig {
  /** Origin-form, with its query; the path of the target's URL is not put before it. */
  readonly path: string
  readonly intervalMs: number
  readonly timeoutMs: number
  /** Good answers in a row after which a target is in again. */
  readonly healthyAfter: number
  /** Failures in a row after which it is out. */
  readonly unhealthyAfter: number
}

export interface OutliersConfig {
  readonly consecutiveFailures: number
  /** The first time; longer with each repeat. */
  readonly ejectForMs: number
  /** Share of the targets, 0 to 1. */
  readonly maxEjected: number
}

export interface UpstreamBreakerConfig {
  /** At once. */
  readonly maxRequests: number
  /** Waiting for a connection, at once. */
  readonly maxPending: number
  /** Share of failures, 0 to 1, at which it opens. */
  readonly errorThreshold: number
  /** Requests within the window below which it never opens. */
  readonly minRequests: number
  readonly windowMs: number
  readonly resetAfterMs: number
}
