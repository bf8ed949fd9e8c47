import type { Caller } from './budget.ts'
import type { UsernameEvents, UsernameRecord } from './needs.ts'
import { createShelves } from './shelves.ts'
import type { Shelf } from './shelves.ts'

export interface ProbingNeeds {
  monotonicMs(): number
  readonly events: Pick<UsernameEvents, 'probing'>
  record(event: UsernameRecord): void
}

/** Notices callers who go through names instead of choosing one. It tells, and refuses nobody: the budget does. */
export interface Probing {
  /** A name was asked for. */
  asked(tenant: string, source: string, folded: string): void
  /** The budget refused a caller. */
  refused(tenant: string, source: string, caller: Caller): void
}

const WINDOW_MS = 10 * 60_000
/** Steps from one name to its neighbour (`ann1`, `ann2`; `aaa`, `aab`), each of which no typing makes: the length stays. */
const STEPS = 12
/** Different names; whoever chooses one tries fewer. */
const NAMES = 60
const REFUSALS = 30
const SOURCES = 20_000

interface Trail {
  readonly sinceMs: number
  last: string
  steps: number
  names: number
  refusals: number
  told: boolean
}

type Pattern = Parameters<UsernameEvents['probing']>[1]

export function createProbing(needs: ProbingNeeds): Probing {
  const shelves = createShelves<Trail>(SOURCES)
  const trails = new Map<string, Shelf<Trail>>()
  return { asked, refused }

  function asked(tenant: string, source: string, folded: string): void {
    const trail = trailOf(tenant, source)
    if (trail.last === folded) return
    trail.names += 1
    if (isStep(trail.last, folded)) trail.steps += 1
    trail.last = folded
    if (trail.steps >= STEPS) tell(trail, tenant, 'series', source)
    else if (trail.names >= NAMES) tell(trail, tenant, 'dictionary', source)
  }

  function refused(tenant: string, source: string, caller: Caller): void {
    const trail = trailOf(tenant, source)
    trail.refusals += 1
    if (trail.refusals >= REFUSALS) tell(trail, tenant, 'flood', source, caller)
  }

  function trailOf(tenant: string, source: string): Trail {
    const now = needs.monotonicMs()
    const known = trails.get(tenant)?.get(source)
    if (known !== undefined && now - known.sinceMs <= WINDOW_MS) return known
    const trail = { sinceMs: now, last: '', steps: 0, names: 0, refusals: 0, told: false }
    shelfOf(tenant).put(source, trail)
    return trail
  }

  function shelfOf(tenant: string): Shelf<Trail> {
    const shelf = trails.get(tenant) ?? shelves.add()
    trails.set(tenant, shelf)
    return shelf
  }

  /** Once for each caller and window. */
  function tell(trail: Trail, tenant: string, pattern: Pattern, source: string, caller?: Caller): void {
    if (trail.told) return
    trail.told = true
    needs.events.probing(tenant, pattern)
    const who = caller?.user === undefined && !source.startsWith('usr_') ? { ip: source } : { user: source }
    needs.record({ event: 'malicious_username_probing', tenant, reason: pattern, ...who })
  }
}

/** One differs from the other at one place only, or in its number only, and is as long. */
export function isStep(last: string, next: string): boolean {
  if (last.length !== next.length) return stemOf(last) === stemOf(next) && stemOf(last) !== last && stemOf(next) !== next
  let different = 0
  for (let index = 0; index < last.length; index += 1) if (last.charCodeAt(index) !== next.charCodeAt(index)) different += 1
  return different === 1 || stemOf(last) === stemOf(next)
}

/** Without the digits at its end. */
export function stemOf(name: string): string {
  let end = name.length
  while (end > 0 && isDigit(name.charCodeAt(end - 1))) end -= 1
  return name.slice(0, end)
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}
