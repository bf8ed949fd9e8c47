/**
 * From a route as written to the routes that are matched: one for an upstream, one for each endpoint of a service.
 */
import type { RouteConfig, ServiceName } from '../config/config.ts'
import type { Auth, EndpointCaller, HeaderRules, Route, Target } from '../exchange/exchange.ts'
import type { Endpoint } from './router.ts'

/**
 * The routes that a configured route stands for, frozen. A service gives none where none of its endpoints lies at the path or
 * takes one of the methods.
 */
export function compileRoute(written: RouteConfig, endpointsOf: (service: ServiceName) => readonly Endpoint[]): readonly Route[] {
  const { target } = written
  // A route that does not say who may use it needs a token; the configuration refuses it before it comes to this.
  if (target.kind !== 'service') return [freezeRoute(written, { auth: written.auth ?? 'required', target })]
  const { service } = target
  return endpointsOf(service).flatMap((endpoint) => {
    const path = mountedPath(written.match.path, endpoint)
    const methods = sharedMethods(written.match.methods, endpoint.method)
    if (path === undefined || methods === undefined) return []
    const auth = endpoint.auth === 'route' ? (written.auth ?? 'required') : endpoint.auth
    return freezeRoute(written, {
      name: `${written.name}.${endpoint.name}`,
      path,
      methods,
      auth,
      bodyBytes: Math.min(endpoint.bodyBytes ?? written.bodyBytes, written.bodyBytes),
      ...(endpoint.caller !== undefined && { caller: endpoint.caller }),
      target: { kind: 'service', service, endpoint: endpoint.name },
    })
  })
}

/** Where an endpoint lies; undefined: not under this mount. A mount without `/*` has room for one path only. */
function mountedPath(written: string, { path, under }: Endpoint): string | undefined {
  const isTree = written.endsWith('/*')
  const mount = isTree ? written.slice(0, -2) : written
  if (under !== undefined && !mount.endsWith(under)) return undefined
  if (isTree) return mount + path || '/'
  return path === '' || path === '/*' ? mount : undefined
}

/** What both the route and the endpoint take; undefined: nothing. Empty stands for every method. */
function sharedMethods(written: readonly string[], endpoint: string | undefined): readonly string[] | undefined {
  if (endpoint === undefined) return written
  if (written.length === 0 || written.includes(endpoint)) return [endpoint]
  if (endpoint === 'HEAD' && written.includes('GET')) return ['HEAD']
  return endpoint === 'GET' && written.includes('HEAD') ? ['HEAD'] : undefined
}

interface Own {
  readonly name?: string
  readonly path?: string
  readonly methods?: readonly string[]
  readonly auth: Auth
  readonly bodyBytes?: number
  readonly caller?: EndpointCaller
  readonly target: Target
}

function freezeRoute(written: RouteConfig, own: Own): Route {
  const { name, path, methods, ...facts } = own
  const match = Object.freeze({
    ...written.match,
    hosts: Object.freeze(written.match.hosts.map((host) => host.toLowerCase())),
    path: path ?? written.match.path,
    methods: Object.freeze([...(methods ?? written.match.methods)]),
  })
  const responseHeaders = written.cors === undefined ? written.responseHeaders : withoutSharing(written.responseHeaders)
  const target = Object.freeze(own.target)
  return Object.freeze({ ...written, ...facts, name: name ?? written.name, match, responseHeaders, target })
}

/** Where the gateway says which pages may read, an upstream does not say it too. */
function withoutSharing({ set, remove }: HeaderRules): HeaderRules {
  return { set, remove: new Set([...remove, ...SHARING]) }
}

/** Fetch Standard §3.3.3. */
const SHARING = [
  'access-control-allow-origin',
  'access-control-allow-credentials',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'access-control-max-age',
  'access-control-expose-headers',
  'access-control-allow-private-network',
]
