import { RevocationUnavailableError, TokenRevokedError } from '../errors/errors.ts'
import type { Identified } from '../exchange/exchange.ts'
import { createRevocation, type RevocationLog, type RevocationRoom } from '../revocation/revocation.ts'
import { createIntrospection } from './introspection.ts'
import type { RevocationState, Surroundings } from './options.ts'
import type { FeedSource, Settings, TokenSettings } from './settings.ts'

/** Says whether a token that was verified has been revoked since. */
export interface Revocations {
  /** Rejects with {@link TokenRevokedError}, or {@link RevocationUnavailableError} where that cannot be said. */
  check(principal: Identified, token: string): Promise<void>
  /** Resolves when they are known, which is tried until it succeeds or the validator is closed. */
  start(): Promise<void>
  stop(): Promise<void>
  state(): RevocationState | undefined
}

export interface RevocationsNeeds {
  readonly surroundings: Surroundings
  /** Opens a log of revocations. `unfit` is told of one that never will be what is needed. */
  openFeed(source: FeedSource, bounds: FeedBounds, unfit: (cause: unknown) => void): Promise<Feed>
}

export interface FeedBounds {
  readonly maxStalenessMs: number
}

/** Revocations in their order. */
export interface Feed {
  readonly log: RevocationLog
  /** Whether it has those of a tenant; undefined while that is not known. */
  covers(tenant: string): boolean | undefined
  close(): void
}

type FeedSettings = Extract<TokenSettings, { readonly kind: 'feed' }>

/** The first requests of a process wait so long for the revocations to be loaded. */
const PATIENCE_MS = 2_000

export function createRevocations(needs: RevocationsNeeds, tokens: TokenSettings, settings: Settings): Revocations {
  if (tokens.kind === 'unchecked') return UNCHECKED
  if (tokens.kind === 'feed') return createFeedCheck(needs, tokens, settings)
  const introspection = createIntrospection(needs.surroundings, tokens, settings)
  return { ...UNCHECKED, check: introspection }
}

const UNCHECKED: Revocations = Object.freeze({
  check: () => Promise.resolve(),
  start: () => Promise.resolve(),
  stop: () => Promise.resolve(),
  state: () => undefined,
})

function createFeedCheck(needs: RevocationsNeeds, tokens: FeedSettings, settings: Settings): Revocations {
  const followers = tokens.sources.map((source) => createFollower(needs, { source, tokens, settings }))
  let patience: Promise<void> | undefined
  return {
    check,
    start,
    stop: async () => void (await Promise.all(followers.map((one) => one.stop()))),
    state: () => ({
      entries: followers.reduce((sum, one) => sum + one.entries(), 0),
      stalenessMs: Math.max(...followers.map((one) => one.stalenessMs())),
    }),
  }

  async function check(principal: Identified): Promise<void> {
    if (!followers.every((one) => one.isReady())) await patience
    const concerned = followers.filter((one) => one.covers(principal.tenant) !== false)
    if (concerned.some((one) => one.lists(principal))) throw new TokenRevokedError()
    // Nobody tells of this tenant's revocations, and waiting would not change that.
    if (concerned.length === 0) throw new RevocationUnavailableError(undefined, { reason: 'tenant_not_covered' })
    if (tokens.whenStale === 'allow') return
    const known = concerned.filter((one) => one.covers(principal.tenant) === true)
    if (known.some((one) => one.stalenessMs() <= tokens.maxStalenessMs)) return
    throw new RevocationUnavailableError(undefined, { reason: 'stale', retryAfterSeconds: 1 })
  }

  function start(): Promise<void> {
    const loading = Promise.all(followers.map((one) => one.load())).then(() => undefined)
    patience = new Promise((resolve) => {
      const cancel = needs.surroundings.schedule(PATIENCE_MS, resolve)
      void loading.finally(() => {
        cancel()
        resolve()
      })
    })
    return loading
  }
}

interface Follower extends Pick<RevocationRoom, 'lists' | 'isReady' | 'entries' | 'stalenessMs'> {
  covers: Feed['covers']
  /** Never rejects: what cannot be read is stale. */
  load(): Promise<void>
  stop(): Promise<void>
}

interface Followed {
  readonly source: FeedSource
  readonly tokens: FeedSettings
  readonly settings: Settings
}

function createFollower({ surroundings, openFeed }: RevocationsNeeds, { source, tokens, settings }: Followed): Follower {
  const { maxStalenessMs } = tokens
  let opened: { readonly feed: Feed; readonly room: RevocationRoom } | undefined
  let isStopped = false
  return {
    covers: (tenant) => opened?.feed.covers(tenant),
    lists: (token) => opened?.room.lists(token) === true,
    isReady: () => opened?.room.isReady() === true,
    entries: () => opened?.room.entries() ?? 0,
    stalenessMs: () => opened?.room.stalenessMs() ?? Number.POSITIVE_INFINITY,
    load,
    stop,
  }

  async function load(): Promise<void> {
    try {
      const feed = await openFeed(source, { maxStalenessMs }, (cause) => note('down', cause))
      if (isStopped) return feed.close()
      const room = createRevocation(
        { ...surroundings, log: feed.log, lookup: NO_LOOKUP, events: { ...SILENT, feed: note } },
        { maxStalenessMs, whenStale: 'deny', breaker: UNUSED },
      )
      opened = { feed, room }
      await room.start()
    } catch (cause) {
      note('down', cause)
    }
  }

  async function stop(): Promise<void> {
    isStopped = true
    await opened?.room.stop()
    opened?.feed.close()
  }

  function note(state: 'up' | 'down', cause?: unknown): void {
    settings.onEvent({ kind: 'revocations', state, ...(cause === undefined ? {} : { cause }) })
  }
}

/** The store is never asked about one token here. */
const NO_LOOKUP = Object.freeze({ isRevoked: () => Promise.reject(new Error('no store is asked here')) })
const UNUSED = Object.freeze({ timeoutMs: 1_000, errorThreshold: 1, resetAfterMs: 1_000 })

const SILENT = Object.freeze({
  checked: () => undefined,
  lag: () => undefined,
  breaker: () => undefined,
  listenerFailed: () => undefined,
  restored: () => undefined,
  copyLoaded: () => undefined,
  copyRefused: () => undefined,
  copyKept: () => undefined,
})
