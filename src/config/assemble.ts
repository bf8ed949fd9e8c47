import type { Build } from './build.ts'
import { readSecret } from './build.ts'
import { buildClients } from './build-clients.ts'
import { buildFront, withRedirectHosts } from './build-front.ts'
import { buildGeography } from './build-geography.ts'
import { buildIdentity } from './build-identity.ts'
import { buildIssuers } from './build-issuers.ts'
import { buildOverload } from './build-overload.ts'
import { buildRoutes } from './build-routes.ts'
import { buildAccountStorage, buildLegacyChannel, buildMasterKeys, buildSessionStorage } from './build-storage.ts'
import { buildTelemetry } from './build-telemetry.ts'
import { buildTenants } from './build-tenants.ts'
import { buildUpstreams } from './build-upstreams.ts'
import type { AdminListenerConfig, Config, PublicListenerConfig, RouteConfig } from './config.ts'
import { refuseInsecure } from './insecure.ts'
import { isLoopback } from './names.ts'
import { gatewaySchema } from './schema.ts'
import type { Draft } from './schema.ts'
import type { Item } from './shapes.ts'

/** The configuration but for its routes and version, and the routes with their indices. */
export interface Assembly {
  readonly config: Omit<Config, 'version' | 'routes'>
  readonly routes: readonly Item<RouteConfig>[]
}

/** Holds the parts of the draft against each other and applies the defaults that depend on them. */
export function assemble(draft: Draft, file: string, build: Build): Assembly {
  const publicListener = buildPublicListener(draft.listeners.public, build)
  const geography = buildGeography(draft, build)
  const tenants = buildTenants(draft.tenants, defaultTenant(), { origin: publicListener.origin, geography }, build)
  const issuers = buildIssuers(draft.issuers, tenants, build)
  const upstreams = buildUpstreams(draft.upstreams, build)
  const identity = buildIdentity(draft.identity, build)
  const { maxStaleness, whenStale, breaker, legacyChannel } = draft.revocation
  const revocation = { maxStalenessMs: maxStaleness, whenStale }
  const sessions = buildSessionStorage(draft.storage.sessions, build)
  const accounts = buildAccountStorage(draft.storage.accounts, build)
  const routes = buildRoutes(
    draft.routes,
    {
      tenants,
      issuers,
      upstreams,
      owned: identity.owned,
      geography,
      bodyBytes: publicListener.limits.bodyBytes,
      tls: publicListener.tls,
      revocation,
    },
    build,
  )
  const config = {
    file,
    listeners: {
      public: withRedirectHosts(publicListener, hostsOf(tenants, routes)),
      admin: buildAdminListener(draft.listeners.admin, build),
    },
    workers: draft.workers === 'auto' ? build.cores : draft.workers,
    reload: { watch: draft.reload.watch, intervalMs: draft.reload.interval },
    storage: { ...draft.storage, sessions, accounts, directory: build.resolve(draft.storage.directory) },
    masterKeys: buildMasterKeys(draft.masterKey, sessions, build),
    tenants,
    issuers,
    clients: buildClients(draft.clients, tenants, build),
    revocation: {
      ...revocation,
      breaker: { timeoutMs: breaker.timeout, errorThreshold: breaker.errorThreshold, resetAfterMs: breaker.resetAfter },
      ...(legacyChannel === undefined ? {} : { legacyChannel: buildLegacyChannel(legacyChannel, sessions, build) }),
    },
    accounts: buildAccounts(draft.accounts, build),
    usernames: { cacheSeconds: draft.usernames.cache },
    tokenCache: { entries: draft.tokenCache.entries, lifetimeMs: draft.tokenCache.lifetime },
    rateLimits: { entries: draft.rateLimits.entries, timeoutMs: draft.rateLimits.timeout },
    identity: { ...identity.config, ...(geography?.header !== undefined && { countryHeader: geography.header }) },
    ...(geography !== undefined && { geography }),
    upstreams,
    telemetry: buildTelemetry(draft, build),
    insecure: refuseInsecure(draft, build),
  }
  return { config, routes }
}

function hostsOf(tenants: Config['tenants'], routes: readonly Item<RouteConfig>[]): readonly string[] {
  return [...[...tenants.values()].flatMap(({ hosts }) => hosts), ...routes.flatMap(({ value }) => value.match.hosts)]
}

function buildAccounts({ breachedPasswords }: Draft['accounts'], build: Build): Config['accounts'] {
  if (breachedPasswords === undefined) return {}
  const path = ['accounts', 'breachedPasswords']
  if (breachedPasswords.file === undefined) {
    if (!build.isFaulty(path)) build.report(path, 'must name its file: write { file: PATH }')
    return {}
  }
  return { breachedPasswords: build.resolve(breachedPasswords.file) }
}

function buildPublicListener(draft: Draft['listeners']['public'], build: Build): PublicListenerConfig {
  const { headers, request, keepAlive, drain, drainDelay } = draft.timeouts
  const { connectionsPerClient, ...limits } = draft.limits
  const path = ['listeners', 'public', 'timeouts']
  if (headers > request) {
    const key = build.isWritten([...path, 'headers']) ? 'headers' : 'request'
    build.report([...path, key], `timeouts.headers (${headers} ms) must not be longer than timeouts.request (${request} ms)`)
  }
  return {
    host: draft.address.host,
    port: draft.address.port,
    origin: draft.origin ?? new URL(`${draft.tls === undefined ? 'http' : 'https'}://localhost:${draft.address.port}`).origin,
    ...buildFront(draft, build),
    trustedProxies: [...new Set(draft.trustedProxies.map((item) => item.value))],
    limits: { ...limits, ...(connectionsPerClient !== undefined && { connectionsPerClient }) },
    overload: buildOverload(draft, build),
    timeouts: { headersMs: headers, requestMs: request, keepAliveMs: keepAlive, drainMs: drain, drainDelayMs: drainDelay },
  }
}

function buildAdminListener(draft: Draft['listeners']['admin'], build: Build): AdminListenerConfig {
  const { host, port } = draft.address
  const path = ['listeners', 'admin', 'token']
  if (draft.token === undefined) {
    if (!isLoopback(host))
      build.report(path, 'is required, since the address is not loopback: write { env: NAME }, or listen on 127.0.0.1')
    return { host, port }
  }
  const token = readSecret(draft.token, path, build)
  if (token === undefined) return { host, port }
  if (!/^[\x21-\x7e]+$/.test(token)) build.report(path, 'the token must be visible ASCII without spaces')
  return { host, port, token }
}

function defaultTenant(): Draft['tenants'][string] {
  return gatewaySchema.shape.tenants.unwrap().valueType.parse({})
}
