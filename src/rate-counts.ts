/**
 * One count of requests for all processes of a gateway without Redis: the primary has it, workers ask. Where it does not answer
 * in time, each counts by itself, as it does when Redis is away.
 *
 * @module
 */
import type { Charged, Counts, SharedCounts, Taken } from './quota/quota.ts'
import type { Handlers, Wire } from './workers/workers.ts'

const TAKE = 'count request'
const LOOK = 'count look'
/** The room that asks waits no longer than it is told to; this is the end of what nobody waits for any more. */
const ASK_MS = 5_000

/** For every worker. */
export function rateHandlers(counts: Counts): Handlers {
  return { [TAKE]: (body) => counts.take(chargesIn(body)), [LOOK]: () => true }
}

/** The counts of the primary, in a worker. */
export function createRemoteCounts(wire: Pick<Wire, 'ask'>): SharedCounts {
  return {
    parts: 1,
    partOf: () => 0,
    async take(_, charges) {
      return takenOf(await wire.ask(TAKE, charges.map(plain), ASK_MS))
    },
    look: () => wire.ask(LOOK, undefined, ASK_MS),
  }
}

/** Without what only this process knows. */
function plain({ route, policy, caller, intervalUs, spanUs }: Charged): Charged {
  return { route, policy, caller, intervalUs, spanUs }
}

function chargesIn(body: unknown): readonly Charged[] {
  if (!Array.isArray(body) || !body.every(isCharged)) throw new TypeError('nothing to count')
  return body
}

function isCharged(value: unknown): value is Charged {
  if (typeof value !== 'object' || value === null) return false
  const hasNames = 'route' in value && 'policy' in value && 'caller' in value
  if (!hasNames || !('intervalUs' in value) || !('spanUs' in value)) return false
  const isNamed = typeof value.route === 'string' && typeof value.policy === 'string' && typeof value.caller === 'string'
  return isNamed && typeof value.intervalUs === 'number' && typeof value.spanUs === 'number'
}

function takenOf(value: unknown): Taken {
  const isTaken = typeof value === 'object' && value !== null && 'isAdmitted' in value && 'debtsUs' in value
  if (!isTaken || typeof value.isAdmitted !== 'boolean' || !Array.isArray(value.debtsUs)) throw new TypeError('no count')
  return { isAdmitted: value.isAdmitted, debtsUs: value.debtsUs.map(Number) }
}
