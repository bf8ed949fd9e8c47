import { NONE, type Names } from './names.ts'
import { Counter, Gauge, Registry } from './prom.ts'
import { createTally, few, oneOf, statusCode } from './tally.ts'
import type { Label, Tally } from './tally.ts'
import { createTimings, type Timings } from './timings.ts'

/** Labels come from the configuration or from small fixed sets, so that the number of series is bounded. */
export interface Metrics {
  readonly registry: Registry
  readonly requests: Tally
  readonly requestSeconds: Timings
  readonly upstreamSeconds: Timings
  readonly upstreamRetries: Tally
  readonly upstreamEjections: Tally
  readonly decisions: Tally
  readonly validationSeconds: Timings
  readonly cache: Tally
  readonly validated: Tally
  readonly revocationChecks: Tally
  readonly lagSeconds: Timings
  readonly restored: Counter
  readonly liveEnds: Tally
  readonly rateLimited: Tally
  readonly rateLimitChecks: Tally
  readonly breaker: Gauge
  readonly redisSeconds: Timings
  readonly unreplicated: Counter
  readonly jwksFetches: Tally
  readonly sessions: Tally
  readonly databaseQueries: Tally
  readonly usernameChecks: Tally
  readonly usernameSeconds: Timings
  readonly usernameQueries: Counter
  readonly usernameConflicts: Counter
  readonly usernameProbing: Tally
  readonly usernameSquatting: Tally
  readonly legacyMessages: Tally
  readonly shed: Tally
  readonly turnedAway: Tally
  readonly handshakeFailures: Tally
  readonly traceSpans: Tally
  readonly workerDeaths: Counter
  readonly reload: Gauge
  readonly reloads: Tally
  readonly configLoaded: Gauge
  readonly configInfo: Gauge
}

export function createMetrics(names: Names): Metrics {
  const registry = new Registry()
  const tenant = { name: 'tenant', bound: names.tenant }
  const result = { name: 'result', bound: oneOf(RESULTS) }
  const issuer = { name: 'issuer', bound: names.issuer }
  const route = { name: 'route', bound: names.route }
  const upstream = { name: 'upstream', bound: names.upstream }
  const code = { name: 'code', bound: statusCode }
  const reason = { name: 'reason', bound: few() }
  const types = [
    { name: 'token_type', bound: oneOf(TOKEN_TYPES) },
    { name: 'alg', bound: oneOf(ALGORITHMS) },
  ]
  const source = { name: 'source', bound: oneOf(SOURCES) }
  const event = { name: 'event', bound: few() }
  const direction = { name: 'direction', bound: oneOf(['in', 'out']) }
  return {
    registry,
    requests: createTally({ registry, ...HELP.requests, labels: [route, tenant, code] }),
    requestSeconds: timings(registry, HELP.requestSeconds, route),
    upstreamSeconds: timings(registry, HELP.upstreamSeconds, upstream),
    upstreamRetries: createTally({ registry, ...HELP.upstreamRetries, labels: [upstream, RETRY_REASON] }),
    upstreamEjections: createTally({ registry, ...HELP.upstreamEjections, labels: [upstream] }),
    decisions: createTally({ registry, ...HELP.decisions, labels: [tenant, result, reason] }),
    validationSeconds: timings(registry, { ...HELP.validationSeconds, buckets: FAST }),
    cache: createTally({ registry, ...HELP.cache, labels: [result] }),
    validated: createTally({ registry, ...HELP.validated, labels: types }),
    revocationChecks: createTally({ registry, ...HELP.revocationChecks, labels: [result, source] }),
    lagSeconds: timings(registry, { ...HELP.lagSeconds, buckets: FAST }),
    restored: new Counter({ ...HELP.restored, registers: [registry] }),
    rateLimited: createTally({ registry, ...HELP.rateLimited, labels: [route, { name: 'by', bound: oneOf(RATE_LIMIT_BY) }] }),
    rateLimitChecks: createTally({ registry, ...HELP.rateLimitChecks, labels: [{ name: 'counted', bound: oneOf(COUNTED) }] }),
    liveEnds: createTally({ registry, ...HELP.liveEnds, labels: [{ name: 'reason', bound: oneOf(LIVE_ENDS) }] }),
    breaker: new Gauge({ ...HELP.breaker, labelNames: ['dependency'], registers: [registry] }),
    redisSeconds: timings(registry, { ...HELP.redisSeconds, buckets: FAST }),
    unreplicated: new Counter({ ...HELP.unreplicated, registers: [registry] }),
    jwksFetches: createTally({ registry, ...HELP.jwksFetches, labels: [issuer, result] }),
    sessions: createTally({ registry, ...HELP.sessions, labels: [tenant, event] }),
    databaseQueries: createTally({ registry, ...HELP.databaseQueries, labels: [{ name: 'kind', bound: oneOf(DATABASE_KINDS) }] }),
    ...usernameMetrics(registry, tenant),
    legacyMessages: createTally({ registry, ...HELP.legacyMessages, labels: [direction, { name: 'result', bound: few() }] }),
    shed: createTally({ registry, ...HELP.shed, labels: SHED_LABELS }),
    turnedAway: createTally({ registry, ...HELP.turnedAway, labels: [{ name: 'limit', bound: oneOf(['all', 'client']) }] }),
    handshakeFailures: createTally({
      registry,
      ...HELP.handshakeFailures,
      labels: [{ name: 'reason', bound: oneOf(HANDSHAKES) }],
    }),
    traceSpans: createTally({ registry, ...HELP.traceSpans, labels: [{ name: 'result', bound: oneOf(SPAN_RESULTS) }] }),
    workerDeaths: new Counter({ ...HELP.workerDeaths, registers: [registry] }),
    reload: new Gauge({ ...HELP.reload, registers: [registry] }),
    reloads: createTally({ registry, ...HELP.reloads, labels: [{ name: 'result', bound: oneOf(['ok', 'failed']) }] }),
    configLoaded: new Gauge({ ...HELP.configLoaded, registers: [registry] }),
    configInfo: new Gauge({ ...HELP.configInfo, labelNames: ['version'], registers: [registry] }),
  }
}

const HELP = {
  requests: { name: 'gatehouse_requests_total', help: 'Requests answered, by status; 499 where the client went away first.' },
  requestSeconds: { name: 'gatehouse_request_duration_seconds', help: 'From the arrival of a request to its end.' },
  upstreamSeconds: { name: 'gatehouse_upstream_duration_seconds', help: 'From forwarding to the head of the upstream’s answer.' },
  upstreamRetries: {
    name: 'gatehouse_upstream_retries_total',
    help: 'Requests that were sent to an upstream again, by reason; over_budget: those that were not.',
  },
  upstreamEjections: {
    name: 'gatehouse_upstream_ejections_total',
    help: 'Times that a target of an upstream was left out because it failed requests.',
  },
  decisions: { name: 'gatehouse_auth_decisions_total', help: 'What authentication made of a request, and why.' },
  validationSeconds: { name: 'gatehouse_token_validation_seconds', help: 'Validation of a token that was not in the cache.' },
  cache: { name: 'gatehouse_token_cache_total', help: 'Look-ups in the cache of verified tokens.' },
  validated: { name: 'gatehouse_tokens_validated_total', help: 'Tokens whose signature was verified.' },
  revocationChecks: { name: 'gatehouse_revocation_checks_total', help: 'Tokens compared with the revocations.' },
  lagSeconds: { name: 'gatehouse_revocation_lag_seconds', help: 'From the notice of a revocation to its enforcement here.' },
  restored: {
    name: 'gatehouse_revocation_restored_total',
    help: 'Revocations that the store had lost and this gateway put back.',
  },
  liveEnds: {
    name: 'gatehouse_live_ended_total',
    help: 'WebSockets, streams and long requests that were ended because of their token.',
  },
  rateLimited: { name: 'gatehouse_rate_limited_total', help: 'Requests refused by a rate limit of their route.' },
  rateLimitChecks: {
    name: 'gatehouse_rate_limit_checks_total',
    help: 'Requests counted against rate limits: by all gateways together, or here alone.',
  },
  breaker: { name: 'gatehouse_breaker_state', help: 'State of a circuit breaker: 0 closed, 1 half open, 2 open.' },
  redisSeconds: { name: 'gatehouse_redis_duration_seconds', help: 'From a command to Redis to its answer, or to its failure.' },
  unreplicated: {
    name: 'gatehouse_redis_unreplicated_writes_total',
    help: 'Waits for a replica of Redis that ended without one that has the write.',
  },
  jwksFetches: { name: 'gatehouse_jwks_fetch_total', help: 'Fetches of an issuer’s key set.' },
  sessions: { name: 'gatehouse_sessions_total', help: 'What happened to sessions and accounts.' },
  databaseQueries: { name: 'gatehouse_database_queries_total', help: 'Reads and transactions of the accounts database.' },
  usernameChecks: { name: 'gatehouse_username_checks_total', help: 'Checks of usernames, by the layer that answered.' },
  usernameSeconds: {
    name: 'gatehouse_username_check_seconds',
    help: 'Work on a check of a username, without the wait that makes layers alike.',
  },
  usernameQueries: { name: 'gatehouse_username_queries_total', help: 'Queries of the database for checks of usernames.' },
  usernameConflicts: {
    name: 'gatehouse_username_conflicts_total',
    help: 'Claims and holds of usernames that somebody else has.',
  },
  usernameProbing: { name: 'gatehouse_username_probing_total', help: 'Callers who went through usernames.' },
  usernameSquatting: { name: 'gatehouse_username_squatting_total', help: 'Usernames that were taken in numbers.' },
  legacyMessages: {
    name: 'gatehouse_legacy_channel_messages_total',
    help: 'Messages of the channel of an older authentication service.',
  },
  turnedAway: { name: 'gatehouse_connections_refused_total', help: 'Connections that were closed as soon as they came.' },
  handshakeFailures: { name: 'gatehouse_tls_handshake_failures_total', help: 'Connections of clients that did not come to TLS.' },
  shed: { name: 'gatehouse_shed_total', help: 'Requests that were refused because there was too much to do.' },
  traceSpans: { name: 'gatehouse_trace_spans_total', help: 'Spans of traced requests, by what became of them.' },
  workerDeaths: { name: 'gatehouse_worker_deaths_total', help: 'Workers that ended without being told to, and were replaced.' },
  reload: { name: 'gatehouse_config_last_reload_success', help: 'Whether the last reading of the configuration succeeded.' },
  reloads: { name: 'gatehouse_config_reloads_total', help: 'Times that the configuration was read again, by result.' },
  configLoaded: {
    name: 'gatehouse_config_loaded_timestamp_seconds',
    help: 'When the configuration in force came into force, seconds since 1970.',
  },
  configInfo: { name: 'gatehouse_config_info', help: 'Always 1; says the version of the configuration in force.' },
} as const

// Validation, revocation and Redis take microseconds where all is well.
const FAST = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
/** Upper ends of the buckets of times that requests take, seconds. */
export const REQUEST_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

const RESULTS = ['accepted', 'refused', 'anonymous', 'hit', 'miss', 'clear', 'revoked', 'unknown', 'ok', 'error'] as const
const DATABASE_KINDS = ['accounts', 'checks', 'names']
const RATE_LIMIT_BY = ['ip', 'user', 'tenant', 'token', 'client']
const COUNTED = ['shared', 'here']
const HANDSHAKES = ['not_tls', 'version', 'cipher', 'alpn', 'certificate', 'alert', 'timeout', 'closed', 'other']
const SPAN_RESULTS = ['exported', 'dropped', 'failed']
const LIVE_ENDS = ['revoked', 'expired', 'unavailable']
const SOURCES = ['replica', 'store', 'skipped'] as const
const TOKEN_TYPES = ['access', 'refresh', 'service', 'id', 'bearer', 'at+jwt', 'jwt', 'JWT', NONE]
const ALGORITHMS = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 HS256 HS384 HS512'.split(' ')

const SHED_LABELS: readonly Label[] = [
  { name: 'reason', bound: oneOf(['requests', 'share', 'lag', 'memory']) },
  { name: 'priority', bound: oneOf(['low', 'normal', 'high']) },
]

const RETRY_REASON: Label = {
  name: 'reason',
  bound: oneOf(['connect', 'reset', '502', '503', '504', 'over_budget']),
}

interface TimingsTexts {
  readonly name: string
  readonly help: string
  readonly buckets?: readonly number[]
}

function usernameMetrics(registry: Registry, tenant: Label) {
  const layer = { name: 'layer', bound: few() }
  const pattern = { name: 'pattern', bound: few() }
  const result = { name: 'result', bound: few() }
  return {
    usernameChecks: createTally({ registry, ...HELP.usernameChecks, labels: [tenant, layer, result] }),
    usernameSeconds: timings(registry, { ...HELP.usernameSeconds, buckets: FAST }, layer),
    usernameQueries: new Counter({ ...HELP.usernameQueries, registers: [registry] }),
    usernameConflicts: new Counter({ ...HELP.usernameConflicts, registers: [registry] }),
    usernameProbing: createTally({ registry, ...HELP.usernameProbing, labels: [tenant, pattern] }),
    usernameSquatting: createTally({ registry, ...HELP.usernameSquatting, labels: [tenant, pattern] }),
  }
}

function timings(registry: Registry, { name, help, buckets = REQUEST_BUCKETS }: TimingsTexts, label?: Label): Timings {
  return createTimings({ name, help, buckets, label, registry })
}
