import { z } from 'zod'
import { host, targetUrl } from './addresses.ts'
import { TOKEN } from './names.ts'
import { choice, duration, flag, integer, percentage, plainText, scalar, text, type Reading } from './scalars.ts'
import { list, mapping } from './shapes.ts'
import { orList } from './suggest.ts'
import type { RetryReason } from './upstream-config.ts'

export const RETRY_REASONS = ['connect', 'reset', '502', '503', '504'] as const

export type HashBy = { readonly by: 'user' | 'ip' } | { readonly by: 'header'; readonly header: string }

/** `user`, `ip` or `header:NAME`. */
function hashBy() {
  return text<HashBy>(
    'must be user, ip or header:NAME, such as header:x-cart',
    '^(user|ip|header:.+)$',
    (value): Reading<HashBy> | undefined => {
      if (value === 'user' || value === 'ip') return { value: { by: value } }
      const header = value.startsWith('header:') ? value.slice('header:'.length) : ''
      return TOKEN.test(header) && header.length <= 128 ? { value: { by: 'header', header: header.toLowerCase() } } : undefined
    },
  )
}

/** A status without quotes is a number to YAML, and means the same. */
function retryReason() {
  return scalar<RetryReason>({ enum: [...RETRY_REASONS, 502, 503, 504] }, (value) => {
    const word = RETRY_REASONS.find((reason) => reason === String(value))
    return word === undefined ? { fault: `must be ${orList(RETRY_REASONS)}` } : { value: word }
  })
}

/** Path and query as they stand on a request line (RFC 9112 §3.2.1). */
function requestPath() {
  return text<string>('must be a path that starts with /, such as /healthz', '^/[^#\\s]*$', (value) =>
    /^\/[\x21\x22\x24-\x7e]{0,1023}$/.test(value) ? { value } : undefined,
  )
}

const retries = mapping({
  attempts: integer(1, 10).prefault(1).describe('Most attempts beyond the first one.'),
  budget: percentage().prefault('20%').describe('Attempts beyond the first one as a share of the requests.'),
  on: list(retryReason())
    .prefault([...RETRY_REASONS])
    .describe('What a request is sent again for.'),
})

const health = mapping({
  path: requestPath().optional().describe('What is asked: 2xx is healthy.'),
  interval: duration('10ms', '1h').prefault('2s').describe('From one question to the next, give or take a tenth.'),
  timeout: duration('1ms', '10m').prefault('1s').describe('Longest wait for the head of the answer.'),
  healthyAfter: integer(1, 100).prefault(2).describe('Good answers in a row after which a target is in again.'),
  unhealthyAfter: integer(1, 100).prefault(3).describe('Failures in a row after which a target is out.'),
})

const outliers = mapping({
  consecutiveFailures: integer(1, 1000).prefault(5).describe('Failures in a row after which a target is left out.'),
  ejectFor: duration('1ms', '1d').prefault('30s').describe('For how long, the first time; longer with each repeat.'),
  maxEjected: percentage().prefault('50%').describe('Most targets that are left out, as a share of all.'),
})

const breaker = mapping({
  maxRequests: integer(1, 1_000_000).prefault(1024).describe('Most requests at once.'),
  maxPending: integer(0, 1_000_000).prefault(256).describe('Most requests at once that wait for a connection.'),
  errorThreshold: percentage().prefault('50%').describe('Share of failures at which nothing is sent for a while.'),
  minRequests: integer(1, 1_000_000).prefault(20).describe('Requests within the window below which it never opens.'),
  window: duration('100ms', '10m').prefault('10s').describe('How far back failures count.'),
  resetAfter: duration('1ms', '10m').prefault('1s').describe('How long nothing is sent; then one request tries.'),
})

/** One element of `upstreams`. */
export const upstream = mapping({
  targets: list(
    z.union([
      targetUrl(),
      mapping({
        url: targetUrl().optional(),
        weight: integer(0, 1000).prefault(1).describe('Its share beside the others; 0: it takes nothing.'),
      }),
    ]),
  )
    .optional()
    .describe('Base URLs of its servers.'),
  balance: choice(['roundRobin', 'leastRequests', 'ewma', 'hash']).prefault('roundRobin').describe('How a server is chosen.'),
  hashBy: hashBy().optional().describe('What requests of one server have in common: user, ip or header:NAME.'),
  protocol: choice(['http1', 'http2'])
    .prefault('http1')
    .describe('What it is spoken to in. http2: with https:// by ALPN, with http:// by prior knowledge.'),
  client: choice(['builtin', 'undici'])
    .prefault('builtin')
    .describe(
      'What speaks HTTP/1.1 to http:// targets: the client of the gateway, or that of a library. https:// ones have the latter.',
    ),
  passport: flag().prefault(true).describe('Whether requests bring a signed passport; false: the identity headers alone.'),
  connections: integer(1, 65_535).prefault(64).describe('Most connections to each server.'),
  timeouts: mapping({
    connect: duration('1ms', '10m').prefault('1s').describe('Longest wait for a connection.'),
    response: duration('1ms', '1d').prefault('30s').describe('Longest wait for the head of an answer.'),
    idle: duration('1ms', '1d').prefault('60s').describe('Longest silence in the body of an answer.'),
    request: duration('1ms', '1d').optional().describe('Longest exchange as a whole. Default: no limit.'),
  }).prefault({}),
  retries: retries.optional().describe('Sends requests again that failed: idempotent ones without a body.'),
  health: health.optional().describe('Asks each target how it is.'),
  outliers: outliers.optional().describe('Leaves targets out that fail requests.'),
  breaker: breaker.optional().describe('Limits of what is asked of it at once, and a rest when it fails.'),
  tls: mapping({
    verify: flag().prefault(true).describe('false takes any certificate.'),
    ca: plainText('the path of a PEM file').optional().describe('Certificates to trust, a PEM file.'),
    certificate: plainText('the path of a PEM file').optional().describe('Client certificate, a PEM file.'),
    key: plainText('the path of a PEM file').optional().describe('Key of the client certificate, a PEM file.'),
    serverName: host('exact').optional().describe('Name the certificate must be for.'),
  })
    .prefault({})
    .describe('For https:// targets.'),
})
