import { describe, expect, it } from 'vitest'
import { ADMITTED, ARRIVED, PRINCIPAL, ROUTE, createWorld } from './world.ts'
import type { World } from './world.ts'

const NAMES = [
  'gatehouse_requests_total counter',
  'gatehouse_request_duration_seconds histogram',
  'gatehouse_upstream_duration_seconds histogram',
  'gatehouse_upstream_ejections_total counter',
  'gatehouse_upstream_retries_total counter',
  'gatehouse_auth_decisions_total counter',
  'gatehouse_token_validation_seconds histogram',
  'gatehouse_token_cache_total counter',
  'gatehouse_tokens_validated_total counter',
  'gatehouse_revocation_checks_total counter',
  'gatehouse_revocation_staleness_seconds gauge',
  'gatehouse_revocation_entries gauge',
  'gatehouse_revocation_max_staleness_seconds gauge',
  'gatehouse_signing_key_rotation_due_timestamp_seconds gauge',
  'gatehouse_audit_up gauge',
  'gatehouse_revocation_lag_seconds histogram',
  'gatehouse_revocation_restored_total counter',
  'gatehouse_breaker_state gauge',
  'gatehouse_certificate_expiry_timestamp_seconds gauge',
  'gatehouse_certificates_last_reload_success gauge',
  'gatehouse_rate_limited_total counter',
  'gatehouse_rate_limit_checks_total counter',
  'gatehouse_redis_up gauge',
  'gatehouse_redis_duration_seconds histogram',
  'gatehouse_redis_unconfirmed_writes gauge',
  'gatehouse_redis_unreplicated_writes_total counter',
  'gatehouse_jwks_fetch_total counter',
  'gatehouse_jwks_age_seconds gauge',
  'gatehouse_sessions_total counter',
  'gatehouse_legacy_channel_messages_total counter',
  'gatehouse_upstream_healthy gauge',
  'gatehouse_config_last_reload_success gauge',
  'gatehouse_config_reloads_total counter',
  'gatehouse_config_loaded_timestamp_seconds gauge',
  'gatehouse_config_info gauge',
  'gatehouse_connections gauge',
  'gatehouse_workers gauge',
  'gatehouse_worker_deaths_total counter',
  'gatehouse_trace_spans_total counter',
  'gatehouse_connections_refused_total counter',
  'gatehouse_tls_handshake_failures_total counter',
  'gatehouse_requests_in_flight gauge',
  'gatehouse_shed_total counter',
  'gatehouse_shed_share gauge',
  'gatehouse_live_connections gauge',
  'gatehouse_live_ended_total counter',
  'gatehouse_event_loop_lag_seconds gauge',
  'gatehouse_database_up gauge',
  'gatehouse_database_queries_total counter',
  'gatehouse_username_checks_total counter',
  'gatehouse_username_check_seconds histogram',
  'gatehouse_username_queries_total counter',
  'gatehouse_username_conflicts_total counter',
  'gatehouse_username_probing_total counter',
  'gatehouse_username_squatting_total counter',
  'gatehouse_username_filter_age_seconds gauge',
  'gatehouse_username_filter_names gauge',
]

async function samples(world: World, name: string): Promise<string[]> {
  const { body } = await world.telemetry.scrape()
  return body.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
}

describe('the metrics', () => {
  it('are all described from the first scrape on', async () => {
    const { telemetry } = createWorld()
    const { contentType, body } = await telemetry.scrape()
    expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
    const types = [...body.matchAll(/^# TYPE (gatehouse_.*)$/gm)].map((match) => match[1])
    expect(new Set(types)).toEqual(new Set(NAMES))
    expect(types).toHaveLength(NAMES.length)
    for (const name of NAMES) expect(body).toMatch(new RegExp(`^# HELP ${name.split(' ')[0]} \\S`, 'm'))
    expect(body).toMatch(/^process_resident_memory_bytes \d+/m)
    expect(body).toMatch(/^nodejs_heap_size_used_bytes \d+/m)
  })

  it('count a request once by route, tenant and status', async () => {
    const world = createWorld()
    for (const status of [200, 200, 403]) {
      const record = world.telemetry.open(ARRIVED)
      Object.assign(record, { exchange: ADMITTED, status })
      world.telemetry.close(record)
    }
    world.telemetry.close(Object.assign(world.telemetry.open(ARRIVED), { status: 404 }))
    expect(await samples(world, 'gatehouse_requests_total')).toEqual([
      'gatehouse_requests_total{route="orders",tenant="acme",code="200"} 2',
      'gatehouse_requests_total{route="orders",tenant="acme",code="403"} 1',
      'gatehouse_requests_total{route="none",tenant="none",code="404"} 1',
    ])
    expect(await samples(world, 'gatehouse_request_duration_seconds_count')).toEqual([
      'gatehouse_request_duration_seconds_count{route="orders"} 3',
      'gatehouse_request_duration_seconds_count{route="none"} 1',
    ])
    // A second scrape says the same.
    expect(await samples(world, 'gatehouse_requests_total')).toHaveLength(3)
  })

  it('count what rate limits refuse, by route, and where they count', async () => {
    const world = createWorld()
    const { quota } = world.telemetry.events
    for (const by of ['ip', 'user', 'ip', 'junk']) quota.limited('orders', by)
    quota.limited('what a client can choose', 'ip')
    for (const where of ['shared', 'here', 'shared'] as const) quota.counted(where)
    expect(await samples(world, 'gatehouse_rate_limited_total')).toEqual([
      'gatehouse_rate_limited_total{route="orders",by="ip"} 2',
      'gatehouse_rate_limited_total{route="orders",by="user"} 1',
      'gatehouse_rate_limited_total{route="orders",by="other"} 1',
      'gatehouse_rate_limited_total{route="none",by="ip"} 1',
    ])
    expect(await samples(world, 'gatehouse_rate_limit_checks_total')).toEqual([
      'gatehouse_rate_limit_checks_total{counted="shared"} 2',
      'gatehouse_rate_limit_checks_total{counted="here"} 1',
    ])
    for (const state of ['closed', 'open', 'open', 'closed'] as const) quota.breaker(state)
    expect(await samples(world, 'gatehouse_breaker_state')).toContain('gatehouse_breaker_state{dependency="rate_limits"} 0')
    const said = world.lines().map(({ msg }) => msg)
    expect(said.filter((msg) => String(msg).startsWith('rate limits'))).toEqual([
      'rate limits are counted by this process alone: the common counts do not answer',
      'rate limits are counted in common again',
    ])
  })

  it('count what was refused because there was too much to do, by words of a fixed list', async () => {
    const world = createWorld()
    const { overload } = world.telemetry.events
    for (const reason of ['requests', 'share', 'lag', 'memory', 'memory', 'junk']) overload.shed(reason, 'low')
    overload.shed('lag', 'junk')
    for (const limit of ['all', 'client', 'junk']) overload.turnedAway(limit)
    world.telemetry.observe({ requestsInFlight: () => 3, shedShare: () => 0.25 })
    expect(await samples(world, 'gatehouse_shed_total')).toEqual([
      'gatehouse_shed_total{reason="requests",priority="low"} 1',
      'gatehouse_shed_total{reason="share",priority="low"} 1',
      'gatehouse_shed_total{reason="lag",priority="low"} 1',
      'gatehouse_shed_total{reason="lag",priority="other"} 1',
      'gatehouse_shed_total{reason="memory",priority="low"} 2',
      'gatehouse_shed_total{reason="other",priority="low"} 1',
    ])
    expect(await samples(world, 'gatehouse_connections_refused_total')).toEqual([
      'gatehouse_connections_refused_total{limit="all"} 1',
      'gatehouse_connections_refused_total{limit="client"} 1',
      'gatehouse_connections_refused_total{limit="other"} 1',
    ])
    expect(await samples(world, 'gatehouse_requests_in_flight')).toEqual(['gatehouse_requests_in_flight 3'])
    expect(await samples(world, 'gatehouse_shed_share')).toEqual(['gatehouse_shed_share 0.25'])
  })

  it('name the endpoints of a service that is mounted', async () => {
    const world = createWorld()
    const exchange = { ...ADMITTED, route: { ...ROUTE, name: 'auth.login' } }
    world.telemetry.close(Object.assign(world.telemetry.open(ARRIVED), { exchange, status: 200 }))
    expect(await samples(world, 'gatehouse_requests_total')).toEqual([
      'gatehouse_requests_total{route="auth.login",tenant="acme",code="200"} 1',
    ])
  })

  it('stay bounded, whatever comes', async () => {
    const world = createWorld()
    const { authenticator, revocation, sessions, upstream } = world.telemetry.events
    for (let number = 0; number < 500; number += 1) {
      const junk = `junk"\n\\${number}`
      const exchange = {
        ...ADMITTED,
        path: `/${number}`,
        tenant: junk,
        route: { ...ROUTE, name: junk },
        principal: { ...PRINCIPAL, user: junk },
      }
      world.telemetry.close(Object.assign(world.telemetry.open(ARRIVED), { exchange, status: 1000 + number }))
      authenticator.decided(junk, 'refused', junk)
      authenticator.decided('acme', 'refused', `word_${number}`)
      authenticator.validated(junk, junk)
      authenticator.jwksFetched(junk, 'ok')
      sessions.event(junk, junk)
      upstream.answered(junk, number)
    }
    revocation.lag(Number.NaN)
    const { body } = await world.telemetry.scrape()
    expect(body.match(/^gatehouse_/gm)?.length).toBeLessThan(250)
    expect(body).not.toContain('junk')
    expect(await samples(world, 'gatehouse_requests_total')).toEqual([
      'gatehouse_requests_total{route="none",tenant="none",code="0"} 500',
    ])
    expect(await samples(world, 'gatehouse_sessions_total')).toEqual([
      'gatehouse_sessions_total{tenant="none",event="other"} 500',
    ])
  })

  it('hear what the rooms report', async () => {
    const world = createWorld()
    const { authenticator, revocation, sessions, upstream } = world.telemetry.events
    authenticator.decided('acme', 'accepted', 'ok')
    authenticator.decided(undefined, 'anonymous', 'public')
    authenticator.cache('hit')
    authenticator.validated('access', 'RS256')
    authenticator.validationSeconds(0.0002)
    authenticator.jwksFetched('corporate', 'error')
    revocation.checked('clear', 'replica')
    revocation.lag(0.003)
    revocation.breaker('open')
    sessions.event('acme', 'created')
    upstream.answered('orders', 0.02)
    const { body } = await world.telemetry.scrape()
    for (const line of [
      'gatehouse_auth_decisions_total{tenant="acme",result="accepted",reason="ok"} 1',
      'gatehouse_auth_decisions_total{tenant="none",result="anonymous",reason="public"} 1',
      'gatehouse_token_cache_total{result="hit"} 1',
      'gatehouse_tokens_validated_total{token_type="access",alg="RS256"} 1',
      'gatehouse_token_validation_seconds_sum 0.0002',
      'gatehouse_jwks_fetch_total{issuer="corporate",result="error"} 1',
      'gatehouse_revocation_checks_total{result="clear",source="replica"} 1',
      'gatehouse_revocation_lag_seconds_sum 0.003',
      'gatehouse_breaker_state{dependency="revocation_store"} 2',
      'gatehouse_sessions_total{tenant="acme",event="created"} 1',
      'gatehouse_upstream_duration_seconds_sum{upstream="orders"} 0.02',
      'gatehouse_config_last_reload_success 1',
    ]) {
      expect(body.split('\n')).toContain(line)
    }
  })

  it('read the gauges when they are scraped, and tell no address', async () => {
    const world = createWorld()
    expect(await samples(world, 'gatehouse_revocation_entries')).toEqual([])
    world.telemetry.observe({ revocationEntries: () => 7, revocationStalenessMs: () => Number.POSITIVE_INFINITY })
    world.telemetry.observe({
      connections: () => 3,
      liveConnections: () => 2,
      jwksAgesSeconds: () => [
        ['corporate', 12],
        ['unknown', 1],
      ],
      upstreamTargets: () => [{ upstream: 'orders', target: 0, healthy: true }],
    })
    world.telemetry.reloaded('failed')
    const { body } = await world.telemetry.scrape()
    expect(body).toContain('\ngatehouse_revocation_entries 7\n')
    expect(body).toContain('\ngatehouse_connections 3\n')
    expect(body).toContain('\ngatehouse_live_connections 2\n')
    expect(body).toContain('\ngatehouse_jwks_age_seconds{issuer="corporate"} 12\n')
    expect(body).toContain('\ngatehouse_upstream_healthy{upstream="orders",target="0"} 1\n')
    expect(body).toContain('\ngatehouse_config_last_reload_success 0\n')
    expect(body).not.toMatch(/^gatehouse_(revocation_staleness_seconds|redis_up) /m)
    expect(body).not.toContain('10.9.8.7')
    world.telemetry.observe({ revocationStalenessMs: () => 1500, redisUp: () => false })
    expect(await samples(world, 'gatehouse_revocation_staleness_seconds')).toEqual(['gatehouse_revocation_staleness_seconds 1.5'])
    expect(await samples(world, 'gatehouse_redis_up')).toEqual(['gatehouse_redis_up 0'])
  })

  it('say when an issuer begins to fail and when it is well again, not each time', () => {
    const world = createWorld()
    const events = world.telemetry.events.authenticator
    for (const result of ['ok', 'error', 'error', 'ok', 'ok'] as const) events.jwksFetched('corporate', result)
    expect(world.lines().map((line) => [line['level'], line['issuer']])).toEqual([
      ['warn', 'corporate'],
      ['info', 'corporate'],
    ])
  })

  it('belong to one instance', async () => {
    const [one, other] = [createWorld(), createWorld()]
    one.telemetry.events.authenticator.cache('hit')
    expect(await samples(other, 'gatehouse_token_cache_total')).toEqual([])
    one.telemetry.stop()
    expect(await samples(one, 'gatehouse_token_cache_total')).toHaveLength(1)
  })
})
