import { OWN_ISSUER } from '../exchange/exchange.ts'
import type { WhenStale } from '../exchange/exchange.ts'
import { refuseEmpty } from './build.ts'
import type { Build } from './build.ts'
import { buildClientCertificate } from './build-front.ts'
import { buildHeaderRules, lowerCaseHeaders } from './build-headers.ts'
import { buildRateLimits } from './build-rate-limits.ts'
import { buildCors, buildNetworks, buildSplit } from './build-sharing.ts'
import { refuseTunnels } from './build-protocol.ts'
import { buildCountries } from './build-geography.ts'
import type { GeographyConfig } from './build-geography.ts'
import type { IssuerConfig, PublicTlsConfig, RouteConfig, ServiceName, TenantConfig, UpstreamConfig } from './config.ts'
import type { Path } from './faults.ts'
import { SERVICES_WITH_OWN_AUTH } from './names.ts'
import type { Draft, RouteDraft } from './schema.ts'
import type { Item } from './shapes.ts'
import { didYouMean, orList } from './suggest.ts'

/** What routes refer to. */
export interface Surroundings {
  readonly tenants: ReadonlyMap<string, TenantConfig>
  readonly issuers: ReadonlyMap<string, IssuerConfig>
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>
  readonly owned: ReadonlySet<string>
  readonly geography: GeographyConfig | undefined
  readonly bodyBytes: number
  readonly tls: PublicTlsConfig | undefined
  readonly revocation: { readonly whenStale: WhenStale; readonly maxStalenessMs: number }
}

/** The routes, each with its index in the file. */
export function buildRoutes(drafts: Draft['routes'], around: Surroundings, build: Build): readonly Item<RouteConfig>[] {
  refuseSharedNames(drafts, build)
  const names = new Set(drafts.map((item) => item.value.name))
  return drafts.map(({ at, value }) => {
    const unnamed = value.name === undefined ? nameByMatch(value) : value.name
    const name = value.name === undefined && names.has(unnamed) ? `${unnamed} #${at}` : unnamed
    names.add(name)
    return { at, value: buildRoute(['routes', at], name, value, { ...around, build }) }
  })
}

function buildRoute(path: Path, name: string, draft: RouteDraft, around: Surroundings & { readonly build: Build }): RouteConfig {
  const { build } = around
  refuseWithoutEffect(path, draft, build)
  refuseTunnels([...path, 'websocket'], draft, around.upstreams, build)
  const known = (key: string, items: readonly Item<string>[] | undefined, names: readonly string[], what: string) => {
    refuseEmpty(items, [...path, key], `remove it for any ${what}`, build)
    for (const { at, value } of items ?? []) refuseUnknown([...path, key, at], value, names, { what, build })
    return items === undefined ? undefined : new Set(items.map((item) => item.value))
  }
  const tenants = known('tenants', draft.tenants, [...around.tenants.keys()], 'tenant')
  const issuers = known('issuers', draft.issuers, [OWN_ISSUER, ...around.issuers.keys()], 'issuer')
  if (draft.liveUntil === 'session' && issuers !== undefined && !issuers.has(OWN_ISSUER)) {
    build.report(
      [...path, 'liveUntil'],
      `has no effect without the issuer ${OWN_ISSUER}: tokens made elsewhere have no session here`,
    )
  }
  const rules = (key: 'requestHeaders' | 'responseHeaders', owned: ReadonlySet<string>) =>
    buildHeaderRules([...path, key], draft[key], owned, build)
  return {
    name,
    match: buildMatch([...path, 'match'], draft.match, build),
    ...(draft.auth !== undefined && { auth: draft.auth }),
    ...(tenants !== undefined && { tenants }),
    ...(issuers !== undefined && { issuers }),
    scopes: unique(draft.scopes),
    claims: buildClaims([...path, 'claims'], draft.claims, build),
    ...(draft.maxAuthAge !== undefined && { maxAuthAgeSeconds: draft.maxAuthAge }),
    ...(draft.replay === 'once' && { replay: draft.replay }),
    ...buildRateLimits([...path, 'rateLimit'], name, draft, build),
    revocation: {
      whenStale: draft.revocation.whenStale ?? around.revocation.whenStale,
      maxStalenessMs: draft.revocation.maxStaleness ?? around.revocation.maxStalenessMs,
    },
    ...buildNetworks([...path, 'ip'], draft.ip, build),
    ...buildCountries([...path, 'countries'], draft.countries, around.geography, build),
    ...buildCors([...path, 'cors'], draft, build),
    bodyBytes: draft.bodyBytes ?? around.bodyBytes,
    ...(draft.priority !== undefined && { priority: draft.priority }),
    ...(draft.timeouts.response !== undefined && { responseTimeoutMs: draft.timeouts.response }),
    ...(draft.timeouts.request !== undefined && { requestTimeoutMs: draft.timeouts.request }),
    ...(draft.timeouts.idle !== undefined && { idleTimeoutMs: draft.timeouts.idle }),
    ...buildStripPrefix([...path, 'stripPrefix'], draft, build),
    ...(draft.addPrefix !== undefined && { addPrefix: draft.addPrefix }),
    forwardToken: draft.forwardToken,
    ...buildHost([...path, 'host'], draft.host, build),
    requestHeaders: rules('requestHeaders', around.owned),
    responseHeaders: rules('responseHeaders', new Set()),
    websocket: draft.websocket,
    ...(draft.liveUntil === 'session' && { liveUntil: draft.liveUntil }),
    encodedSlash: draft.paths.encodedSlash,
    ...buildClientCertificate([...path, 'clientCertificate'], draft.clientCertificate, around.tls, build),
    target: buildTarget(path, draft, [...around.upstreams.keys()], build),
  }
}

function buildMatch(path: Path, draft: RouteDraft['match'], build: Build): RouteConfig['match'] {
  if (draft.path === undefined) build.report([...path, 'path'], 'is required: write a path, such as /api/*')
  return {
    hosts: unique(draft.hosts),
    path: draft.path ?? '/',
    methods: unique(draft.methods),
    headers: lowerCaseHeaders([...path, 'headers'], draft.headers, build),
  }
}

function buildClaims(path: Path, drafts: RouteDraft['claims'], build: Build): RouteConfig['claims'] {
  return new Map(
    Object.entries(drafts).map(([claim, values]) => {
      refuseEmpty(values, [...path, claim], 'no token could come in', build)
      return [claim, new Set(values.map((item) => item.value))]
    }),
  )
}

function buildStripPrefix(path: Path, draft: RouteDraft, build: Build): { readonly stripPrefix?: string } {
  const { stripPrefix } = draft
  if (stripPrefix === undefined) return {}
  const whole = draft.match.path?.replace(/\/\*$/, '')
  if (whole !== undefined && whole !== stripPrefix && !whole.startsWith(`${stripPrefix}/`)) {
    build.report(path, 'must be the start of match.path, in whole segments')
  }
  return { stripPrefix }
}

function buildHost(path: Path, draft: RouteDraft['host'], build: Build): Pick<RouteConfig, 'host' | 'hostName'> {
  if (typeof draft === 'string') return { host: draft }
  if (draft.set === undefined && !build.isFaulty(path)) build.report(path, 'must say which one: write { set: NAME }')
  return { host: 'upstream', ...(draft.set !== undefined && { hostName: draft.set }) }
}

function buildTarget(path: Path, draft: RouteDraft, upstreams: readonly string[], build: Build): RouteConfig['target'] {
  const { service, split, upstream } = draft
  const own = service !== undefined && SERVICES_WITH_OWN_AUTH.has(service)
  if (own && draft.auth !== undefined)
    build.report([...path, 'auth'], `the ${service} service says its own, endpoint by endpoint: remove it`)
  if (!own && draft.auth === undefined && !build.isFaulty([...path, 'service'])) {
    build.report([...path, 'auth'], 'is required: write required, optional or public')
  }
  if (upstream !== undefined) refuseUnknown([...path, 'upstream'], upstream, upstreams, { what: 'upstream', build })
  if (service !== undefined && upstream !== undefined)
    build.report([...path, 'service'], 'a route has one target: remove service or upstream')
  for (const { at, value } of split ?? []) {
    const side = [...path, 'split', at, 'upstream']
    if (value.upstream !== undefined) refuseUnknown(side, value.upstream, upstreams, { what: 'upstream', build })
  }
  if (service !== undefined) {
    if (split !== undefined) build.report([...path, 'split'], 'a route has one target: remove service or split')
    refuseOnService(path, service, build)
    return { kind: 'service', service }
  }
  if (split !== undefined) {
    if (upstream !== undefined) build.report([...path, 'split'], 'a route has one target: remove upstream or split')
    return { kind: 'split', sides: buildSplit([...path, 'split'], split, build) }
  }
  const elsewhere = build.isFaulty([...path, 'split']) || build.isFaulty([...path, 'service'])
  if (upstream === undefined && !elsewhere)
    build.report([...path, 'upstream'], 'is required: write upstream: NAME or service: NAME')
  return { kind: 'upstream', upstream: upstream ?? '' }
}

/** What only a request to an upstream has. */
const UPSTREAM_KEYS: readonly Path[] = [
  ['host'],
  ['websocket'],
  ['liveUntil'],
  ['timeouts', 'response'],
  ['timeouts', 'idle'],
  ['timeouts', 'request'],
  ['responseHeaders'],
]
/** What a service that says its own authentication leaves no room for. */
const CALLER_KEYS = [
  'scopes',
  'claims',
  'maxAuthAge',
  'replay',
  'tenants',
  'issuers',
  'stripPrefix',
  'addPrefix',
  'forwardToken',
  'requestHeaders',
  'priority',
]

function refuseOnService(path: Path, service: ServiceName, build: Build): void {
  const keys = SERVICES_WITH_OWN_AUTH.has(service) ? [...UPSTREAM_KEYS, ...CALLER_KEYS.map((key) => [key])] : UPSTREAM_KEYS
  for (const key of keys) {
    const full = [...path, ...key]
    if (build.isWritten(full)) build.report(full, `has no effect on the service ${service}: remove it`)
  }
}

/** Rules about tokens do nothing where no token is asked for: then the route is more open than it looks. */
function refuseWithoutEffect(path: Path, draft: RouteDraft, build: Build): void {
  if (draft.auth === undefined || draft.auth === 'required') return
  const always = ['scopes', 'claims', 'maxAuthAge', ...(draft.replay === 'once' ? ['replay'] : [])]
  const keys = draft.auth === 'public' ? [...always, 'tenants', 'issuers', 'liveUntil'] : always
  for (const key of keys) {
    if (!build.isWritten([...path, key])) continue
    const why = draft.auth === 'public' ? 'has no effect on a public route' : 'would let requests without a token pass it'
    build.report([...path, key], `${why}: remove it, or write auth: required`)
  }
}

function refuseUnknown(
  path: Path,
  name: string,
  names: readonly string[],
  { what, build }: { readonly what: string; readonly build: Build },
): void {
  if (names.includes(name)) return
  const near = didYouMean(name, names)
  const known = names.length === 0 ? `: there is none, add it` : `: write ${orList(names.slice(0, 8))}`
  build.report(path, `there is no such ${what}${near === '' ? known : near}`)
}

function refuseSharedNames(drafts: Draft['routes'], build: Build): void {
  const first = new Map<string, number>()
  for (const { at, value } of drafts) {
    if (value.name === undefined) continue
    const other = first.get(value.name)
    if (other !== undefined) {
      build.report(
        ['routes', at, 'name'],
        `is the name of the route in line ${build.lineOf(['routes', other])} too: choose another`,
      )
    }
    first.set(value.name, other ?? at)
  }
}

/** `GET,POST api.example.com/orders/*`. */
function nameByMatch({ match }: RouteDraft): string {
  const methods = match.methods.length === 0 ? '' : `${unique(match.methods).join(',')} `
  return `${methods}${unique(match.hosts).join(',')}${match.path ?? ''}`
}

function unique(items: readonly Item<string>[]): readonly string[] {
  return [...new Set(items.map((item) => item.value))]
}
