/** Worse than half open. */
const OPEN = 2

/** What asks for a look at each of some views: `{ text, tone }`, or undefined where all is well. */
export function troubles({ overview, figures, config }) {
  return {
    routes: ofRoutes(overview),
    upstreams: ofUpstreams(overview?.upstreams ?? []),
    revocation: ofRevocation(figures, config),
  }
}

/** The file was read again and not taken. */
export function isFaulty(overview) {
  return overview?.readiness?.last_reload === 'failed'
}

function ofRoutes(overview) {
  return isFaulty(overview) ? { text: 'faulty file', tone: 'warn' } : undefined
}

function ofUpstreams(upstreams) {
  const down = upstreams.filter((one) => takersOf(one) > 0 && wellOf(one) === 0).length
  if (down > 0) return { text: `${down} down`, tone: 'bad' }
  const ill = upstreams.filter(
    (one) => wellOf(one) < takersOf(one) || one.breaker === 'open' || one.breaker === 'half-open',
  ).length
  return ill > 0 ? { text: `${ill} impaired`, tone: 'warn' } : undefined
}

/** How many targets of an upstream take requests. */
export function wellOf({ targets }) {
  return targets.filter(({ state }) => state === 'in').length
}

/** How many should: those of weight 0 are out because somebody says so. */
export function takersOf({ targets }) {
  return targets.filter(({ state }) => state !== 'drained').length
}

function ofRevocation(figures, config) {
  if (figures === undefined) return undefined
  if (isStale(figures.revocation, config)) return { text: 'stale', tone: 'bad' }
  if (figures.redis_up === 0 || figures.database_up === 0) return { text: 'store away', tone: 'bad' }
  const isOpen = figures.breakers.some(({ name, value }) => value === OPEN && !name.startsWith('upstream:'))
  return isOpen ? { text: 'breaker open', tone: 'warn' } : undefined
}

/** Whether the local copy of the revocations is older than it may be. */
export function isStale({ staleness_seconds: age }, config) {
  const bound = config?.revocation?.maxStalenessMs
  return age === null || (bound !== undefined && age * 1000 > bound)
}
