import { foldHeaderName } from '../exchange/exchange.ts'

/** Built-in services that a route can name. */
export const SERVICE_NAMES = [
  ...(['accounts', 'sessions', 'oauth', 'revocations', 'usernames', 'graphql', 'discovery', 'health', 'echo'] as const),
] as const

/** Services that say, endpoint by endpoint, who may call them; a route to one of them says no `auth`. */
export const SERVICES_WITH_OWN_AUTH: ReadonlySet<string> = new Set([
  'accounts',
  'sessions',
  'oauth',
  'revocations',
  'usernames',
  'graphql',
  'discovery',
  'health',
])

/**
 * The most that `accessToken.lifetime` can be. A shorter one holds for new tokens: those that are older than it are as long as
 * they were made, and are taken so long.
 */
export const LONGEST_ACCESS_TOKEN_SECONDS = 12 * 3600

/**
 * How long others may keep a JWKS of ours: its `max-age`, seconds. A key is published at least twice as long before it signs,
 * and this long after the last token of it.
 */
export const JWKS_MAX_AGE_SECONDS = 300

/** What a file has to name under `insecure` before it may do it. */
export const INSECURE_NAMES = ['upstream-tls', 'wide-trusted-proxies'] as const

/** What a line of the access log says beside its time, level, message and the id of the request. */
export const ACCESS_FIELDS = [
  ...(['method', 'host', 'path', 'route', 'tenant', 'user', 'client', 'status', 'error', 'problem', 'duration_ms'] as const),
  ...(['upstream', 'upstream_ms', 'bytes_in', 'bytes_out', 'aborted', 'ended', 'user_agent', 'revocation'] as const),
  ...(['trace_id', 'detail', 'cause'] as const),
] as const

/** What spans may say about people. */
export const TRACE_FIELDS = ['client', 'user', 'session', 'userAgent'] as const

/** Name of an issuer, an upstream or a route: it stands in logs, metric labels and the paths of faults. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/

/** Id of a tenant: a segment of a URL and of a storage key. */
export const TENANT_ID = /^[a-z0-9][a-z0-9-]{0,62}$/

/** RFC 9110 §5.6.2. */
export const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Headers of one connection (RFC 9110 §7.6.1) and of message framing (RFC 9112 §6), and the host: they are written by the gateway. */
const CONNECTION_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
  'transfer-encoding',
  'content-length',
  'expect',
  'host',
])

/** Headers that mean something else already, so that an identity header of this name would be read as that. */
const TAKEN_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'set-cookie',
  'x-request-id',
  'forwarded',
  'traceparent',
  'tracestate',
])

/** True for a header that belongs to the connection, the framing or the routing of a message. Folds the name. */
export function isConnectionHeader(name: string): boolean {
  return CONNECTION_HEADERS.has(foldHeaderName(name))
}

/** True for a header name that cannot carry an identity. Folds the name. */
export function isTakenHeader(name: string): boolean {
  const folded = foldHeaderName(name)
  return CONNECTION_HEADERS.has(folded) || TAKEN_HEADERS.has(folded) || folded.startsWith('x-forwarded-')
}

/** True for `localhost`, `127.0.0.0/8` and `::1`, with or without brackets. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}
