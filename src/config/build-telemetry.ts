import { isInsecure } from './addresses.ts'
import { readSecret, type Build } from './build.ts'
import { ACCESS_FIELDS, type TRACE_FIELDS } from './names.ts'
import type { Draft } from './schema.ts'

/** A fact in a line of the access log. */
export type AccessField = (typeof ACCESS_FIELDS)[number]

/** What is told of requests. */
export interface TelemetrySettings {
  readonly accessLog: {
    /** Share of good requests that are logged, 0 to 1. */
    readonly sample: number
    /** What is left out of every line; absent: nothing. */
    readonly omit?: ReadonlySet<AccessField>
    /** Names of routes whose good requests are not logged; absent: none. */
    readonly quiet?: ReadonlySet<string>
  }
  /** `tenants`: most that have series of their own, by their order in the file. */
  readonly metrics: { readonly tenants: number }
  /** Absent: no traces are kept. */
  readonly traces?: TracesConfig
}

export interface TracesConfig {
  /** Where spans are posted to: the whole URL. */
  readonly url: string
  /** Share of new traces that are recorded, 0 to 1. */
  readonly sample: number
  /** Requests that are kept beside those, by how they ended; absent: none. */
  readonly keep?: KeepConfig
  readonly serviceName: string
  readonly resource: ReadonlyMap<string, string>
  /** Sent with each export; their values are secrets. */
  readonly headers: ReadonlyMap<string, string>
  /** What spans say about people. */
  readonly include: ReadonlySet<(typeof TRACE_FIELDS)[number]>
}

export interface KeepConfig {
  /** Those that an error of ours, or of an upstream, ended, and those that were sent again because of one. */
  readonly errors: boolean
  /** Infinite: none for being slow. */
  readonly slowerThanMs: number
}

type TracesDraft = NonNullable<Draft['telemetry']['traces']>

export function buildTelemetry({ telemetry, routes }: Draft, build: Build): TelemetrySettings {
  const { accessLog, metrics } = telemetry
  const path = ['telemetry', 'accessLog']
  const omit = omitted(accessLog, build)
  const names = new Set(routes.map(({ value }) => value.name))
  for (const { at, value } of accessLog.quiet)
    if (!names.has(value)) build.report([...path, 'quiet', at], 'must be the name of a route of this file')
  const traces = telemetry.traces === undefined ? undefined : buildTraces(telemetry.traces, build)
  return {
    accessLog: {
      sample: accessLog.sample,
      ...(omit.size > 0 && { omit }),
      ...(accessLog.quiet.length > 0 && { quiet: new Set(accessLog.quiet.map(({ value }) => value)) }),
    },
    metrics: { tenants: metrics.tenants },
    ...(traces !== undefined && { traces }),
  }
}

function omitted({ fields, omit }: Draft['telemetry']['accessLog'], build: Build): ReadonlySet<AccessField> {
  if (fields === undefined) return new Set(omit.map(({ value }) => value))
  if (omit.length > 0) build.report(['telemetry', 'accessLog', 'omit'], 'must not stand beside fields: they say all there is')
  const kept = new Set<string>(fields.map(({ value }) => value))
  return new Set(ACCESS_FIELDS.filter((field) => !kept.has(field)))
}

function buildTraces(draft: TracesDraft, build: Build): TracesConfig | undefined {
  const path = ['telemetry', 'traces']
  const { otlp } = draft
  if (otlp === undefined) {
    if (!build.isFaulty([...path, 'otlp']))
      build.report([...path, 'otlp'], 'is required: write a URL such as http://127.0.0.1:4318')
    return undefined
  }
  const base = otlp.href.replace(/\/+$/, '')
  return {
    url: base.endsWith('/v1/traces') ? base : `${base}/v1/traces`,
    sample: draft.sample,
    ...keepOf(draft),
    serviceName: draft.serviceName,
    resource: new Map(Object.entries(draft.resource)),
    headers: headersOf(draft, isInsecure(otlp.href), build),
    include: new Set(draft.include.map(({ value }) => value)),
  }
}

function keepOf({ keep: { errors, slowerThan } }: TracesDraft): { readonly keep?: KeepConfig } {
  if (!errors && slowerThan === undefined) return {}
  return { keep: { errors, slowerThanMs: slowerThan ?? Number.POSITIVE_INFINITY } }
}

function headersOf({ headers }: TracesDraft, isInTheClear: boolean, build: Build): ReadonlyMap<string, string> {
  const read = new Map<string, string>()
  for (const [name, source] of Object.entries(headers)) {
    const path = ['telemetry', 'traces', 'headers', name]
    if (isInTheClear) build.report(path, 'a secret does not go over http to another machine: write otlp: https://…')
    const value = readSecret(source, path, build)
    if (value === undefined) continue
    if (/^[\x20-\x7e]+$/.test(value)) read.set(name.toLowerCase(), value)
    else build.report(path, 'the value must be visible ASCII')
  }
  return read
}
