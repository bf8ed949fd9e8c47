/**
 * The gateway as a whole: its two listeners, what lasts, and the arrangement that is in force.
 *
 * What lasts as long as the process is opened in `foundation.ts`, what a configuration makes in `arrangement.ts`; here they are
 * joined to the sockets, and one arrangement is put in the place of another.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { ReloadReport } from './admin/admin.ts'
import { arrange, type Arrangement } from './arrangement.ts'
import { listenerOfProcess, type Config } from './config/config.ts'
import type { Route } from './exchange/exchange.ts'
import type { Explanation, Question } from './explain.ts'
import { openFoundation, type Foundation } from './foundation.ts'
import { createListener, type Listener } from './listener/listener.ts'
import { noteCertificates, noteMalformed } from './notes.ts'
import type { Membership } from './member.ts'
import { openAdmin, openConsole } from './operators.ts'
import { createRouter, findRouteFaults, findRouteWarnings, type RouteFault } from './router/router.ts'
import { endpointsOf, type EndpointCaller } from './services/services.ts'
import { createSuccession, type Succession } from './succession.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import { createTidiness } from './tidiness.ts'
import { heapBytes, heldBytes, monotonicMs, schedule, tidyUp, WORLD, type World } from './world.ts'

export interface GatewayNeeds {
  /** Takes whole log lines. */
  write(lines: string): void
  /** Default: that of this machine. */
  readonly world?: World
  /** Reads the configuration again, where an operator asks for it; resolves with what came of it. Absent: nobody can ask. */
  reload?(): Promise<ReloadReport>
  /** What this process takes from the primary where it is one of several. */
  readonly member?: Membership
}

export interface Gateway {
  /** Starts to answer. Resolves when the gateway is ready; rejects when it is closed before that. */
  listen(): Promise<{ readonly public: Address; readonly admin: Address }>
  /** Every route as it is enforced. */
  readonly routes: readonly Route[]
  /** The configuration in force. */
  readonly config: Config
  /**
   * Puts another configuration in force, while requests go on: from one to the next everything is as it says. What is under way
   * ends as it began. {@link restartRemarks} says what a running gateway cannot take on; of that, nothing changes.
   *
   * @throws Error that says why it is not in force; nothing has changed then
   */
  reload(config: Config): Promise<void>
  /** What would become of a request, and why; nothing is spent for it. */
  explain(question: Question): Promise<Explanation>
  /** Notes that there is a new configuration and it is none that could be tried. */
  reloadFailed(): void
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

/** Counts the clients: the sockets are opened after what wants to know it. */
interface Clients {
  connections: () => number
}

/** @throws Error when storage, keys or key files cannot be opened; nothing is left open then */
export async function openGateway(config: Config, needs: GatewayNeeds): Promise<Gateway> {
  let succession: Succession | undefined
  const clients: Clients = { connections: () => 0 }
  const world = needs.world ?? WORLD
  const { member } = needs
  const foundation = await openFoundation(config, {
    write: needs.write,
    world,
    inForce: () => succession?.current(),
    connections: () => clients.connections(),
    ...(member !== undefined && { member }),
  })
  try {
    succession = createSuccession(foundation, await arrange(foundation, config))
    return assemble(foundation, succession, clients, needs)
  } catch (error) {
    await foundation.close()
    throw error
  }
}

function assemble(
  foundation: Foundation,
  succession: Succession,
  clients: Clients,
  { member, reload: ask }: GatewayNeeds,
): Gateway {
  const { telemetry, revocation, world } = foundation
  const inForce = succession.current
  const { listeners } = inForce().config
  let requests = 0
  const listener = createListener(
    {
      handle(req, res) {
        requests += 1
        return inForce().pipeline.handle(req, res)
      },
      upgrade: (req, socket, head) => inForce().pipeline.upgrade(req, socket, head),
      malformed: (problem, peer) => noteMalformed(telemetry, { id: randomUUID(), peer, startedMs: monotonicMs() }, problem),
      turnedAway: telemetry.events.overload.turnedAway,
      ...telemetry.events.listener,
      nowMs: world.nowMs,
      schedule: world.schedule,
      readFile: foundation.keySources.readFile,
      certificatesRead: (result, cause) => noteCertificates(telemetry, result, cause),
    },
    listenerOfProcess(inForce().config),
  )
  clients.connections = listener.connections
  const underWay = foundation.overload.inFlight
  // Not the timers of the world, whose time may pass at another pace.
  const tidiness = createTidiness({
    schedule,
    requests: () => requests,
    underWay,
    connections: listener.connections,
    heapBytes,
    heldBytes,
    tidyUp,
  })
  let isStarted = false
  let lastReload: 'ok' | 'failed' | undefined
  let closing: Promise<number> | undefined
  // Of several processes the primary has it.
  const watch = member === undefined ? openConsole(foundation, inForce, readiness) : undefined
  const shown = watch === undefined ? {} : { console: watch.answer }
  const own = openAdmin(foundation, inForce, { readiness, ...shown, ...(ask !== undefined && { reload: ask }) })
  const admin = member?.admin(own.answer, (cause) => telemetry.log.error('a question of an operator failed', { cause })) ?? own
  member?.observed(telemetry)
  if (member === undefined) telemetry.observe({ workers: () => 1 })
  observe(foundation, inForce, listener)
  return {
    listen,
    get routes() {
      return inForce().router.routes
    },
    get config() {
      return inForce().config
    },
    reload,
    explain: (question) => inForce().explain(question),
    reloadFailed,
    close,
    cut: listener.cut,
    log: telemetry.log,
  }

  function readiness() {
    const facts = {
      revocation_staleness_seconds: revocation.stalenessMs() / 1000,
      uptime_seconds: (monotonicMs() - foundation.startedMs) / 1000,
      overloaded: foundation.overload.isOverloaded(),
      config_version: inForce().config.version,
      ...(lastReload !== undefined && { last_reload: lastReload }),
    }
    if (listener.isDraining()) return { status: 'draining', ...facts } as const
    if (!isStarted || !revocation.isReady()) return { status: 'starting', ...facts } as const
    const stale = revocation.stalenessMs() > inForce().config.revocation.maxStalenessMs
    return { status: stale || facts.overloaded ? 'degraded' : 'ready', ...facts } as const
  }

  async function listen(): Promise<{ readonly public: Address; readonly admin: Address }> {
    const adminAddress = await admin.listen()
    await Promise.all([inForce().start(), foundation.load()])
    if (listener.isDraining()) throw new Error('the gateway was closed before it was ready')
    await foundation.start()
    const { port } = await listener.listen()
    tidiness.start()
    isStarted = true
    return { public: { host: listeners.public.host, port }, admin: adminAddress }
  }

  async function reload(config: Config): Promise<void> {
    if (!isStarted || listener.isDraining()) throw new Error('the gateway is not running')
    try {
      await succession.replace(config, (next) => listener.use(listenerOfProcess(next.config)))
    } catch (error) {
      reloadFailed()
      throw error
    }
    noteReload('ok')
  }

  function reloadFailed(): void {
    noteReload('failed')
  }

  function close(): Promise<number> {
    closing ??= shut()
    return closing
  }

  function noteReload(outcome: 'ok' | 'failed'): void {
    lastReload = outcome
    // Of several processes the primary counts.
    if (member === undefined) telemetry.reloaded(outcome)
  }

  async function shut(): Promise<number> {
    tidiness.stop()
    const cutAnswers = await listener.drain(succession.endTunnels)
    await Promise.all([succession.close(), admin.close()])
    watch?.stop()
    await foundation.close()
    return cutAnswers
  }
}

function observe(
  { telemetry, stores, live, overload, revocation, tenants }: Foundation,
  inForce: () => Arrangement,
  listener: Listener,
): void {
  telemetry.observe({
    ...(stores.redis() === 'embedded' ? {} : { redisUp: () => stores.redis() === 'up', redisUnconfirmed: stores.unconfirmed }),
    ...(stores.database() === 'embedded' ? {} : { databaseUp: () => stores.database() === 'up' }),
    connections: listener.connections,
    certificates: listener.certificates,
    liveConnections: live.count,
    requestsInFlight: overload.inFlight,
    shedShare: overload.share,
    revocationEntries: revocation.entries,
    revocationStalenessMs: revocation.stalenessMs,
    revocationMaxStalenessMs: () => inForce().config.revocation.maxStalenessMs,
    keyRotationsDue: tenants.rotationsDue,
    jwksAgesSeconds: () =>
      inForce()
        .authenticator.jwksAgeSeconds()
        .map(({ issuer, seconds }) => [issuer, seconds] as const),
    usernameFilterAgeMs: () => inForce().usernames.filterAgeMs(),
    usernameFilterNames: () => inForce().usernames.filterNames(),
    upstreamTargets: () => inForce().upstreams.targets(),
  })
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

/** What it finds odd about one that has no faults. */
export function findRouteWarningsOf(config: Config): readonly RouteFault[] {
  return findRouteWarnings(config.routes, endpointsOf)
}
