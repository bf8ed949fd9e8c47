/**
 * Opens every room and hands each what it needs: the wiring, and nothing else.
 *
 * @module
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { createAdmin } from './admin/admin.ts'
import { createAuthenticator } from './authenticator/authenticator.ts'
import { describeConfig, describeRoutes, type Config } from './config/config.ts'
import type { Identified, Route } from './exchange/exchange.ts'
import { createIdentity } from './identity/identity.ts'
import { createArrivals, createListener, discardRest, refuse, refuseSocket, unreadable } from './listener/listener.ts'
import { createPipeline } from './pipeline.ts'
import { createPolicy } from './policy/policy.ts'
import type { Problem } from './problem/problem.ts'
import { createRevocation, type RevocationRoom } from './revocation/revocation.ts'
import { createRouter, findRouteFaults, type RouteFault } from './router/router.ts'
import { argon2id, createAccounts, createPasswords } from './services/accounts/accounts.ts'
import { createDiscovery } from './services/discovery/discovery.ts'
import { createEcho } from './services/echo/echo.ts'
import { createHealth } from './services/health/health.ts'
import { createServices, endpointsOf, type Services } from './services/services.ts'
import { createSessions, type Sessions } from './services/sessions/sessions.ts'
import { openEmbedded, openMasterKey, type Embedded } from './storage/embedded/embedded.ts'
import { createTargets } from './targets.ts'
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts'
import { openTenants, type Tenants } from './tenants/tenants.ts'
import { createUpstreams } from './upstream/upstream.ts'
import { createLitterCount, monotonicMs, nowMs, nowSeconds, random, schedule } from './world.ts'

export interface GatewayNeeds {
  /** Takes whole log lines. */
  write(lines: string): void
}

export interface Gateway {
  /** Starts to answer. Resolves when the gateway is ready. */
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
  const telemetry = createTelemetry({ write: needs.write, nowMs, monotonicMs, random, schedule }, config)
  const masterKey = config.masterKey ?? openMasterKey(config.storage.directory)
  const storage = await openEmbedded({ nowSeconds }, config.storage)
  const tenants = await openTenants({ store: storage.keys, masterKey, nowSeconds }, config.tenants).catch((error: unknown) => {
    storage.close()
    throw error
  })
  const revocation = createRevocation(
    { log: storage.log, lookup: storage.log, nowMs, monotonicMs, random, schedule, events: telemetry.events.revocation },
    config.revocation,
  )
  const authenticator = createAuthenticator(
    {
      fetch: globalThis.fetch,
      nowMs,
      monotonicMs,
      random,
      schedule,
      readFile: (path) => readFile(path, 'utf8'),
      ownKeys: tenants.publicKeys,
      events: telemetry.events.authenticator,
    },
    config,
  )
  const services = openServices(config, { tenants, storage, revocation, telemetry, startedMs })
  const router = createRouter(config.routes, endpointsOf)
  const upstreams = createUpstreams(
    {
      monotonicMs,
      schedule,
      stallMs: config.listeners.public.timeouts.requestMs,
      watch: (principal, end) => watch(principal, end, revocation),
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
    targets: createTargets({ identity, upstreams, services }),
    telemetry,
  })
  const listener = createListener(
    {
      handle: pipeline.handle,
      upgrade: pipeline.upgrade,
      malformed: (problem, peer) => noteMalformed(telemetry, problem, peer),
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
    },
    config.listeners.admin,
  )
  telemetry.observe({
    connections: listener.connections,
    revocationEntries: revocation.entries,
    revocationStalenessMs: revocation.stalenessMs,
    jwksAgesSeconds: () => authenticator.jwksAgeSeconds().map(({ issuer, seconds }) => [issuer, seconds] as const),
  })
  return { listen, routes: router.routes, close, cut: listener.cut, log: telemetry.log }

  function readiness() {
    const facts = {
      revocation_staleness_seconds: revocation.stalenessMs() / 1000,
      uptime_seconds: (monotonicMs() - startedMs) / 1000,
    }
    if (listener.isDraining()) return { status: 'draining', ...facts } as const
    if (!revocation.isReady()) return { status: 'starting', ...facts } as const
    const stale = revocation.stalenessMs() > config.revocation.maxStalenessMs
    return { status: stale ? 'degraded' : 'ready', ...facts } as const
  }

  async function listen(): Promise<{ readonly public: Address; readonly admin: Address }> {
    const adminAddress = await admin.listen()
    await Promise.all([authenticator.start(), revocation.start()])
    const { port } = await listener.listen()
    return { public: { host: config.listeners.public.host, port }, admin: adminAddress }
  }

  async function close(): Promise<number> {
    const cutAnswers = await listener.drain(upstreams.endTunnels)
    authenticator.stop()
    revocation.stop()
    await Promise.all([upstreams.close(), admin.close()])
    storage.close()
    telemetry.stop()
    return cutAnswers
  }
}

/** Every route of a configuration as it would be enforced. */
export function routesOf(config: Config): readonly Route[] {
  return createRouter(config.routes, endpointsOf).routes
}

/** What the router has against a configuration. */
export function findRouteFaultsOf(config: Config): readonly RouteFault[] {
  return findRouteFaults(config.routes, endpointsOf)
}

interface ServiceParts {
  readonly tenants: Tenants
  readonly storage: Embedded
  readonly revocation: RevocationRoom
  readonly telemetry: Telemetry
  readonly startedMs: number
}

function openServices(config: Config, parts: ServiceParts): Services {
  const { tenants, storage, revocation, telemetry, startedMs } = parts
  const sessions = createSessions(
    { store: storage.sessions, tokens: tenants, nowSeconds, randomBytes, count: telemetry.events.sessions.event },
    config,
  )
  return createServices([
    createAccounts(
      {
        accounts: storage.accounts,
        sessions: endedEverywhere(sessions, revocation),
        passwords: createPasswords({ derive: argon2id, randomBytes, cores: availableParallelism() }),
        nowSeconds,
        nowMs: monotonicMs,
        randomBytes,
      },
      config,
    ),
    createDiscovery(
      { jwks: tenants.jwks, passportJwk: tenants.passport.publicJwk },
      { ...config, origin: config.listeners.public.origin },
    ),
    createHealth({
      uptimeSeconds: () => (monotonicMs() - startedMs) / 1000,
      isDegraded: () => revocation.stalenessMs() > config.revocation.maxStalenessMs,
    }),
    createEcho(),
  ])
}

/** An ending is answered when it is in force here: the next request with the token is refused. */
function endedEverywhere(sessions: Sessions, revocation: RevocationRoom): Sessions {
  return {
    create: sessions.create,
    async end(principal, reason) {
      await sessions.end(principal, reason)
      await revocation.synced()
    },
    async endAll(principal, reason) {
      const count = await sessions.endAll(principal, reason)
      await revocation.synced()
      return count
    },
  }
}

/** Calls `end` once the token is over: expired, or revoked. */
function watch(principal: Identified, end: () => void, revocation: RevocationRoom): () => void {
  const leftMs = (principal.expiresAt + principal.skewSeconds) * 1000 - nowMs()
  const cancel = schedule(leftMs, end)
  const forget = revocation.onRevoked((one) => {
    if (revocation.covers(one, principal)) end()
  })
  return function stop() {
    cancel()
    forget()
  }
}

function tenantOfHost(config: Config): ReadonlyMap<string, string> {
  const tenants = new Map<string, string>()
  for (const tenant of config.tenants.values()) for (const host of tenant.hosts) tenants.set(host, tenant.id)
  return tenants
}

/** What could not be read as a request ends like one: with a record and an id. */
function noteMalformed(telemetry: Telemetry, problem: Problem, peer: string): string {
  const record = telemetry.open(unreadable({ id: randomUUID(), peer, startedMs: monotonicMs() }))
  record.problem = problem
  record.status = problem.status
  telemetry.close(record)
  return record.exchange.id
}
