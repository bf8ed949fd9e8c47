import type { UsernameEvents } from './needs.ts'
import type { NameEvent, UsernameKey, UsernameStore } from './store.ts'
import { createFilter, createNameHash } from './filter.ts'
import type { Filter } from './filter.ts'

export interface FollowNeeds {
  readonly store: Pick<UsernameStore, 'allNames' | 'eventsAfter'>
  monotonicMs(): number
  random(): number
  schedule(delayMs: number, run: () => void): () => void
  /** Told of each event, its own ones too, in their order. */
  heard(event: NameEvent): void
  readonly events: Pick<UsernameEvents, 'feed'>
}

/** The filters of all tenants, kept up with what happens to names. */
export interface Follower {
  /** True: no layer below need be asked, the name was free {@link FRESH_MS} ago or later. */
  isSurelyFree(tenant: string, folded: string): boolean
  /** Whether all that happened {@link FRESH_MS} ago or earlier was heard. */
  isFollowed(): boolean
  /** What this gateway knows before the feed says it. */
  add(tenant: string, folded: string): void
  /** Resolves when the filters are loaded for the first time, or could not be. */
  start(): Promise<void>
  stop(): void
  ageMs(): number
  names(): Iterable<readonly [tenant: string, names: number]>
}

/** How old a filter's no may be: another gateway's claim is known within it, or the filter says nothing. */
export const FRESH_MS = 3_000
const POLL_MS = 250
const POLL_FAILED_MS = 1_000
const EVENTS = 1_000
const REBUILD_MS = 24 * 3_600_000
const REBUILD_FAILED_MS = 2_000
/** Names hashed at a stretch, some milliseconds. */
const SLICE = 20_000
/** Between two rebuilds because a filter is full. */
const FULL_MS = 10_000

interface Filters {
  readonly byTenant: ReadonlyMap<string, Filter>
  /** Last event that is in them. */
  tail: number
  /** When they were asked for all there is. */
  syncedMs: number
}

/** Hashes of a page: one after the other, two words each. */
type Hashes = Map<string, Uint32Array[]>

export function createFollower(needs: FollowNeeds, tenants: readonly string[]): Follower {
  const hash = createNameHash(Math.floor(needs.random() * 2 ** 32) | 0)
  const words = new Uint32Array(2)
  let filters: Filters | undefined
  /** What was added here while new filters are made. */
  let meanwhile: UsernameKey[] | undefined
  let heardTail = 0
  let loadedMs = Number.NEGATIVE_INFINITY
  let isDown = false
  let isStopped = false
  let cancelPoll: (() => void) | undefined
  let cancelRebuild: (() => void) | undefined
  return { isSurelyFree, isFollowed: () => ageMs() <= FRESH_MS, add, start, stop, ageMs, names }

  function isSurelyFree(tenant: string, folded: string): boolean {
    if (filters === undefined || needs.monotonicMs() - filters.syncedMs > FRESH_MS) return false
    const filter = filters.byTenant.get(tenant)
    if (filter === undefined) return false
    hash(folded, words, 0)
    return !filter.has(words[0] ?? 0, words[1] ?? 0)
  }

  function add(tenant: string, folded: string): void {
    meanwhile?.push({ tenant, folded })
    addTo(filters, tenant, folded)
  }

  function addTo(to: Filters | undefined, tenant: string, folded: string): void {
    const filter = to?.byTenant.get(tenant)
    if (filter === undefined) return
    hash(folded, words, 0)
    const [one = 0, two = 0] = words
    if (filter.has(one, two)) return
    filter.add(one, two)
    if (filter.count() === filter.capacity + 1 && to === filters && meanwhile === undefined) planFuller()
  }

  function ageMs(): number {
    return filters === undefined ? Number.POSITIVE_INFINITY : needs.monotonicMs() - filters.syncedMs
  }

  async function start(): Promise<void> {
    await rebuild()
    await poll()
  }

  /** Never rejects: what fails is tried again. */
  async function rebuild(): Promise<void> {
    meanwhile = []
    try {
      const made = await load()
      if (isStopped) return
      for (const { tenant, folded } of meanwhile) addTo(made, tenant, folded)
      filters = made
      loadedMs = needs.monotonicMs()
      note(undefined)
      planRebuild(REBUILD_MS * (0.95 + needs.random() * 0.1))
      if ([...made.byTenant.values()].some((filter) => filter.count() > filter.capacity)) planFuller()
    } catch (cause) {
      note(cause)
      planRebuild(REBUILD_FAILED_MS * (1 + needs.random()))
    } finally {
      meanwhile = undefined
    }
  }

  function planFuller(): void {
    planRebuild(Math.max(0, loadedMs + FULL_MS - needs.monotonicMs()))
  }

  function planRebuild(delayMs: number): void {
    cancelRebuild?.()
    if (isStopped) return
    cancelRebuild = needs.schedule(delayMs, () => void rebuild())
  }

  /** All names, then what happened since the reading began. */
  async function load(): Promise<Filters> {
    const hashes: Hashes = new Map(tenants.map((tenant) => [tenant, []]))
    let tail: number | undefined
    for await (const page of needs.store.allNames()) {
      tail ??= page.tail
      for (const [tenant, folded] of namesOf(page.names)) hashes.get(tenant)?.push(hashAll(folded))
      await breath()
    }
    const byTenant = new Map<string, Filter>()
    for (const [tenant, pages] of hashes) byTenant.set(tenant, await filterOf(pages))
    const made: Filters = { byTenant, tail: tail ?? 0, syncedMs: Number.NEGATIVE_INFINITY }
    heardTail = Math.max(heardTail, filters === undefined ? made.tail : 0)
    await catchUp(made)
    return made
  }

  function hashAll(names: readonly string[]): Uint32Array {
    const hashed = new Uint32Array(names.length * 2)
    names.forEach((name, index) => hash(name, hashed, index * 2))
    return hashed
  }

  async function filterOf(pages: Uint32Array[]): Promise<Filter> {
    const filter = createFilter(pages.reduce((sum, page) => sum + page.length / 2, 0))
    let since = 0
    for (let page = pages.shift(); page !== undefined; page = pages.shift()) {
      for (let at = 0; at < page.length; at += 2) filter.add(page[at] ?? 0, page[at + 1] ?? 0)
      since += page.length / 2
      if (since < SLICE) continue
      since = 0
      await breath()
    }
    return filter
  }

  /** Reads on to the end of the feed. */
  async function catchUp(to: Filters): Promise<void> {
    for (;;) {
      const askedMs = needs.monotonicMs()
      const events = await needs.store.eventsAfter(to.tail, EVENTS)
      for (const event of events) {
        // What is released stays until the filter is made anew: its quarantine may be long.
        if (event.event !== 'released') addTo(to, event.tenant, event.folded)
        to.tail = event.id
        // Old and new filters read the same feed for a while.
        if (event.id <= heardTail) continue
        heardTail = event.id
        needs.heard(event)
      }
      if (events.length < EVENTS) {
        to.syncedMs = askedMs
        return
      }
      await breath()
    }
  }

  /** Never rejects. */
  async function poll(): Promise<void> {
    if (isStopped) return
    let failed = false
    try {
      if (filters !== undefined) await catchUp(filters)
      if (filters !== undefined) note(undefined)
    } catch (cause) {
      failed = true
      note(cause)
    }
    if (isStopped) return
    cancelPoll = needs.schedule((failed ? POLL_FAILED_MS : POLL_MS) * (0.9 + needs.random() * 0.2), () => void poll())
  }

  function note(cause: unknown): void {
    if ((cause !== undefined) === isDown || isStopped) return
    isDown = cause !== undefined
    needs.events.feed(isDown ? 'down' : 'up', cause)
  }

  /** Lets others have their turn. */
  function breath(): Promise<void> {
    return new Promise((resolve) => void needs.schedule(0, resolve))
  }

  function stop(): void {
    isStopped = true
    cancelPoll?.()
    cancelRebuild?.()
  }

  function* names(): Iterable<readonly [string, number]> {
    for (const [tenant, filter] of filters?.byTenant ?? []) yield [tenant, filter.count()] as const
  }
}

function namesOf(names: readonly UsernameKey[]): ReadonlyMap<string, readonly string[]> {
  const byTenant = new Map<string, string[]>()
  for (const { tenant, folded } of names) {
    const known = byTenant.get(tenant)
    if (known === undefined) byTenant.set(tenant, [folded])
    else known.push(folded)
  }
  return byTenant
}
