import { Gauge } from './prom.ts'
import type { Registry } from 'prom-client'
import { NONE, type Names } from './names.ts'

/** Where the values come from that are read at a scrape. What is absent has no sample. */
export interface Gauges {
  revocationEntries?(): number
  /** Milliseconds; no sample while it is not finite. */
  revocationStalenessMs?(): number
  /** What routes allow that say nothing else, milliseconds. */
  revocationMaxStalenessMs?(): number
  connections?(): number
  /** Of the public listener; undefined without TLS. `expiries`: name, seconds since 1970. */
  certificates?(): Certificates | undefined
  /** Requests that the gateway took on and that are not over. */
  requestsInFlight?(): number
  /** Processes that answer requests. Absent in each of them where they are several. */
  workers?(): number
  /** Share of requests that is refused because of lag or memory, 0 to 1. */
  shedShare?(): number
  /** WebSockets, streams and long requests that a token carries. */
  liveConnections?(): number
  redisUp?(): boolean
  /** Absent on embedded storage. */
  databaseUp?(): boolean
  /** Writes that no replica of Redis is known to have. */
  redisUnconfirmed?(): number
  /** Age of the key set of each issuer, by its name; an issuer whose keys were never read is left out. */
  jwksAgesSeconds?(): Iterable<readonly [issuer: string, seconds: number]>
  /** Milliseconds since the filters of usernames had all there was; no sample before they are loaded. */
  usernameFilterAgeMs?(): number
  /** Names in the filter of each tenant. */
  usernameFilterNames?(): Iterable<readonly [tenant: string, names: number]>
  /** When the signing key of each tenant is to be replaced, seconds since 1970. */
  keyRotationsDue?(): Iterable<readonly [tenant: string, dueAt: number]>
  /** Whether the audit record can be written. */
  auditUp?(): boolean
  /** Targets are told by their place in the configuration, from 0: their addresses are nobody's business. */
  upstreamTargets?(): Iterable<{ readonly upstream: string; readonly target: number; readonly healthy: boolean }>
}

export interface Certificates {
  readonly expiries: Iterable<readonly [name: string, expiresAt: number]>
  /** Whether the files could be used when they were last looked at. */
  readonly isWell: boolean
}

export interface GaugesConfig {
  readonly registry: Registry
  readonly names: Names
  /** 99th percentile since the last call. */
  readonly eventLoopLagSeconds: () => number
}

/** Registers the gauges; `sources` may be filled later. */
export function registerGauges(sources: Gauges, config: GaugesConfig): void {
  const { registry } = config
  single(registry, 'gatehouse_revocation_staleness_seconds', 'Age of the local copy of the revocations.', () => {
    const milliseconds = sources.revocationStalenessMs?.()
    return milliseconds === undefined ? undefined : milliseconds / 1000
  })
  single(registry, 'gatehouse_revocation_entries', 'Live revocations in the local copy.', () => sources.revocationEntries?.())
  single(registry, 'gatehouse_connections', 'Open connections of clients.', () => sources.connections?.())
  single(registry, 'gatehouse_workers', 'Processes that answer requests.', () => sources.workers?.())
  single(registry, 'gatehouse_requests_in_flight', 'Requests that were taken on and are not over.', () =>
    sources.requestsInFlight?.(),
  )
  single(registry, 'gatehouse_shed_share', 'Share of requests that is refused because of lag or memory, 0 to 1.', () =>
    sources.shedShare?.(),
  )
  single(registry, 'gatehouse_live_connections', 'WebSockets, streams and long requests that a token carries.', () =>
    sources.liveConnections?.(),
  )
  single(
    registry,
    'gatehouse_redis_unconfirmed_writes',
    'Writes that no replica of Redis is known to have yet; no sample on embedded storage.',
    () => sources.redisUnconfirmed?.(),
  )
  single(registry, 'gatehouse_redis_up', 'Whether Redis answers; no sample on embedded storage.', () => {
    const up = sources.redisUp?.()
    return up === undefined ? undefined : Number(up)
  })
  single(registry, 'gatehouse_database_up', 'Whether the accounts database answers; no sample on embedded storage.', () => {
    const up = sources.databaseUp?.()
    return up === undefined ? undefined : Number(up)
  })
  single(
    registry,
    'gatehouse_event_loop_lag_seconds',
    'Delay of the event loop, 99th percentile since the last scrape.',
    config.eventLoopLagSeconds,
  )
  single(registry, 'gatehouse_username_filter_age_seconds', 'Age of the filters of usernames.', () => {
    const milliseconds = sources.usernameFilterAgeMs?.()
    return milliseconds === undefined ? undefined : milliseconds / 1000
  })
  single(registry, 'gatehouse_revocation_max_staleness_seconds', 'Age of the local copy from which routes refuse or ask.', () => {
    const milliseconds = sources.revocationMaxStalenessMs?.()
    return milliseconds === undefined ? undefined : milliseconds / 1000
  })
  single(registry, 'gatehouse_audit_up', 'Whether the audit record can be written.', () => {
    const up = sources.auditUp?.()
    return up === undefined ? undefined : Number(up)
  })
  registerKeys(sources, config)
  registerCertificates(sources, registry)
  registerFilters(sources, config)
  registerByIssuer(sources, config)
  registerByTarget(sources, config)
}

function single(registry: Registry, name: string, help: string, read: () => number | undefined): void {
  const gauge: Gauge = new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      gauge.remove()
      const value = read()
      if (value !== undefined && Number.isFinite(value)) gauge.set(value)
    },
  })
}

/** Named by the configuration or by the certificates themselves: no client adds one. */
function registerCertificates(sources: Gauges, registry: Registry): void {
  single(
    registry,
    'gatehouse_certificates_last_reload_success',
    'Whether the files of the certificates could be used when they were last looked at; no sample without TLS.',
    () => {
      const certificates = sources.certificates?.()
      return certificates === undefined ? undefined : Number(certificates.isWell)
    },
  )
  const gauge: Gauge = new Gauge({
    name: 'gatehouse_certificate_expiry_timestamp_seconds',
    help: 'When a certificate of the public listener expires, seconds since 1970; no sample without TLS.',
    labelNames: ['certificate'],
    registers: [registry],
    collect() {
      gauge.reset()
      for (const [certificate, expiresAt] of sources.certificates?.()?.expiries ?? []) gauge.set({ certificate }, expiresAt)
    },
  })
}

/** Of tenants that share a label the one that is due first. */
function registerKeys(sources: Gauges, { registry, names }: GaugesConfig): void {
  const gauge: Gauge = new Gauge({
    name: 'gatehouse_signing_key_rotation_due_timestamp_seconds',
    help: 'When the key that signs for a tenant is to be replaced, seconds since 1970.',
    labelNames: ['tenant'],
    registers: [registry],
    collect() {
      gauge.reset()
      const due = new Map<string, number>()
      for (const [name, dueAt] of sources.keyRotationsDue?.() ?? []) {
        const tenant = names.tenant(name)
        due.set(tenant, Math.min(dueAt, due.get(tenant) ?? Infinity))
      }
      for (const [tenant, dueAt] of due) gauge.set({ tenant }, dueAt)
    },
  })
}

/** Filters are of the tenants of the configuration alone. */
function registerFilters(sources: Gauges, { registry, names }: GaugesConfig): void {
  const gauge: Gauge = new Gauge({
    name: 'gatehouse_username_filter_names',
    help: 'Usernames in the filter of a tenant.',
    labelNames: ['tenant'],
    registers: [registry],
    collect() {
      gauge.reset()
      for (const [tenant, held] of sources.usernameFilterNames?.() ?? []) gauge.inc({ tenant: names.tenant(tenant) }, held)
    },
  })
}

function registerByIssuer(sources: Gauges, config: GaugesConfig): void {
  const gauge: Gauge = new Gauge({
    name: 'gatehouse_jwks_age_seconds',
    help: 'Age of the key set of an issuer.',
    labelNames: ['issuer'],
    registers: [config.registry],
    collect() {
      gauge.reset()
      for (const [issuer, seconds] of sources.jwksAgesSeconds?.() ?? []) {
        if (config.names.issuer(issuer) !== NONE && Number.isFinite(seconds)) gauge.set({ issuer }, seconds)
      }
    },
  })
}

function registerByTarget(sources: Gauges, config: GaugesConfig): void {
  const gauge: Gauge = new Gauge({
    name: 'gatehouse_upstream_healthy',
    help: 'Whether a target of an upstream takes requests.',
    labelNames: ['upstream', 'target'],
    registers: [config.registry],
    collect() {
      gauge.reset()
      for (const { upstream, target, healthy } of sources.upstreamTargets?.() ?? []) {
        if (config.names.upstream(upstream) !== NONE) gauge.set({ upstream, target: String(target) }, Number(healthy))
      }
    },
  })
}
