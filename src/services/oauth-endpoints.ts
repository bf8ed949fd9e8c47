import type { Config, RouteConfig, TenantConfig } from '../config/config.ts'

/** Where a tenant's clients find the OAuth endpoints. Absolute URLs. */
export interface OAuthEndpoints {
  readonly token: string
  readonly introspection: string
  readonly revocation: string
}

/** The OAuth endpoints of a tenant, by the first route that mounts them where its clients come; undefined: none does. */
export function endpointsOfTenant(
  tenant: TenantConfig,
  config: Pick<Config, 'tenants' | 'routes' | 'listeners'>,
): OAuthEndpoints | undefined {
  const { origin } = config.listeners.public
  for (const route of config.routes) {
    if (route.target.kind !== 'service' || route.target.service !== 'oauth' || !takesPosts(route)) continue
    const base = baseOf(tenant, route.match.hosts, origin, config.tenants)
    if (base === undefined) continue
    const mount = base + route.match.path.slice(0, -'/*'.length)
    return { token: `${mount}/token`, introspection: `${mount}/introspect`, revocation: `${mount}/revoke` }
  }
  return undefined
}

/** Whether a route mounts a whole service whose endpoints are posted to. */
export function takesPosts({ match }: RouteConfig): boolean {
  return match.path.endsWith('/*') && match.headers.size === 0 && (match.methods.length === 0 || match.methods.includes('POST'))
}

/** The origin itself, unless the route does not take its host or the host is another tenant's; then a host of the tenant's own. */
function baseOf(
  tenant: TenantConfig,
  hosts: readonly string[],
  origin: string,
  tenants: ReadonlyMap<string, TenantConfig>,
): string | undefined {
  const url = new URL(origin)
  const isForeign = [...tenants.values()].some((other) => other !== tenant && other.hosts.includes(url.hostname))
  if (!isForeign && accepts(hosts, url.hostname)) return origin
  const host = tenant.hosts.find((own) => accepts(hosts, own))
  if (host === undefined) return undefined
  return `${url.protocol}//${host}${url.port === '' ? '' : `:${url.port}`}`
}

/** As the router matches hosts: `*.example.com` stands for one or more labels. */
export function accepts(hosts: readonly string[], host: string): boolean {
  return hosts.length === 0 || hosts.some((one) => one === host || (one.startsWith('*.') && host.endsWith(one.slice(1))))
}
