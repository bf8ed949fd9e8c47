import { RevocationUnavailableError, TokenRevokedError } from '../errors/errors.ts'
import type { Identified } from '../exchange/exchange.ts'
import { createRevocation, type RevocationRoom } from '../revocation/revocation.ts'
import type { RevocationFeed } from '../storage/redis/redis.ts'
import { createIntrospection } from './introspection.ts'
import type { RevocationState, Surroundings } from './options.ts'
import type { Settings, TokenSettings } from './settings.ts'

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
  /** Reads the feed of the gateways. */
  openFeed(config: FeedSettings['redis'], unfit: (cause: unknown) => void): Promise<RevocationFeed>
}

export type FeedSettings = Extract<TokenSettings, { readonly kind: 'feed' }>

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

function createFeedCheck({ surroundings, openFeed }: RevocationsNeeds, tokens: FeedSettings, settings: Settings): Revocations {
  let opened: { readonly feed: RevocationFeed; readonly room: RevocationRoom } | undefined
  let isStopped = false
  let patience: Promise<void> | undefined
  return {
    check,
    start,
    stop,
    state: () => ({
      entries: opened?.room.entries() ?? 0,
      stalenessMs: opened?.room.stalenessMs() ?? Number.POSITIVE_INFINITY,
    }),
  }

  async function check(principal: Identified): Promise<void> {
    if (opened?.room.isReady() !== true) await patience
    if (opened?.room.lists(principal) === true) throw new TokenRevokedError()
    if (tokens.whenStale === 'allow') return
    const stalenessMs = opened?.room.stalenessMs() ?? Number.POSITIVE_INFINITY
    if (stalenessMs <= tokens.maxStalenessMs) return
    throw new RevocationUnavailableError(undefined, { reason: 'stale', retryAfterSeconds: 1 })
  }

  function start(): Promise<void> {
    const loading = load()
    patience = new Promise((resolve) => {
      const cancel = surroundings.schedule(PATIENCE_MS, resolve)
      void loading.finally(() => {
        cancel()
        resolve()
      })
    })
    return loading
  }

  /** Never rejects: what cannot be read is stale. */
  async function load(): Promise<void> {
    try {
      const feed = await openFeed(tokens.redis, (cause) => note('down', cause))
      if (isStopped) return feed.close()
      const room = createRevocation(
        { ...surroundings, log: feed, lookup: feed, events: { ...SILENT, feed: note } },
        { maxStalenessMs: tokens.maxStalenessMs, whenStale: 'deny', breaker: UNUSED },
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
