/**
 * Opens every room and hands each what it needs: the wiring, and nothing else.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createAdmin } from './admin/admin.ts'
import { audited, expiries } from './audited.ts'
import { createAuthenticator } from './authenticator/authenticator.ts'
import { openBreachedFile } from './breached-file.ts'
import { openBuiltIns } from './built-ins.ts'
import { describeConfig, describeRoutes, type Config } from './config/config.ts'
import type { Route } from './exchange/exchange.ts'
import { createIdentity } from './identity/identity.ts'
import { createLegacyService } from './legacy-service.ts'
import { createArrivals, createListener, discardRest, refuse, refuseSocket } from './listener/listener.ts'
import { noteAudit, noteCopy, noteKeys, noteMalformed, noteUnpublished } from './notes.ts'
import { createPipeline } from './pipeline.ts'
import { createPolicy } from './policy/policy.ts'
import { createReplay } from './replay/replay.ts'
import { createRevocation } from './revocation/revocation.ts'
import { createRouter, findRouteFaults, type RouteFault } from './router/router.ts'
import { SDL } from './services/graphql/graphql.ts'
import { openApiDocument } from './services/openapi/openapi.ts'
import { endpointsOf, type EndpointCaller } from './services/services.ts'
import { openAudit, type AuditRecord } from './storage/audit/audit.ts'
import { enforced, openStores, type Stores } from './stores.ts'
import { createTargets } from './targets.ts'
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts'
import { createTenantCalls, openKeys } from './upkeep.ts'
import { createUpstreams } from './upstream/upstream.ts'
import { openUsernames } from './usernames.ts'
import { openLive } from './what-lasts.ts'
import { createLitterCount, monotonicMs, tidyUp, WORLD, type World } from './world.ts'

export interface GatewayNeeds {
  /** Takes whole log lines. */
  write(lines: string): void
  /** Default: that of this machine. */
  readonly world?: World
}

export interface Gateway {
  /** Starts to answer. Resolves when the gateway is ready; rejects when it is closed before that. */
  listen(): Promise<{ readonly public: Address; readonly admin: Address }>
  /** Every route as it is enforced. */
  readonly routes: readonly Route[]
  /**
   * Stops: not ready any more, finishes what is in flight, cuts at `timeouts.drain`.
   *
   * @returns how many connections were cut with an answer under way
   */
  close(): Promise<number>
  /** Cuts what a close still waits for. */
  cut(): void
  readonly log: Telemetry['log']
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** @throws Error when storage, keys or key files cannot be opened; nothing is left open then */
export async function openGateway(config: Config, needs: GatewayNeeds): Promise<Gateway> {
  const startedMs = monotonicMs()
  const { nowMs, nowSeconds, random, schedule } = needs.world ?? WORLD
  const telemetry = createTelemetry({ write: needs.write, nowMs, monotonicMs, random, schedule }, config)
  const stores = await openStores(
    {
      ...telemetry.events.redis,
      ...telemetry.events.database,
      nowSeconds,
      copyKept: (state, cause) => noteCopy(telemetry, state, cause),
      up: (isUp) => telemetry.log.warn(isUp ? 'Redis is there again' : 'Redis is away'),
    },
    config.storage,
  )
  try {
    const audit = openAudit({ nowMs, schedule, writable: (state, cause) => noteAudit(telemetry, state, cause) }, config.storage)
    try {
      return await assemble(config, { telemetry, stores, audit, startedMs, world: needs.world ?? WORLD })
    } catch (error) {
      audit.close()
      throw error
    }
  } catch (error) {
    await stores.close()
    throw error
  }
}

interface Opened {
  readonly telemetry: Telemetry
  readonly stores: Stores
  readonly audit: AuditRecord
  readonly startedMs: number
  readonly world: World
}

async function assemble(config: Config, { telemetry, stores, audit, startedMs, world }: Opened): Promise<Gateway> {
  const { nowMs, nowSeconds, random, schedule } = world
  const revocation = createRevocation(
    { ...world, monotonicMs, log: stores.log, lookup: stores.log, copy: stores.copy, events: telemetry.events.revocation },
    config.revocation,
  )
  const silent = enforced(audited(stores.sessions, audit.record), revocation.synced)
  const legacy = createLegacyService(
    { sessions: silent, verify: (token) => authenticator.verify(token), isRevoked: revocation.lists, telemetry, world },
    config,
  )
  const sessions = legacy.announced(silent)
  const told = { record: audit.record, reachable: (state: 'up' | 'down', cause?: unknown) => noteKeys(telemetry, state, cause) }
  const tenants = await openKeys(config, { keys: stores.keys, sessions }, told, world)
  const authenticator = createAuthenticator(
    {
      fetch: globalThis.fetch,
      nowMs,
      monotonicMs,
      random,
      schedule,
      readFile: (path) => readFile(path, 'utf8'),
      ownKeys: tenants.publicKeys,
      reloadOwnKeys: tenants.reload,
      events: telemetry.events.authenticator,
    },
    config,
  )
  const publish = (tenant: string): void => {
    stores.publish(`tenant:${tenant}`, tenants.jwks(tenant)).catch((cause: unknown) => noteUnpublished(telemetry, cause))
  }
  for (const tenant of config.tenants.keys()) publish(tenant)
  tenants.onKeysChanged((tenant) => {
    authenticator.keysChanged(tenant)
    publish(tenant)
  })
  // Before a gateway that starts now makes sets of its own where Redis has lost them.
  stores.onReturn(() => void tenants.reload())
  // A key that was revoked elsewhere is refused already; here it leaves the published set and the verifiers too.
  revocation.onRevoked((one) => void (one.kind === 'key' && tenants.reload(one.tenant)))
  const breached = await openBreachedFile(config.accounts)
  const usernames = await openUsernames({ stores, telemetry, record: audit.record, world }, config)
  const { services, users, graphql } = openBuiltIns(
    {
      stores: { ...stores, sessions },
      usernames,
      tenants,
      authenticator,
      revocation,
      telemetry,
      record: audit.record,
      expired: expiries(audit.record),
      startedMs,
      world,
      tokenEnded: legacy.tokenEnded,
      breached,
    },
    config,
  )
  const router = createRouter(config.routes, endpointsOf)
  const live = openLive({ revocation, sessions, telemetry, world })
  const upstreams = createUpstreams(
    {
      monotonicMs,
      schedule,
      stallMs: config.listeners.public.timeouts.requestMs,
      live,
      answered: telemetry.events.upstream.answered,
      moved: createLitterCount(),
    },
    config.upstreams.values(),
  )
  const identity = createIdentity(
    { signPassport: tenants.passport.sign, tokenId: randomUUID, nowSeconds, origin: config.listeners.public.origin },
    config.identity,
  )
  const arrivals = createArrivals({ requestId: randomUUID, monotonicMs }, config.listeners.public)
  const pipeline = createPipeline({
    listener: { read: arrivals.read, refuse, refuseSocket, discardRest },
    router,
    authenticator,
    revocation,
    policy: createPolicy(tenantOfHost(config), () => nowMs() / 1000),
    replay: createReplay(stores.used, () => nowMs() / 1000),
    targets: createTargets({ identity, upstreams, services }),
    telemetry,
  })
  const listener = createListener(
    {
      handle: pipeline.handle,
      upgrade: pipeline.upgrade,
      malformed: (problem, peer) => noteMalformed(telemetry, { id: randomUUID(), peer, startedMs: monotonicMs() }, problem),
      schedule,
    },
    config.listeners.public,
  )
  const admin = createAdmin(
    {
      readiness,
      failed: (cause) => telemetry.log.error('the admin listener failed', { cause }),
      scrape: telemetry.scrape,
      routes: () => describeRoutes(router.routes),
      config: () => describeConfig(config),
      isUnconfirmed: () => stores.unconfirmed() > 0,
      tenants: createTenantCalls({ tenants, users, sessions, record: audit.record, world }, config),
      graphql: { sdl: SDL, ask: graphql.ask },
      usernames: usernames.analytics,
      openApi: () => openApiDocument(router.routes, config.listeners.public.origin),
    },
    config.listeners.admin,
  )
  telemetry.observe({
    ...(stores.redis() === 'embedded' ? {} : { redisUp: () => stores.redis() === 'up', redisUnconfirmed: stores.unconfirmed }),
    ...(stores.database() === 'embedded' ? {} : { databaseUp: () => stores.database() === 'up' }),
    connections: listener.connections,
    liveConnections: live.count,
    revocationEntries: revocation.entries,
    revocationStalenessMs: revocation.stalenessMs,
    jwksAgesSeconds: () => authenticator.jwksAgeSeconds().map(({ issuer, seconds }) => [issuer, seconds] as const),
  })
  let isStarted = false
  return { listen, routes: router.routes, close, cut: listener.cut, log: telemetry.log }

  function readiness() {
    const facts = {
      revocation_staleness_seconds: revocation.stalenessMs() / 1000,
      uptime_seconds: (monotonicMs() - startedMs) / 1000,
    }
    if (listener.isDraining()) return { status: 'draining', ...facts } as const
    if (!isStarted || !revocation.isReady()) return { status: 'starting', ...facts } as const
    const stale = revocation.stalenessMs() > config.revocation.maxStalenessMs
    return { status: stale ? 'degraded' : 'ready', ...facts } as const
  }

  async function listen(): Promise<{ readonly public: Address; readonly admin: Address }> {
    const adminAddress = await admin.listen()
    await Promise.all([authenticator.start(), revocation.start(), usernames.start()])
    if (listener.isDraining()) throw new Error('the gateway was closed before it was ready')
    tenants.start()
    await legacy.start()
    tidyUp()
    const { port } = await listener.listen()
    isStarted = true
    return { public: { host: config.listeners.public.host, port }, admin: adminAddress }
  }

  async function close(): Promise<number> {
    const cutAnswers = await listener.drain(upstreams.endTunnels)
    usernames.stop()
    legacy.stop()
    tenants.stop()
    authenticator.stop()
    await revocation.stop()
    live.stop()
    await Promise.all([upstreams.close(), admin.close()])
    audit.close()
    await stores.close()
    telemetry.stop()
    return cutAnswers
  }
}

/** Every route of a configuration as it would be enforced. */
export function routesOf(config: Config): readonly Route[] {
  return createRouter(config.routes, endpointsOf).routes
}

export type { EndpointCaller } from './services/services.ts'

/** Who proves itself to the endpoint that a route leads to; undefined where its `auth` says all there is to it. */
export function callerOf({ target }: Route): EndpointCaller | undefined {
  if (target.kind !== 'service') return undefined
  return endpointsOf(target.service).find((endpoint) => endpoint.name === target.endpoint)?.caller
}

/** What the router has against a configuration. */
export function findRouteFaultsOf(config: Config): readonly RouteFault[] {
  return findRouteFaults(config.routes, endpointsOf)
}

function tenantOfHost(config: Config): ReadonlyMap<string, string> {
  const tenants = new Map<string, string>()
  for (const tenant of config.tenants.values()) for (const host of tenant.hosts) tenants.set(host, tenant.id)
  return tenants
}
