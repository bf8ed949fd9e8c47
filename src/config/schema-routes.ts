import { z } from 'zod'
import { headerName, host, method, pathPrefix, routePath, scope } from './addresses.ts'
import { NAME, SERVICE_NAMES, TOKEN } from './names.ts'
import { choice, duration, flag, plainText, scalar, seconds, size, text } from './scalars.ts'
import { rateLimit } from './schema-rate-limits.ts'
import { cors, countries, hostRule, ip, split } from './schema-sharing.ts'
import { list, mapping } from './shapes.ts'

/** A field value that is written for others to read: no control characters (RFC 9110 §5.5), visible ASCII and spaces. */
function headerValue() {
  return scalar<string>({ type: 'string' }, (value) => {
    if (typeof value === 'number' || typeof value === 'boolean') return { fault: 'must be text: put quotes around it' }
    if (typeof value !== 'string') return { fault: 'must be text' }
    if (/\p{Cc}/u.test(value)) return { fault: 'must not have control characters or line breaks' }
    if (!/^[\x20-\x7e]*$/.test(value)) return { fault: 'must be ASCII' }
    return { value: value.trim() }
  })
}

function headerValues() {
  return z.record(z.string().regex(TOKEN, 'a header name is letters, digits and -, such as x-env'), headerValue())
}

function headerRules(what: string) {
  return mapping({
    set: headerValues().prefault({}).describe(`Headers to set on the ${what}.`),
    remove: list(headerName()).prefault([]).describe(`Headers to remove from the ${what}.`),
  })
}

function routeName() {
  return text<string>('must be a name: letters, digits, _ and -', '^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$', (value) =>
    NAME.test(value) ? { value } : undefined,
  )
}

const match = mapping({
  hosts: list(host('wildcard')).prefault([]).describe('Hosts, without port; *.example.com for all below. Default: every host.'),
  path: routePath().optional().describe('`/a/*` is /a and all below it; without * the path is exact.'),
  methods: list(method()).prefault([]).describe('Methods. Default: every method.'),
  headers: headerValues().prefault({}).describe('Headers that must have exactly these values.'),
})

/** One element of `routes`. */
export const routes = mapping({
  name: routeName().optional().describe('Name in logs, metrics and faults. Default: made from the match.'),
  match: match.prefault({}).describe('Which requests are meant.'),
  auth: choice(['required', 'optional', 'public'])
    .optional()
    .describe('Who may come in: required (a valid token), optional (a valid token or none), public (anyone). Has no default.'),
  tenants: list(plainText('the id of a tenant')).optional().describe('Tenants whose tokens are admitted. Default: any.'),
  issuers: list(plainText('the name of an issuer'))
    .optional()
    .describe('Issuers whose tokens are admitted; `gateway` is the gateway itself. Default: any.'),
  scopes: list(scope()).prefault([]).describe('Scopes a token must have, all of them.'),
  claims: z
    .record(z.string().min(1), list(plainText('text')))
    .prefault({})
    .describe('Claims a token must have, each with one of these values.'),
  maxAuthAge: seconds('1s', '3650d').optional().describe('The user logged in at most this long ago.'),
  replay: choice(['allowed', 'once'])
    .prefault('allowed')
    .describe('once: a token is taken for one request in the whole fleet, and needs an id (jti). Needs auth: required.'),
  revocation: mapping({
    whenStale: choice(['deny', 'allow', 'verify', 'safe-methods'])
      .optional()
      .describe('As revocation.whenStale, for this route.'),
    maxStaleness: duration('1ms', '1d').optional().describe('As revocation.maxStaleness, for this route.'),
  }).prefault({}),
  rateLimit: rateLimit.optional().describe('How many requests are taken, and from whom; of a list all limits hold.'),
  ip: ip.optional().describe('Where clients must be, by address.'),
  countries: countries.optional().describe('Countries that clients must be in. Needs geography.'),
  cors: cors.optional().describe('Pages of other origins that may call. The gateway answers their preflights.'),
  bodyBytes: size('0B', '1024GiB').optional().describe("Largest body of a request. Default: the listener's."),
  priority: choice(['low', 'normal', 'high'])
    .optional()
    .describe('Who gives way when there is too much to do: low first. Default: low on a public route, else normal.'),
  timeouts: mapping({
    response: duration('1ms', '1d').optional().describe("Longest wait for the head of an answer. Default: the upstream's."),
    request: duration('1ms', '1d').optional().describe("Longest exchange as a whole. Default: the upstream's."),
    idle: duration('1ms', '1d').optional().describe("Longest silence in the body of an answer. Default: the upstream's."),
  }).prefault({}),
  stripPrefix: pathPrefix().optional().describe('Segments taken off the path before it is forwarded.'),
  addPrefix: pathPrefix().optional().describe('Segments put before the path that is forwarded, once stripPrefix is off it.'),
  forwardToken: flag().prefault(false).describe('true: the upstream gets Authorization too.'),
  host: hostRule
    .prefault('upstream')
    .describe("The Host header that the upstream sees: its own, the client's, or { set: NAME }."),
  requestHeaders: headerRules('request').prefault({}),
  responseHeaders: headerRules('answer').prefault({}),
  websocket: flag().prefault(false).describe('Lets WebSockets through.'),
  liveUntil: choice(['token', 'session'])
    .prefault('token')
    .describe(
      'How long a WebSocket or a stream lasts: as its token, or, where the session was refreshed since, as the newest token of that.',
    ),
  clientCertificate: choice(['none', 'optional', 'required'])
    .prefault('none')
    .describe(
      'required: clients prove themselves by a certificate of tls.clientCa, and the upstream is told which. optional: if they have one.',
    ),
  paths: mapping({
    encodedSlash: choice(['reject', 'keep']).prefault('reject').describe('What happens to %2F in a path.'),
  }).prefault({}),
  upstream: plainText('the name of an upstream').optional().describe('Where requests are forwarded.'),
  split: split.optional().describe('Several upstreams in place of one, each with a share of the users.'),
  service: choice(SERVICE_NAMES).optional().describe('A built-in service that answers instead of an upstream.'),
})
