/**
 * What several processes say of themselves, as one gateway says it.
 *
 * @module
 */

/** An object as it was read from JSON. */
export type Facts = Readonly<Record<string, unknown>>

export interface CrewReadiness {
  readonly status: 'ready' | 'degraded' | 'starting' | 'draining'
  readonly [fact: string]: unknown
}

/** The object in a JSON text, or none. */
export function factsOf(text: string): readonly Facts[] {
  try {
    const value: unknown = JSON.parse(text)
    return isFacts(value) ? [value] : []
  } catch {
    // A worker that cannot be understood has said nothing: the others have.
    return []
  }
}

/** The objects in a JSON list, or none. */
export function listOf(text: string): readonly Facts[] {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value.filter(isFacts) : []
  } catch {
    // A worker that cannot be understood has said nothing: the others have.
    return []
  }
}

/**
 * Ready are those who all are; once they were, one that is left takes requests, and the gateway is degraded. Of numbers the
 * worst is shown, of facts that are so or not whether any says so.
 */
export function mergeReadiness(
  said: readonly Facts[],
  count: { readonly wanted: number; readonly ready: number },
  state: 'starting' | 'running' | 'draining',
): CrewReadiness {
  const facts = { ...merged(said), workers: { wanted: count.wanted, ready: count.ready } }
  if (state === 'draining') return { ...facts, status: 'draining' }
  if (state === 'starting' || count.ready === 0) return { ...facts, status: 'starting' }
  const well = said.filter(({ status }) => status === 'ready').length
  return { ...facts, status: well === count.wanted ? 'ready' : 'degraded' }
}

function merged(said: readonly Facts[]): Facts {
  const facts: Record<string, unknown> = {}
  for (const one of said) {
    for (const [name, value] of Object.entries(one)) {
      const before = facts[name]
      if (typeof value === 'number' && typeof before === 'number') facts[name] = Math.max(before, value)
      else if (typeof value === 'boolean' && typeof before === 'boolean') facts[name] = before || value
      else if (before === undefined) facts[name] = value
    }
  }
  return facts
}

/** From well to ill: of what several say, the worst is shown. */
const STATES = ['none', 'closed', 'half-open', 'open', 'in', 'drained', 'ejected', 'unhealthy']
/** Measured, not counted. */
const MEASURED: ReadonlySet<string> = new Set(['latency_ms', 'failures_in_a_row', 'state_seconds', 'target', 'weight'])

/** Upstreams as all together see them: what is under way is added up, of states and measurements the worst is shown. */
export function mergeUpstreams(lists: readonly (readonly Facts[])[]): readonly Facts[] {
  const merged = new Map<string, Facts>()
  for (const one of lists.flat()) {
    const name = String(one['upstream'])
    const before = merged.get(name)
    merged.set(
      name,
      before === undefined ? one : { ...worse(before, one), targets: mergeTargets(targetsOf(before), targetsOf(one)) },
    )
  }
  return [...merged.values()]
}

/** Workers that look up a name for themselves may find other addresses. */
function mergeTargets(some: readonly Facts[], others: readonly Facts[]): readonly Facts[] {
  const merged = new Map<string, Facts>()
  for (const one of [...some, ...others]) {
    const key = JSON.stringify([one['target'], one['address']])
    const before = merged.get(key)
    merged.set(key, before === undefined ? one : worse(before, one))
  }
  return [...merged.values()]
}

function targetsOf({ targets }: Facts): readonly Facts[] {
  return Array.isArray(targets) ? targets.filter(isFacts) : []
}

function worse(one: Facts, other: Facts): Facts {
  const pairs = Object.entries({ ...other, ...one }).map(([name, value]): [string, unknown] => {
    const second = other[name]
    if (!(name in one)) return [name, value]
    if (typeof value === 'number' && typeof second === 'number')
      return [name, MEASURED.has(name) ? Math.max(value, second) : value + second]
    return [name, STATES.indexOf(String(second)) > STATES.indexOf(String(value)) ? second : value]
  })
  return Object.fromEntries(pairs)
}

/**
 * Counts are added up. Callers of a beginning are, too: one who comes by several connections may be counted by several. A
 * beginning is shown by those alone who had enough callers for it.
 */
export function mergeAnalytics(reports: readonly Facts[]): Facts {
  const tenants: Record<string, Tally> = {}
  let seconds = 0
  let leastCallers: unknown
  for (const report of reports) {
    seconds = Math.max(seconds, numberOf(report['seconds']))
    leastCallers ??= report['least_callers']
    for (const [name, tenant] of Object.entries(isFacts(report['tenants']) ? report['tenants'] : {})) {
      if (isFacts(tenant)) addTenant((tenants[name] ??= { checks: 0, conflicts: 0, layers: {}, prefixes: new Map() }), tenant)
    }
  }
  const shown = Object.entries(tenants).map(([name, tally]) => [name, showTenant(tally)])
  return { seconds, least_callers: leastCallers, tenants: Object.fromEntries(shown) }
}

interface Tally {
  checks: number
  conflicts: number
  readonly layers: Record<string, number>
  readonly prefixes: Map<string, { checks: number; callers: number }>
}

function addTenant(tally: Tally, tenant: Facts): void {
  tally.checks += numberOf(tenant['checks'])
  tally.conflicts += numberOf(tenant['conflicts'])
  for (const [layer, count] of Object.entries(isFacts(tenant['layers']) ? tenant['layers'] : {})) {
    tally.layers[layer] = (tally.layers[layer] ?? 0) + numberOf(count)
  }
  const prefixes: readonly unknown[] = Array.isArray(tenant['prefixes']) ? tenant['prefixes'] : []
  for (const one of prefixes) {
    if (!isFacts(one)) continue
    const prefix = String(one['prefix'])
    const known = tally.prefixes.get(prefix) ?? { checks: 0, callers: 0 }
    tally.prefixes.set(prefix, {
      checks: known.checks + numberOf(one['checks']),
      callers: known.callers + numberOf(one['callers']),
    })
  }
}

function showTenant({ checks, conflicts, layers, prefixes }: Tally): Facts {
  const rows = [...prefixes].map(([prefix, { checks: asked, callers }]) => ({ prefix, checks: asked, callers }))
  return {
    checks,
    layers,
    ...(checks > 0 && { hit_rate: 1 - (layers['database'] ?? 0) / checks }),
    conflicts,
    prefixes: rows.toSorted((one, other) => other.checks - one.checks),
  }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

function isFacts(value: unknown): value is Facts {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
