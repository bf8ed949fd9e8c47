/**
 * What is known of a request at each step of its life.
 *
 * Each step takes what the step before proved and adds its own fact; nothing is changed, nothing is taken away:
 * `Arrived → Routed → Entered → Paced → Authenticated → Unrevoked → Permitted → Counted → Admitted`. A step that is skipped
 * leaves its fact out, and the next one does not compile. Here are types, and how texts are read everywhere; nothing is decided.
 *
 * @module
 */

export { ACCESS_COOKIE, cookieValues, DEVICE_COOKIE, OUR_COOKIES, REFRESH_COOKIE } from './cookies.ts'
export { isOriginAllowed, type CorsRules, type OriginPattern } from './cross-origin.ts'
export { isGrpc } from './grpc.ts'
export { foldHeaderName } from './header-name.ts'
export { readAddress, readNetwork, type AddressRange } from './ip-address.ts'
export { createKeyedHash, type KeyedHash } from './keyed-hash.ts'
export { fieldOf } from './messages.ts'
export type { AnswerMessage, ClientCertificate, Connection, Framed, RequestMessage } from './messages.ts'
export { networkOf } from './network.ts'
export { ownText } from './own-text.ts'
export type { CountryRules, NetworkRules } from './places.ts'
export type { Recording, Trace, TracedAttempt, TraceTarget } from './trace.ts'

import type { CorsRules } from './cross-origin.ts'
import type { ClientCertificate } from './messages.ts'
import type { CountryRules, NetworkRules } from './places.ts'
import type { Trace } from './trace.ts'

/** Who may use a route. There is no default: what is not said to be public needs a token. */
export type Auth = 'required' | 'optional' | 'public'

/** Who gives way when there is more work than can be done: `low` first, `high` last. */
export type Priority = 'low' | 'normal' | 'high'

/** What happens to a token when the local copy of the revocations is older than the route allows. */
export type WhenStale = 'deny' | 'allow' | 'verify' | 'safe-methods'

/** A request as the listener took it from the socket, before anything of it is believed. */
export interface Arrived {
  /** Request id: the client's `x-request-id` from a trusted proxy, else 128 random bits. */
  readonly id: string
  /** Upper case, as on the request line. */
  readonly method: string
  /** The request target as received (RFC 9112 §3.2), at most `limits.urlBytes` long. */
  readonly target: string
  /** Host without port, lower case, without a trailing dot; empty when an HTTP/1.0 client sent none. */
  readonly host: string
  /** Host as received, with its port, for `x-forwarded-host` and `host: preserve`. */
  readonly authority: string
  /** Name, value, name, value … as received; repeated fields are repeated. */
  readonly rawHeaders: readonly string[]
  /** Address of the other end of the socket. */
  readonly peer: string
  /** Whether the peer is one of `trustedProxies`. */
  readonly trusted: boolean
  /** Address of the client: the peer, or what a trusted proxy says. */
  readonly client: string
  readonly scheme: 'http' | 'https'
  /** What the client proved itself by when it opened the connection; absent: nothing that our authorities vouch for. */
  readonly certificate?: ClientCertificate | undefined
  /** True when the client asks for a WebSocket (`Upgrade: websocket`). */
  readonly upgrade: boolean
  /** Octets of the body that the request announces: 0 for none, undefined when it is chunked (RFC 9112 §6.3). */
  readonly bodyLength: number | undefined
  /** True when the client waits for 100 (Continue) before it sends the body (RFC 9110 §10.1.1). */
  readonly expectsContinue: boolean
  /** Reading of the monotonic clock at arrival, milliseconds. */
  readonly startedMs: number
  /** Absent where no traces are kept. */
  readonly trace?: Trace
}

/** Something a built-in service answers, a whole upstream, or several that share the users. */
export type Target =
  | { readonly kind: 'upstream'; readonly upstream: string }
  | { readonly kind: 'split'; readonly sides: readonly SplitSide[] }
  | { readonly kind: 'service'; readonly service: string; readonly endpoint: string }
  /** What a browser asks before it sends the request of a page; the gateway itself answers. */
  | { readonly kind: 'preflight' }

/** An upstream that gets as large a share of the users as its weight is of all weights. */
export interface SplitSide {
  readonly upstream: string
  readonly weight: number
}

/** Whose requests a rate limit counts together. */
export type RateLimitBy = 'ip' | 'user' | 'tenant' | 'token' | 'client'

/** So many requests in so much time, for each of those whom `by` tells apart. */
export interface RateLimit {
  /** Name of the route as written: endpoints of one mounted service share its limits. */
  readonly route: string
  /** Tells the limits of a route apart: `ip`, `user-2`. */
  readonly policy: string
  readonly by: RateLimitBy
  readonly requests: number
  readonly perSeconds: number
  /** Most requests at once; they come back at the rate. */
  readonly burst: number
}

/** The rate limits of a route: all of them hold. */
export interface RateLimits {
  /** `arrival`: all are by address, and are counted before the token is looked at; `admission`: after the policy. */
  readonly when: 'arrival' | 'admission'
  readonly limits: readonly RateLimit[]
}

/** A client by HTTP Basic or an assertion, whoever holds the token in the body, or several of them. */
export type EndpointCaller = 'client' | 'holder' | 'holder or client' | 'user or client'

/** A route, compiled: every default applied, every list ready for look-up. Frozen. */
export interface Route {
  readonly name: string
  readonly match: {
    /** Lower case, without port; `*.example.com` stands for any one or more labels; empty: every host. */
    readonly hosts: readonly string[]
    /** Canonical path; ends in `/*` for a prefix. */
    readonly path: string
    /** Empty: every method. */
    readonly methods: readonly string[]
    /** Lower-case name → exact value. */
    readonly headers: ReadonlyMap<string, string>
  }
  readonly auth: Auth
  /** Absent: any. */
  readonly tenants?: ReadonlySet<string>
  /** Names of `issuers`, or `gateway` for the gateway's own. Absent: any. */
  readonly issuers?: ReadonlySet<string>
  readonly scopes: readonly string[]
  readonly claims: ReadonlyMap<string, ReadonlySet<string>>
  readonly maxAuthAgeSeconds?: number
  /** Each token is taken for one request in the whole fleet. Absent: for any number. */
  readonly replay?: 'once'
  /** Absent: none. */
  readonly rateLimit?: RateLimits
  readonly revocation: { readonly whenStale: WhenStale; readonly maxStalenessMs: number }
  /** Where clients must be. Absent: anywhere. */
  readonly ip?: NetworkRules
  /** Which countries clients must be in. Absent: any. */
  readonly countries?: CountryRules
  /** Absent: the gateway says nothing to pages of other origins. */
  readonly cors?: CorsRules
  readonly bodyBytes: number
  /** Absent: by what the route leads to, and who may use it. */
  readonly priority?: Priority
  /** Longest wait for the head of the upstream's answer; absent: the upstream's own. */
  readonly responseTimeoutMs?: number
  /** Longest silence in the body of the upstream's answer; absent: the upstream's own. */
  readonly idleTimeoutMs?: number
  /** Longest exchange as a whole; absent: the upstream's own. */
  readonly requestTimeoutMs?: number
  readonly stripPrefix?: string
  /** Put before the path once `stripPrefix` is off it. */
  readonly addPrefix?: string
  readonly forwardToken: boolean
  readonly host: 'upstream' | 'preserve'
  /** The Host that the upstream sees, with its port where it has one; goes before `host`. */
  readonly hostName?: string
  readonly requestHeaders: HeaderRules
  readonly responseHeaders: HeaderRules
  readonly websocket: boolean
  /** A refreshed session carries what one of its tokens opened. Absent: nothing outlives its token. */
  readonly liveUntil?: 'session'
  readonly encodedSlash: 'reject' | 'keep'
  /** Whether clients must prove themselves by a certificate, or may. Absent: nobody asks. */
  readonly clientCertificate?: 'required' | 'optional'
  readonly target: Target
  /** Who proves itself to the endpoint; absent: `auth` says all there is to it. */
  readonly caller?: EndpointCaller
}

/** Names are lower case; `remove` is compared by folded name. */
export interface HeaderRules {
  readonly set: ReadonlyMap<string, string>
  readonly remove: ReadonlySet<string>
}

export interface Routed extends Arrived {
  readonly route: Route
  /** The one canonical path: matched and logged. Starts with `/`. */
  readonly path: string
  /** The path the upstream gets: `path` without `stripPrefix`, behind `addPrefix`. */
  readonly forwardPath: string
  /** With its `?`; empty when there is none. */
  readonly query: string
  /** Values of `{name}` segments in the endpoint of a service, percent-encoding kept. */
  readonly params: ReadonlyMap<string, string>
}

declare const entered: unique symbol

/** Comes from where the route lets clients in. The mark is for the compiler alone: nothing is copied to make it. */
export interface Entered extends Routed {
  readonly [entered]: true
}

declare const paced: unique symbol

/** Within the rate limits of the route that are by address alone. The mark is for the compiler alone, too. */
export interface Paced extends Routed {
  readonly [paced]: true
}

export interface Anonymous {
  readonly kind: 'anonymous'
}

/** A verified token, reduced to what the later steps ask for. Frozen; may be shared by many requests. */
export interface Identified {
  readonly kind: 'identified'
  /** Name of the issuer in the configuration; `gateway` for the gateway's own tenants. */
  readonly issuer: string
  readonly tenant: string
  readonly user: string
  readonly scopes: readonly string[]
  /** The session (`sid`), where the token names one. */
  readonly session?: string
  /** The token's own id (`jti`), where it has one. */
  readonly tokenId?: string
  /** The user's epoch (`uv`) when the token was made; only the gateway's own tokens carry one. */
  readonly epoch?: number
  /** Seconds since 1970 (RFC 7519 NumericDate); of a token made elsewhere, the earliest that it can be by our clock. */
  readonly issuedAt?: number
  /** `kid` of the key that signed it; only the gateway's own tokens have one here. */
  readonly keyId?: string
  readonly expiresAt: number
  readonly authTime?: number
  /** How long past `expiresAt` the token is still taken, seconds. */
  readonly skewSeconds: number
  readonly tokenType: string
  readonly algorithm: string
  readonly claims: Readonly<Record<string, unknown>>
  /** Made for one request: it pays for nobody to remember anything of it. */
  readonly fleeting?: true
}

export type Principal = Anonymous | Identified

export interface Authenticated extends Routed {
  readonly principal: Principal
  /** The token came in a cookie, as a browser's does. */
  readonly byCookie?: true
}

/**
 * How the revocations were consulted: `checked` against the fresh local copy, `verified` by the store because the copy
 * was stale, `skipped` because the route allows a stale copy, `none` where there is no token.
 */
export type RevocationFact = 'checked' | 'verified' | 'skipped' | 'none'

export interface Unrevoked extends Authenticated {
  readonly revocation: RevocationFact
}

/** May use the route once: nothing is passed on before the use is noted. */
export interface Unspent extends Unrevoked {
  readonly principal: Identified
  /** The token's. */
  readonly tenant: string
}

export interface Admitted extends Unrevoked {
  /** Tenant that the request is served for: the token's, else the Host's, else none. */
  readonly tenant: string | undefined
  readonly admitted: true
}

/** May use the route as far as its rate limits go: nothing is passed on before it is counted. */
export interface Uncounted extends Unrevoked {
  /** As in {@link Admitted}. */
  readonly tenant: string | undefined
  readonly uncounted: true
}

/** Let in by the policy: for good where the route has no rate limit and takes a token any number of times. */
export type Permitted = Admitted | Unspent | Uncounted

/** Within the rate limits: for good where the route takes a token any number of times. */
export type Counted = Admitted | Unspent

/** Why an exchange was ended that was under way: its token was revoked, it expired, or nobody could tell whether it is good. */
export type LiveEnd = 'revoked' | 'expired' | 'unavailable'

/** An exchange that a token carries, while it is under way. */
export interface LiveExchange {
  readonly exchange: Authenticated
  readonly principal: Identified
  /** Ends it. False when it only waits for an answer that was asked for in time: then it is asked again. */
  end(reason: LiveEnd): boolean
  /** Where it stands among those that are under way, -1 at first; written by whoever keeps them, and by nobody else. */
  place: number
}

export const ANONYMOUS: Anonymous = Object.freeze({ kind: 'anonymous' })

/** Name of the gateway itself among the issuers. */
export const OWN_ISSUER = 'gateway'
