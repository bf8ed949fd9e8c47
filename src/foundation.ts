/**
 * Opens what lasts as long as the process, whichever configuration is in force: storage, the record, telemetry, the
 * revocations, the signing keys, what is held open by tokens, and the counts of throttles.
 *
 * What a change of the file must not lose belongs here; what a configuration makes belongs into `arrangement.ts`. Nothing of an
 * arrangement is kept here: what has to be asked of the one in force is asked through {@link InForce}, at the time.
 *
 * @module
 */
import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { audited } from './audited.ts'
import { listenerOfProcess, type Config, type PublicListenerConfig } from './config/config.ts'
import type { Connection, Identified } from './exchange/exchange.ts'
import { createLegacyService, type LegacyService } from './legacy-service.ts'
import type { Live } from './live/live.ts'
import type { Membership } from './member.ts'
import { openClientFailures, readersOf } from './neighbours.ts'
import { noteAudit, noteCopy, noteKeys, noteUnpublished } from './notes.ts'
import { createOverload, type Overload } from './overload/overload.ts'
import { createQuota, type Quota, type SharedCounts } from './quota/quota.ts'
import { createRevocation, type RevocationRoom } from './revocation/revocation.ts'
import {
  argon2id,
  createFleetThrottle,
  createLoginThrottle,
  createPasswords,
  type LoginThrottle,
  type Passwords,
} from './services/accounts/accounts.ts'
import type { Failures } from './services/clients/clients.ts'
import type { SessionStore } from './services/sessions/sessions.ts'
import { openAudit, type AuditRecord } from './storage/audit/audit.ts'
import { enforced, openStores, type Stores } from './stores.ts'
import { createTelemetry, type Telemetry } from './telemetry/telemetry.ts'
import { createTenantRecords, type TenantRecords, type Tenants } from './tenants/tenants.ts'
import { openKeys } from './upkeep.ts'
import { openLive } from './what-lasts.ts'
import { createLitterCount, endOfTurn, memoryShare, monotonicMs, schedule as scheduleHere, type World } from './world.ts'

/** What is asked of the arrangement that is in force at the time. */
export interface InForce {
  readonly config: Config
  readonly authenticator: {
    verify(token: string): Identified | Promise<Identified>
    /** The keys of a tenant of the gateway are others now. */
    keysChanged(tenant: string): void
  }
  /** Whether the tokens of the issuer of this one are still taken. */
  knows(principal: Identified): boolean
}

export interface FoundationNeeds {
  /** Takes whole log lines. */
  write(lines: string): void
  readonly world: World
  /** Undefined before there is one. */
  inForce(): InForce | undefined
  /** Open connections of clients. */
  connections(): number
  /** What this process takes from the primary where it is one of several. */
  readonly member?: Membership
}

export interface Foundation {
  /** Reading of the monotonic clock when the gateway began to open. */
  readonly startedMs: number
  readonly world: World
  readonly telemetry: Telemetry
  /** Tells this process from others in traces. */
  readonly identity: Readonly<Record<string, string>>
  readonly stores: Stores
  /** The sessions of the stores: what ends is recorded, in force when it is answered, and told to whoever must hear of it. */
  readonly sessions: SessionStore
  readonly record: AuditRecord['record']
  readonly revocation: RevocationRoom
  readonly tenants: Tenants
  readonly tenantRecords: TenantRecords
  readonly live: Live
  readonly overload: Overload
  readonly tokenEnded: LegacyService['tokenEnded']
  readonly passwords: Passwords
  readonly loginThrottle: LoginThrottle
  readonly clientFailures: Failures
  readonly quota: Quota
  /** What key rings of issuers need: they go over from one arrangement to the next. */
  readonly keySources: KeySources
  /** Connections on which something ambiguous came. */
  readonly doubtful: WeakSet<Connection>
  /** So many octets of a body were passed on, either way. */
  moved(octets: number): void
  /** Loads the revocations. */
  load(): Promise<void>
  /** Begins what goes on by itself. */
  start(): Promise<void>
  /** Another configuration is in force. */
  use(config: Config): void
  close(): Promise<void>
}

export interface KeySources {
  readonly fetch: typeof globalThis.fetch
  readFile(path: string): Promise<string>
  reloadOwnKeys(tenant: string): Promise<void>
}

/** @throws Error when storage or keys cannot be opened; nothing is left open then */
export async function openFoundation(config: Config, needs: FoundationNeeds): Promise<Foundation> {
  const startedMs = monotonicMs()
  const { nowMs, nowSeconds, random, schedule } = needs.world
  const telemetry = createTelemetry(
    {
      write: needs.write,
      nowMs,
      monotonicMs,
      random,
      schedule,
      ...(needs.member !== undefined && { worker: needs.member.worker }),
    },
    config,
  )
  const stores = await openStores(
    {
      ...telemetry.events.redis,
      ...telemetry.events.database,
      nowSeconds,
      copyKept: (state, cause) => noteCopy(telemetry, state, cause),
      // One copy is enough for all that share the directory.
      copyReadsOnly: (needs.member?.worker ?? 1) > 1,
      up: (isUp) => telemetry.log.warn(isUp ? 'Redis is there again' : 'Redis is away'),
      ...(needs.member !== undefined && { neighbours: readersOf(needs.member) }),
    },
    config.storage,
  )
  try {
    telemetry.observe({ auditUp: () => true })
    const audit = openAudit({ nowMs, schedule, writable: (state, cause) => noteAudit(telemetry, state, cause) }, config.storage)
    try {
      return await found(config, { telemetry, stores, audit, startedMs }, needs)
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
}

async function found(
  config: Config,
  opened: Opened,
  { world, inForce, connections, member }: FoundationNeeds,
): Promise<Foundation> {
  const { telemetry, stores, audit, startedMs } = opened
  const revocation = createRevocation(
    { ...world, monotonicMs, log: stores.log, lookup: stores.log, copy: stores.copy, events: telemetry.events.revocation },
    config.revocation,
  )
  const silent = enforced(audited(stores.sessions, audit.record), revocation.synced)
  const legacy = createLegacyService(
    {
      sessions: silent,
      verify(token) {
        const now = inForce()
        if (now === undefined) throw new Error('nothing is in force yet')
        return now.authenticator.verify(token)
      },
      isRevoked: revocation.lists,
      telemetry,
      world,
    },
    config,
  )
  const sessions = legacy.announced(silent)
  const told = { record: audit.record, reachable: (state: 'up' | 'down', cause?: unknown) => noteKeys(telemetry, state, cause) }
  const tenants = await openKeys(config, { keys: stores.keys, sessions }, told, world)
  const tenantRecords = createTenantRecords({ ...world, store: stores.tenants, keys: tenants.keys })
  followKeys({ telemetry, stores, revocation, tenants }, inForce, reloadOwnKeys)
  for (const tenant of config.tenants.keys()) publishKeys({ telemetry, stores, tenants }, tenant)
  const live = openLive({ revocation, sessions, telemetry, world, knows: (principal) => inForce()?.knows(principal) ?? true })
  const overload = createOverload(
    {
      monotonicMs,
      random: world.random,
      seed: [randomInt(2 ** 32), randomInt(2 ** 32)],
      // Not those of the world, whose time may pass at another pace: how late they are is what is measured.
      schedule: scheduleHere,
      memoryShare: () => memoryShare(config.workers),
      connectionShare: () => connections() / listenerNow().limits.connections,
      events: telemetry.events.overload,
    },
    () => listenerNow().overload,
  )
  const quota = openQuota(config, telemetry, stores.counts ?? member?.counts)
  return {
    startedMs,
    world,
    telemetry,
    identity: { 'service.instance.id': randomUUID(), ...(member !== undefined && { 'gatehouse.worker': `${member.worker}` }) },
    stores,
    sessions,
    record: audit.record,
    revocation,
    tenants,
    tenantRecords,
    live,
    overload,
    tokenEnded: legacy.tokenEnded,
    passwords: createPasswords({ derive: argon2id, randomBytes, cores: availableParallelism() / config.workers }),
    loginThrottle: openLoginThrottle(member, stores.counts === undefined ? undefined : quota),
    clientFailures: openClientFailures(member),
    quota,
    keySources: { fetch: globalThis.fetch, readFile: (path) => readFile(path, 'utf8'), reloadOwnKeys },
    doubtful: new WeakSet(),
    moved: createLitterCount(),
    load: revocation.start,
    async start() {
      tenants.start()
      tenantRecords.use(config.tenants)
      await legacy.start()
    },
    use(next) {
      telemetry.use(next)
      tenantRecords.use(next.tenants)
      revocation.use(next.revocation)
    },
    async close() {
      quota.stop()
      legacy.stop()
      tenants.stop()
      tenantRecords.stop()
      await revocation.stop()
      live.stop()
      overload.stop()
      audit.close()
      await stores.close()
      telemetry.stop()
    },
  }

  /** A tenant that was removed has none, though a request of before may still ask. */
  async function reloadOwnKeys(tenant: string): Promise<void> {
    if ((inForce()?.config ?? config).tenants.has(tenant)) await tenants.reload(tenant)
  }

  function listenerNow(): PublicListenerConfig {
    return listenerOfProcess(inForce()?.config ?? config)
  }
}

type KeyNeeds = Pick<Foundation, 'telemetry' | 'stores' | 'revocation' | 'tenants'>

function followKeys(needs: KeyNeeds, inForce: FoundationNeeds['inForce'], reload: (tenant: string) => Promise<void>): void {
  const { stores, revocation, tenants } = needs
  tenants.onKeysChanged((tenant) => {
    inForce()?.authenticator.keysChanged(tenant)
    publishKeys(needs, tenant)
  })
  // Before a gateway that starts now makes sets of its own where Redis has lost them.
  stores.onReturn(() => void tenants.reload())
  // A key that was revoked elsewhere is refused already; here it leaves the published set and the verifiers too.
  revocation.onRevoked((one) => void (one.kind === 'key' && reload(one.tenant)))
}

/** Puts the public keys of a tenant where others can read them. */
export function publishKeys({ stores, tenants, telemetry }: Omit<KeyNeeds, 'revocation'>, tenant: string): void {
  stores.publish(`tenant:${tenant}`, tenants.jwks(tenant)).catch((cause: unknown) => noteUnpublished(telemetry, cause))
}

/** Of several processes the primary counts, and of several gateways Redis too. */
function openLoginThrottle(member: Membership | undefined, counts: Pick<Quota, 'take'> | undefined): LoginThrottle {
  const own = member?.loginThrottle ?? createLoginThrottle({ nowMs: monotonicMs })
  return counts === undefined ? own : createFleetThrottle(own, { counts, nowMs: monotonicMs })
}

function openQuota(config: Config, telemetry: Telemetry, counts: SharedCounts | undefined): Quota {
  return createQuota(
    {
      monotonicMs,
      schedule: scheduleHere,
      endOfTurn,
      seed: [randomInt(2 ** 32), randomInt(2 ** 32)],
      ...(counts !== undefined && { counts }),
      ...telemetry.events.quota,
    },
    config.rateLimits,
  )
}
