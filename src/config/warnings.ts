import { foldHeaderName, OWN_ISSUER, readNetwork } from '../exchange/exchange.ts'
import { isInsecure } from './addresses.ts'
import type { Config, RouteConfig } from './config.ts'
import { isLoopback } from './names.ts'
import type { ConfigRemark } from './parse.ts'

/** What is allowed and seldom meant: settings that give something away, and rules that can never hold. */
export function warningsOf(config: Config): readonly ConfigRemark[] {
  return [
    ...insecureSettings(config),
    ...unusedUpstreams(config),
    ...config.routes.flatMap((route, at) =>
      routeWarnings(route, config).map((one) => ({ ...one, path: ['routes', at, ...one.path] })),
    ),
  ]
}

function* insecureSettings({ listeners, upstreams, issuers, tenants, revocation }: Config): Generator<ConfigRemark> {
  const { origin, trustedProxies } = listeners.public
  if (isInsecure(origin))
    yield { path: ['listeners', 'public', 'origin'], message: 'is http: tokens and cookies go to clients in the clear' }
  for (const [at, network] of trustedProxies.entries()) {
    if (Number(network.split('/')[1]) >= (network.includes(':') ? 7 : 8)) continue
    yield {
      path: ['listeners', 'public', 'trustedProxies', at],
      message: 'is wider than any network of proxies: clients in it choose their address',
    }
  }
  for (const { name, tls } of upstreams.values()) {
    if (!tls.verify)
      yield {
        path: ['upstreams', name, 'tls', 'verify'],
        message: 'takes any certificate: whoever is on the way reads and changes everything',
      }
  }
  for (const { name, keys, audiences } of issuers.values()) {
    if (audiences === 'any') yield { path: ['issuers', name, 'audiences'], message: 'takes tokens that were made for others' }
    if (keys.kind === 'uri' && isInsecure(keys.uri))
      yield {
        path: ['issuers', name, 'jwks', 'allowInsecure'],
        message: 'fetches keys over http: whoever is on the way chooses them',
      }
  }
  for (const { id, refreshToken } of tenants.values()) {
    if (!refreshToken.rotation)
      yield {
        path: ['tenants', id, 'refreshToken', 'rotation'],
        message: 'is off: a refresh token that was stolen is never noticed',
      }
  }
  if (revocation.whenStale === 'allow')
    yield { path: ['revocation', 'whenStale'], message: 'lets revoked tokens in while the copy of the revocations is old' }
  if (revocation.legacyChannel?.publishRawToken === true)
    yield { path: ['revocation', 'legacyChannel', 'publishRawToken'], message: 'tells tokens to everyone who hears the channel' }
}

function unusedUpstreams({ upstreams, routes }: Config): readonly ConfigRemark[] {
  const used = new Set(routes.flatMap(({ target }) => namesOf(target)))
  return [...upstreams.keys()].flatMap((name) =>
    used.has(name) ? [] : [{ path: ['upstreams', name], message: 'is used by no route' }],
  )
}

function namesOf(target: RouteConfig['target']): readonly string[] {
  if (target.kind === 'split') return target.sides.map(({ upstream }) => upstream)
  return target.kind === 'upstream' ? [target.upstream] : []
}

function routeWarnings(route: RouteConfig, config: Config): readonly ConfigRemark[] {
  return [
    ...impossibleHeaders(route),
    ...nobodyAdmitted(route, config),
    ...deniedNetworks(route),
    ...loosePages(route),
    ...staleness(route, config),
  ]
}

/** Upstreams and the router read `X_Beta` and `x-beta` as one name, so one of two values never holds. */
function impossibleHeaders({ match }: RouteConfig): readonly ConfigRemark[] {
  const values = new Map<string, string>()
  for (const [name, value] of match.headers) {
    const known = values.get(foldHeaderName(name))
    if (known !== undefined) return [{ path: ['match', 'headers'], message: `has ${name} in two spellings: no request has both` }]
    values.set(foldHeaderName(name), value)
  }
  return []
}

/** Token, issuer and host each belong to one tenant, and they have to agree. */
function nobodyAdmitted({ auth, tenants, issuers, match }: RouteConfig, config: Config): readonly ConfigRemark[] {
  if (auth !== 'required') return []
  const tenantOf = new Map(
    [...config.tenants.values()].flatMap(({ id, hosts }) => hosts.map((host): [string, string] => [host, id])),
  )
  const ofHosts = match.hosts.map((host) => tenantOf.get(host))
  const here = match.hosts.length > 0 && !ofHosts.includes(undefined) ? new Set(ofHosts) : undefined
  const makers = issuers === undefined ? undefined : [...issuers]
  const makes = (tenant: string) =>
    makers?.some((name) => name === OWN_ISSUER || config.issuers.get(name)?.tenant === tenant) ?? true
  const possible = [...(tenants ?? config.tenants.keys())].filter((tenant) => makes(tenant) && (here?.has(tenant) ?? true))
  if (possible.length > 0) return []
  return [{ path: [], message: 'admits nobody: its tenants, issuers and hosts have no tenant in common' }]
}

/** An allowed network that lies in a denied one. */
function deniedNetworks({ ip }: RouteConfig): readonly ConfigRemark[] {
  if (ip === undefined) return []
  const denied = ip.deny.map(readNetwork)
  return ip.allow.flatMap((network, at) => {
    const range = readNetwork(network)
    const covered = denied.some((one) => range !== undefined && one !== undefined && isWithin(range, one))
    return covered ? [{ path: ['ip', 'allow', at], message: 'lets nobody in: deny has all of it' }] : []
  })
}

type Range = NonNullable<ReturnType<typeof readNetwork>>

function isWithin(inner: Range, outer: Range): boolean {
  return inner.first.length === outer.first.length && inner.first >= outer.first && inner.last <= outer.last
}

/** Pages that may act with the cookies of a user, and could be somebody else's. */
function loosePages({ cors, match }: RouteConfig): readonly ConfigRemark[] {
  if (cors === undefined) return []
  const remarks: ConfigRemark[] = []
  const path = ['cors', 'origins']
  if (cors.credentials && cors.patterns.length > 0)
    remarks.push({ path, message: 'has a * with credentials: whoever gets a page on one of those hosts acts as its visitors' })
  const clear = [...cors.origins].some((origin) => origin.startsWith('http:') && !isLoopback(new URL(origin).hostname))
  if (clear || cors.patterns.some(({ start }) => start === 'http://'))
    remarks.push({ path, message: 'has an http:// origin: whoever is on the way writes its pages' })
  const untaken =
    match.methods.length === 0
      ? []
      : cors.methods.filter((method) => !match.methods.includes(method) && !isRead(method, match.methods))
  if (untaken.length > 0)
    remarks.push({ path: ['cors', 'methods'], message: `has ${untaken.join(', ')}, which match.methods does not take` })
  return remarks
}

/** RFC 9110 §9.3.2. */
function isRead(method: string, taken: readonly string[]): boolean {
  return method === 'HEAD' && taken.includes('GET')
}

function staleness({ auth, revocation }: RouteConfig, config: Config): readonly ConfigRemark[] {
  if (auth === 'public' || revocation.whenStale !== 'allow' || config.revocation.whenStale === 'allow') return []
  return [
    {
      path: ['revocation', 'whenStale'],
      message: `lets revoked tokens in while the copy of the revocations is older than ${revocation.maxStalenessMs / 1000}s`,
    },
  ]
}
