import type { ServiceName } from '../config/config.ts'
import type { EndpointInfo } from './services.ts'

type Info = Omit<EndpointInfo, 'name'>

const WELL_KNOWN = '/.well-known'

/**
 * Every endpoint of every service, without what it takes to answer it: enough to compile, check and list routes while no
 * service is open. To add one: a row here, a handler of the same name in the service, a test.
 */
export const CATALOGUE = {
  accounts: {
    register: { method: 'POST', path: '/register', auth: 'public' },
    login: { method: 'POST', path: '/login', auth: 'public' },
    logout: { method: 'POST', path: '/logout', auth: 'required', ends: true },
    'logout-all': { method: 'POST', path: '/logout-all', auth: 'required', ends: true },
    me: { method: 'GET', path: '/me', auth: 'required' },
    profile: { method: 'PATCH', path: '/profile', auth: 'required' },
    password: { method: 'POST', path: '/password', auth: 'required', ends: true },
  },
  sessions: {
    create: { method: 'POST', path: '', auth: 'public', caller: 'client' },
    list: { method: 'GET', path: '', auth: 'required', bodyBytes: 0 },
    delete: { method: 'DELETE', path: '/{id}', auth: 'required', bodyBytes: 0, ends: true },
    validate: { method: 'POST', path: '/validate', auth: 'public' },
    refresh: { method: 'POST', path: '/refresh', auth: 'public', caller: 'holder' },
    revoke: { method: 'POST', path: '/revoke', auth: 'public', caller: 'holder or client', ends: true },
    'revoke-all': { method: 'POST', path: '/revoke-all', auth: 'optional', caller: 'user or client', ends: true },
    'revoke-others': { method: 'POST', path: '/revoke-others', auth: 'required', ends: true },
  },
  oauth: {
    token: { method: 'POST', path: '/token', auth: 'public', caller: 'client' },
    introspect: { method: 'POST', path: '/introspect', auth: 'public', caller: 'client' },
    revoke: { method: 'POST', path: '/revoke', auth: 'public', caller: 'client', ends: true },
  },
  revocations: { read: { method: 'GET', path: '', auth: 'public', caller: 'client', bodyBytes: 0 } },
  usernames: {
    availability: { method: 'GET', path: '/{name}/availability', auth: 'optional', bodyBytes: 0 },
    hold: { method: 'POST', path: '/{name}/hold', auth: 'optional', bodyBytes: 0 },
  },
  graphql: { query: { method: 'POST', path: '', auth: 'optional' } },
  discovery: {
    jwks: { under: WELL_KNOWN, method: 'GET', path: '/jwks.json', auth: 'public', bodyBytes: 0 },
    metadata: { under: WELL_KNOWN, method: 'GET', path: '/oauth-authorization-server', auth: 'public', bodyBytes: 0 },
    // RFC 8414 §3.1: the path of the issuer comes after the well-known part.
    'metadata-of-tenant': {
      under: WELL_KNOWN,
      method: 'GET',
      path: '/oauth-authorization-server/t/{tenant}',
      auth: 'public',
      bodyBytes: 0,
    },
    openid: { under: WELL_KNOWN, method: 'GET', path: '/openid-configuration', auth: 'public', bodyBytes: 0 },
    'openid-of-tenant': {
      under: WELL_KNOWN,
      method: 'GET',
      path: '/openid-configuration/t/{tenant}',
      auth: 'public',
      bodyBytes: 0,
    },
    'passport-jwks': { under: WELL_KNOWN, method: 'GET', path: '/gatehouse/jwks.json', auth: 'public', bodyBytes: 0 },
    // OpenID Connect Discovery §4: the well-known part comes after the path of the issuer.
    'tenant-jwks': { under: '/t', method: 'GET', path: '/{tenant}/.well-known/jwks.json', auth: 'public', bodyBytes: 0 },
    'tenant-metadata': {
      under: '/t',
      method: 'GET',
      path: '/{tenant}/.well-known/oauth-authorization-server',
      auth: 'public',
      bodyBytes: 0,
    },
    'tenant-openid': {
      under: '/t',
      method: 'GET',
      path: '/{tenant}/.well-known/openid-configuration',
      auth: 'public',
      bodyBytes: 0,
    },
  },
  health: { health: { method: 'GET', path: '', auth: 'public', bodyBytes: 0 } },
  echo: {
    root: { method: undefined, path: '', auth: 'route' },
    below: { method: undefined, path: '/*', auth: 'route' },
  },
} as const satisfies Record<ServiceName, Record<string, Info>>

/** Names of the endpoints of a service. */
export type EndpointName<N extends ServiceName> = Extract<keyof (typeof CATALOGUE)[N], string>

const INFOS: ReadonlyMap<string, readonly EndpointInfo[]> = new Map(
  Object.entries(CATALOGUE).map(([service, endpoints]) => [
    service,
    Object.freeze(Object.entries(endpoints).map(([name, info]: [string, Info]) => Object.freeze({ name, ...info }))),
  ]),
)

/** Endpoints of a service; empty when there is no such service. */
export function endpointsOf(service: string): readonly EndpointInfo[] {
  return INFOS.get(service) ?? []
}
