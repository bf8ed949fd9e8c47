import type { RateLimit, RateLimitBy, RateLimits } from '../exchange/exchange.ts'
import type { Build } from './build.ts'
import { refuseEmpty } from './build.ts'
import type { Path } from './faults.ts'
import { RATE_LIMIT_BY, type RateLimitDraft } from './schema-rate-limits.ts'
import type { RouteDraft } from './schema.ts'
import type { Item } from './shapes.ts'
import { orList } from './suggest.ts'

const MOST_LIMITS = 8
/** A debt that takes longer to be gone is no rate. */
const LONGEST_SECONDS = 366 * 86_400

/** Services that read no token. Clients prove themselves to one of them. */
const WITHOUT_TOKENS: ReadonlySet<string> = new Set(['discovery', 'health', 'oauth', 'revocations'])

/** How rate limits are counted. */
export interface RateLimitsConfig {
  /** Callers of each limit that a process knows one by one. */
  readonly entries: number
  /** Longest wait for Redis. */
  readonly timeoutMs: number
}

/** How many requests a route takes, and from whom. */
export function buildRateLimits(path: Path, route: string, draft: RouteDraft, build: Build): { readonly rateLimit?: RateLimits } {
  const written = draft.rateLimit
  if (written === undefined) return {}
  const isList = Array.isArray(written)
  const items: readonly Item<RateLimitDraft>[] = Array.isArray(written) ? written : [{ at: 0, value: written }]
  if (isList) refuseEmpty(items, path, 'remove it for no limit', build)
  if (items.length > MOST_LIMITS) build.report(path, `must not have more than ${MOST_LIMITS} limits`)
  const limits: RateLimit[] = []
  for (const { at, value } of items) {
    const here = isList ? [...path, at] : path
    const limit = buildLimit(here, value, { route, before: limits, build })
    if (build.isFaulty(here)) continue
    refuseNoEffect(here, limit, { draft, before: limits, build })
    limits.push(limit)
  }
  const when = limits.every(({ by }) => by === 'ip') ? 'arrival' : 'admission'
  return { rateLimit: { when, limits } }
}

interface Around {
  readonly route: string
  readonly before: readonly RateLimit[]
  readonly build: Build
}

function buildLimit(path: Path, draft: RateLimitDraft, { route, before, build }: Around): RateLimit {
  const required = (key: keyof RateLimitDraft, write: string): void => {
    if (draft[key] === undefined && !build.isFaulty([...path, key])) build.report([...path, key], `is required: write ${write}`)
  }
  required('requests', 'a number, such as 100')
  required('per', 'a duration, such as 1m')
  required('by', orList(RATE_LIMIT_BY))
  const { requests = 1, per: perSeconds = 1, by = 'ip', burst = requests } = draft
  if ((burst * perSeconds) / requests > LONGEST_SECONDS) {
    const key = draft.burst === undefined ? 'per' : 'burst'
    build.report([...path, key], 'would take longer than a year to come back: write less')
  }
  return { route, policy: policyOf(by, before), by, requests, perSeconds, burst }
}

/** `ip`, and `ip-2` for the second one by address. */
function policyOf(by: RateLimitBy, before: readonly RateLimit[]): string {
  const others = before.filter((limit) => limit.by === by).length
  return others === 0 ? by : `${by}-${others + 1}`
}

interface Beside {
  readonly draft: RouteDraft
  readonly before: readonly RateLimit[]
  readonly build: Build
}

function refuseNoEffect(path: Path, limit: RateLimit, { draft, before, build }: Beside): void {
  const { by } = limit
  const { auth, replay, service } = draft
  const isOfToken = by === 'user' || by === 'token' || by === 'client'
  const isForClients = service === 'oauth' || service === 'revocations'
  const hasClients = isForClients && by === 'client'
  if (isOfToken && service !== undefined && WITHOUT_TOKENS.has(service) && !hasClients) {
    const write = isForClients ? 'ip, tenant or client' : 'ip or tenant'
    build.report([...path, 'by'], `has no effect on the service ${service}, which reads no token: write ${write}`)
  } else if (isOfToken && auth === 'public') {
    build.report([...path, 'by'], 'has no effect on a public route, which reads no token: write ip or tenant, or auth: optional')
  } else if (by === 'token' && replay === 'once') {
    build.report([...path, 'by'], 'has no effect where each token is taken once: write user, or remove replay')
  }
  const stricter = before.find((other) => other.by === by && bites(other, limit))
  if (stricter !== undefined)
    build.report(path, `has no effect beside another limit by ${by}, which is reached before it: remove it`)
  else if (before.some((other) => other.by === by && bites(limit, other)))
    build.report(path, `leaves another limit by ${by} without effect, since this one is reached before it: remove one`)
}

/** Whether the one is reached whenever the other is. */
function bites(one: RateLimit, other: RateLimit): boolean {
  return one.burst <= other.burst && one.requests * other.perSeconds <= other.requests * one.perSeconds
}
