/**
 * Joins the gateway to the channel of an older authentication service, where the configuration names one.
 *
 * @module
 */
import type { Config } from './config/config.ts'
import type { Identified } from './exchange/exchange.ts'
import { createLegacy } from './legacy/legacy.ts'
import type { Ended } from './legacy/legacy.ts'
import type { Ending, SessionRef, SessionStore, UserRef } from './services/sessions/sessions.ts'
import type { openChannel } from './storage/redis/redis.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import { random, schedule, type World } from './world.ts'

export interface LegacyServiceNeeds {
  /** Where what was heard is written, and nothing of it is told again. */
  readonly sessions: Pick<SessionStore, 'revoke'>
  verify(token: string): Identified | Promise<Identified>
  isRevoked(token: Identified): boolean
  readonly telemetry: Pick<Telemetry, 'log' | 'events'>
  readonly world: Pick<World, 'nowSeconds' | 'schedule'>
}

export interface LegacyService {
  /** The same sessions; what ends is told to the older service. */
  announced(store: SessionStore): SessionStore
  /** Tells of a token that ended as it is; undefined unless `publishRawToken`. */
  readonly tokenEnded: ((token: string) => void) | undefined
  /** Begins to hear and to tell. */
  start(): Promise<void>
  stop(): void
}

/** Without a channel it hears nothing and tells nothing. */
export function createLegacyService(needs: LegacyServiceNeeds, config: Pick<Config, 'revocation' | 'storage'>): LegacyService {
  const channelConfig = config.revocation.legacyChannel
  if (channelConfig === undefined) return SILENT
  const { log, events } = needs.telemetry
  let channel: ReturnType<typeof openChannel> | undefined
  let isStopped = false
  const legacy = createLegacy(
    {
      verify: (token) => needs.verify(token),
      isRevoked: (token) => needs.isRevoked(token),
      revoke: (token) => revoke(needs.sessions, token),
      publish: async (message) => {
        if (channel === undefined) throw new Error('the channel is not open')
        await channel.publish(message)
      },
      nowSeconds: needs.world.nowSeconds,
      schedule: needs.world.schedule,
      events: events.legacyChannel,
    },
    channelConfig,
  )
  return {
    announced: (store) => announced(store, legacy.ended),
    tokenEnded: channelConfig.publishRawToken ? legacy.tokenEnded : undefined,
    async start() {
      if (channelConfig.publishRawToken) log.warn(RAW, { channel: channelConfig.name })
      const { heard } = events.legacyChannel
      // Read where there is a channel: its client takes 20 MB.
      const opened = await import('./storage/redis/redis.ts')
      if (isStopped) return
      channel = opened.openChannel({ random, schedule, hear: legacy.hear, heard }, config.storage.sessions, channelConfig.name)
    },
    stop() {
      isStopped = true
      legacy.stop()
      channel?.close()
    },
  }
}

const SILENT: LegacyService = Object.freeze({
  announced: (store: SessionStore) => store,
  tokenEnded: undefined,
  start: async () => undefined,
  stop: () => undefined,
})

const RAW = 'tokens that end are published as they are: whoever reads the channel has them, and must refuse them from then on'
const REASON = 'ended by the older service'

async function revoke(sessions: Pick<SessionStore, 'revoke'>, token: Identified): Promise<void> {
  const { tenant, user, tokenId: id, expiresAt, skewSeconds } = token
  if (id === undefined) throw new TypeError('a token without an id cannot be revoked')
  await sessions.revoke({ kind: 'token', tenant, user, id }, { reason: REASON, tokensUntil: Math.ceil(expiresAt + skewSeconds) })
}

/** The same sessions; each ending is told of once it is in the log. */
export function announced(store: SessionStore, tell: (what: Ended) => void): SessionStore {
  return {
    ...store,
    async create(session, limits) {
      const created = await store.create(session, limits)
      for (const id of created.evicted) tellSession({ ...session, id }, { reason: 'evicted', tokensUntil: session.tokensUntil })
      return created
    },
    async rotate(request) {
      const rotation = await store.rotate(request)
      const { tenant, id, reuseReason, tokensUntil } = request
      if (rotation.outcome === 'reused') {
        tellSession({ tenant, user: rotation.user, id }, { reason: reuseReason, tokensUntil })
      }
      return rotation
    },
    async end(session, ending) {
      const ended = await store.end(session, ending)
      tellSession(session, ending)
      return ended
    },
    async endAll(user, ending) {
      const count = await store.endAll(user, ending)
      tellUser(user, ending)
      return count
    },
    async endOthers(session, ending) {
      // The store counts them; which they were is known before only.
      const others = (await store.list(session)).filter((one) => one.id !== session.id)
      const count = await store.endOthers(session, ending)
      for (const one of others) tellSession(one, ending)
      return count
    },
    async revoke(what, ending) {
      await store.revoke(what, ending)
      if (what.kind === 'key' || what.kind === 'tenant') return
      tell({ typ: what.kind, tenant: what.tenant, id: what.id, ...facts(ending) })
    },
  }

  function tellSession({ tenant, id }: SessionRef, ending: Ending): void {
    tell({ typ: 'session', tenant, id, ...facts(ending) })
  }

  function tellUser({ tenant, user }: UserRef, ending: Ending): void {
    tell({ typ: 'user', tenant, id: user, ...facts(ending) })
  }
}

function facts({ reason, tokensUntil }: Ending): Pick<Ended, 'exp' | 'reason'> {
  return { exp: tokensUntil, reason }
}
