/**
 * Makes what a configuration says: routes, issuers, policy, identity, services, upstreams, and the path through them.
 *
 * A gateway has one arrangement in force and puts another in its place when the file changes; requests that are under way stay
 * with the one that they began with. What must outlast that, storage and counts above all, belongs into `foundation.ts`; a
 * room that keeps something of worth for a part of the file that did not change takes it over from the arrangement before.
 * Opening one changes nothing for the one in force, and one that was opened and is not wanted can be closed without a trace.
 *
 * @module
 */
import { randomFillSync, randomUUID } from 'node:crypto'
import { createAuthenticator } from './authenticator/authenticator.ts'
import type { Authenticator, AuthenticatorEvents, AuthenticatorNeeds } from './authenticator/authenticator.ts'
import { openBreachedFile } from './breached-file.ts'
import { expiries } from './audited.ts'
import { openBuiltIns, type BuiltIns } from './built-ins.ts'
import { isSame, type Config } from './config/config.ts'
import { createCors } from './cors/cors.ts'
import { OWN_ISSUER, type Arrived, type Identified } from './exchange/exchange.ts'
import { createExplain, type Explanation, type ExplainRooms, type Question } from './explain.ts'
import type { Foundation, InForce } from './foundation.ts'
import { createGeography } from './geography/geography.ts'
import { createIdentity, type Identity } from './identity/identity.ts'
import { createArrivals, createRequestIds, discardRest, refuse, refuseSocket } from './listener/listener.ts'
import { createPipeline, type Pipeline } from './pipeline.ts'
import { createPolicy } from './policy/policy.ts'
import { createNetworks } from './networks/networks.ts'
import { createReplay, type Replay } from './replay/replay.ts'
import { createRouter, type Router } from './router/router.ts'
import { endpointsOf } from './services/services.ts'
import type { Usernames } from './services/usernames/usernames.ts'
import { createSplit } from './split/split.ts'
import { createTargets } from './targets.ts'
import { createUpstreams, systemNames, type Upstreams } from './upstream/upstream.ts'
import type { RequestRecord, Telemetry } from './telemetry/telemetry.ts'
import { openTracing, traced, type Tracing } from './tracing.ts'
import { openUsernames } from './usernames.ts'
import { endOfTurn, monotonicMs } from './world.ts'

export interface Arrangement extends InForce {
  readonly config: Config
  readonly router: Router
  readonly pipeline: Pipeline
  /** What would become of a request, and why. */
  explain(question: Question): Promise<Explanation>
  readonly authenticator: Authenticator
  readonly upstreams: Upstreams
  readonly usernames: Usernames
  readonly builtIns: BuiltIns
  readonly identity: Identity
  /** Absent where no traces are kept. */
  readonly tracing: Tracing | undefined
  /** Loads what the first request needs. Rejects when a file that the configuration names cannot be used. */
  start(): Promise<void>
  /** It is in force from here on. */
  enter(): void
  /** `next` is in force: fetches no more for itself. */
  leave(next: Arrangement): void
  /** Resolves when all that began with this one is over. */
  empty(): Promise<void>
  /** Closes it at once, but for what `others` go on with. */
  close(others?: readonly Arrangement[]): Promise<void>
}

/**
 * @param before The arrangement in force: what both configurations say alike goes over.
 * @throws Error when what the configuration names cannot be opened; nothing is left open then
 */
export async function arrange(foundation: Foundation, config: Config, before?: Arrangement): Promise<Arrangement> {
  const { world, telemetry, stores } = foundation
  const breached = await openBreachedFile(config.accounts)
  const tracing = await openTracing(foundation, config, before?.tracing)
  const geography = createGeography(config)
  const borders = geography.isOpen ? undefined : geography
  const usernames = await namesOf(foundation, config, before)
  const authenticator = openAuthenticator(foundation, config, before?.authenticator)
  const builtIns = openBuiltIns(
    {
      ...foundation,
      stores: { ...stores, sessions: foundation.sessions },
      usernames,
      authenticator,
      geography,
      expired: expiries(foundation.record),
      breached,
    },
    config,
  )
  const router = createRouter(config.routes, endpointsOf)
  const cors = createCors()
  const upstreams = openUpstreams(foundation, config, before)
  const identity = identityOf(foundation, config, before)
  const split = createSplit(router.routes)
  const arrivals = createArrivals(
    { requestId: createRequestIds(randomFillSync), monotonicMs, doubtful: foundation.doubtful },
    config.listeners.public,
  )
  const occupancy = createOccupancy(telemetry)
  const rooms = {
    listener: { read: arrivals.read, refuse, refuseSocket, discardRest },
    router,
    cors,
    networks: createNetworks(router.routes, geography),
    authenticator,
    revocation: foundation.revocation,
    policy: createPolicy(tenantOfHost(config), () => world.nowMs() / 1000, borders),
    quota: foundation.quota,
    replay: createReplay(stores.used, () => world.nowMs() / 1000),
    targets: createTargets({ cors, split, identity, upstreams, services: builtIns.services }),
    overload: foundation.overload,
    telemetry: occupancy,
  }
  // What is made here outlives the arrangement before, and must not hold it.
  const areNewNames = usernames !== before?.usernames
  const pipeline = createPipeline(traced(rooms, tracing))
  const explain = explainBy(foundation, config, { ...rooms, split, countryOf: geography.countryOf })
  const made = { config, router, pipeline, explain, authenticator, upstreams, usernames, builtIns, identity, tracing }
  return { ...made, knows, start, enter: authenticator.enter, leave, empty: occupancy.empty, close }

  function knows({ issuer, tenant }: Identified): boolean {
    return issuer === OWN_ISSUER ? config.tenants.has(tenant) : config.issuers.get(issuer)?.tenant === tenant
  }

  async function start(): Promise<void> {
    await Promise.all([authenticator.start(), areNewNames ? usernames.start() : undefined, upstreams.start()])
  }

  function leave(next: Arrangement): void {
    // Requests that are under way have been told who asks.
    authenticator.stop([next.authenticator])
  }

  async function close(others: readonly Arrangement[] = []): Promise<void> {
    if (!others.some((other) => other.usernames === usernames)) usernames.stop()
    authenticator.stop(others.map((other) => other.authenticator))
    await upstreams.close(others.map((other) => other.upstreams))
    if (!others.some((other) => other.tracing === tracing)) await tracing?.traces.close()
  }
}

/** The rooms themselves, but for what a question must not spend. */
function explainBy(
  foundation: Foundation,
  config: Config,
  rooms: ExplainRooms & { readonly authenticator: Authenticator; readonly replay: Replay },
): (question: Question) => Promise<Explanation> {
  const { overload, quota } = foundation
  const gate = { place: overload.place, enter: () => undefined, claim: () => undefined, leave: () => undefined }
  const spared = { ...rooms, overload: gate, quota: quota.preview, replay: rooms.replay.preview }
  // Keys and verified tokens are those of the one that requests go through; nothing is counted.
  return (question) =>
    createExplain({ ...spared, authenticator: openAuthenticator(foundation, config, rooms.authenticator, { events: UNHEARD }) })(
      question,
    )
}

const UNHEARD: AuthenticatorEvents = {
  decided: () => undefined,
  cache: () => undefined,
  validated: () => undefined,
  validationSeconds: () => undefined,
  jwksFetched: () => undefined,
  keyDropped: () => undefined,
}

/** Filters of names take long to load. */
async function namesOf(foundation: Foundation, config: Config, before: Arrangement | undefined): Promise<Usernames> {
  const { stores, telemetry, quota, record, world } = foundation
  const isSaid = before !== undefined && isSame(namesIn(before.config), namesIn(config))
  return isSaid ? before.usernames : openUsernames({ stores, telemetry, counts: quota, record, world }, config)
}

function namesIn({ tenants, usernames }: Config) {
  return { tenants, usernames }
}

/** Its passports are good for a while. */
function identityOf({ tenants, world }: Foundation, config: Config, before: Arrangement | undefined): Identity {
  const { origin } = config.listeners.public
  const bare = withoutPassport(config)
  const isSaid =
    before !== undefined && isSame(before.config.identity, config.identity) && isSame(withoutPassport(before.config), bare)
  if (isSaid && before.config.listeners.public.origin === origin) return before.identity
  const { nowSeconds } = world
  const needs = { signPassport: tenants.passport.sign, tokenId: randomUUID, nowSeconds, origin }
  return createIdentity(needs, config.identity, new Set(bare))
}

/** Names of upstreams. */
function withoutPassport({ upstreams }: Config): readonly string[] {
  return [...upstreams.values()].filter(({ passport }) => passport === false).map(({ name }) => name)
}

interface Occupancy extends Pick<Telemetry, 'open' | 'close'> {
  /** Resolves when nothing that was opened here is left. */
  empty(): Promise<void>
}

/** Knows whether anything is under way, by the records that everything has. */
function createOccupancy(telemetry: Telemetry): Occupancy {
  let count = 0
  let emptied: (() => void) | undefined
  return { open, close, empty }

  function open(arrived: Arrived): RequestRecord {
    count += 1
    return telemetry.open(arrived)
  }

  function close(record: RequestRecord): void {
    telemetry.close(record)
    count -= 1
    if (count === 0) emptied?.()
  }

  async function empty(): Promise<void> {
    if (count === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    emptied = resolve
    await promise
  }
}

function openAuthenticator(
  { world, tenants, telemetry, keySources, overload }: Foundation,
  config: Config,
  before: Authenticator | undefined,
  told: Pick<AuthenticatorNeeds, 'events' | 'effort'> = { events: telemetry.events.authenticator, effort: overload.effort },
): Authenticator {
  const { nowMs, random, schedule } = world
  return createAuthenticator(
    { ...keySources, nowMs, monotonicMs, random, schedule, ownKeys: tenants.publicKeys, ...told },
    config,
    before,
  )
}

function openUpstreams(foundation: Foundation, config: Config, before: Arrangement | undefined): Upstreams {
  const { world, live, telemetry, moved } = foundation
  return createUpstreams(
    {
      monotonicMs,
      random: world.random,
      schedule: world.schedule,
      endOfTurn,
      names: systemNames(),
      stallMs: config.listeners.public.timeouts.requestMs,
      live,
      answered: telemetry.events.upstream.answered,
      events: telemetry.events.upstream,
      moved,
    },
    config.upstreams.values(),
    before?.upstreams,
  )
}

function tenantOfHost(config: Config): ReadonlyMap<string, string> {
  const tenants = new Map<string, string>()
  for (const tenant of config.tenants.values()) for (const host of tenant.hosts) tenants.set(host, tenant.id)
  return tenants
}
