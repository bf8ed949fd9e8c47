/** What of all that was seen is wrong. Every rule counts from what the clients were told, not from what gateways say of themselves. */
import type { Load, Use, Write } from './load.ts'
import { MAX_STALENESS_MS, type Member } from './rig.ts'

/** When it happened, by `performance.now()`. */
export interface Times {
  /** The load is even. */
  readonly calmMs: number
  /** The fault is about to be made, and is made. */
  readonly beginsMs: number
  readonly begunMs: number
  /** Redis is lost, or whatever it is. */
  readonly lostMs: number
  /** The test looks at what the gateways say of it, and no more at how long requests take. */
  readonly lookedMs: number
  /** It is about to be taken away. */
  readonly endsMs: number
  /** Everything works again. */
  readonly recoveredMs: number
  /** The load ends. */
  readonly overMs: number
}

export interface Scope {
  /** Gateways that the fault is for. */
  readonly affected: ReadonlySet<Member>
  /** Whether nothing at all can be known from Redis while it lasts. */
  readonly isTotal: boolean
  /** Whether sessions are lost with what Redis lost, so that a refresh may be answered with «log in again». */
  readonly losesSessions: boolean
  /** Whether no copy may get so old that a route refuses. */
  readonly staysFresh: boolean
  /** What was revoked so shortly before the fault need not be known to a gateway that is started again while it lasts. */
  readonly forgetsMs: number
}

/** Each line tells one thing that must not be. */
export interface Verdict {
  readonly wrongAccepts: readonly string[]
  readonly goodFailed: readonly string[]
  readonly writesBroken: readonly string[]
}

/** What a request may overlap with the begin of a bound by. */
const EDGE_MS = 50
/** The copy on the disk may be so old when a gateway is killed, which one that starts by it goes by. */
const DISK_COPY_MS = 5_000
/** How long before an end of the fault's begin it was surely known to all. */
const SPREAD_MS = 1_000

export function judge(load: Load, times: Times, scope: Scope): Verdict {
  const firstRefusal = refusals(load.uses)
  return {
    wrongAccepts: load.uses.flatMap((use) => tell(use, wrongAccept(use, firstRefusal, times, scope), times)),
    goodFailed: load.uses.flatMap((use) => tell(use, goodFailed(use, times, scope), times)),
    writesBroken: load.writes.flatMap((write) => writeBroken(write, times, scope)),
  }
}

type Refusals = ReadonlyMap<Member, ReadonlyMap<string, number>>

/** When each gateway first refused a token as revoked. */
function refusals(uses: readonly Use[]): Refusals {
  const first = new Map<Member, Map<string, number>>()
  for (const { answer, member, subject } of uses) {
    if (answer.status !== 401) continue
    const known = first.get(member) ?? new Map<string, number>()
    first.set(member, known)
    const token = subject.pair.access_token
    known.set(token, Math.min(answer.doneMs, known.get(token) ?? Number.POSITIVE_INFINITY))
  }
  return first
}

function wrongAccept(use: Use, firstRefusal: Refusals, times: Times, scope: Scope): string | undefined {
  const { answer, member, subject, way } = use
  if (answer.status !== 200) return undefined
  if (isBlind(use, times, scope)) return 'let in though nothing could be known'
  const refusedMs = firstRefusal.get(member)?.get(subject.pair.access_token)
  if (refusedMs !== undefined && refusedMs < answer.sentMs) return 'let in after it was refused'
  const { ackedMs } = subject
  if (ackedMs === undefined || answer.sentMs <= ackedMs) return undefined
  if (member === subject.ackedBy) return 'let in where its end was answered'
  if (ackedMs + SPREAD_MS + scope.forgetsMs < times.beginsMs && answer.sentMs > times.beginsMs)
    return 'let in though it had ended before the fault'
  const isLate = answer.sentMs > ackedMs + MAX_STALENESS_MS
  if (way.whenStale !== 'pass') return isLate ? 'let in past the bound' : undefined
  const isOver = answer.sentMs < times.beginsMs || answer.sentMs > times.recoveredMs + SPREAD_MS
  return isLate && isOver ? 'let in without a fault' : undefined
}

/** On a way that asks for knowledge, later than any knowledge can be good. */
function isBlind({ answer, member, way }: Use, times: Times, { affected, isTotal }: Scope): boolean {
  if (!isTotal || way.whenStale === 'pass' || !affected.has(member)) return false
  return answer.sentMs > times.begunMs + MAX_STALENESS_MS + EDGE_MS && answer.doneMs < times.endsMs
}

function goodFailed(
  { answer, member, subject, way }: Use,
  times: Times,
  { affected, staysFresh, forgetsMs }: Scope,
): string | undefined {
  if (answer.status === 200) return undefined
  if (subject.askedMs !== undefined && subject.askedMs < answer.doneMs) {
    if (answer.status === 401 && answer.error === 'token_revoked') return undefined
  }
  const ageMs = forgetsMs > 0 ? DISK_COPY_MS : MAX_STALENESS_MS / 2
  const staleMs = times.lostMs + MAX_STALENESS_MS - ageMs
  const isStale = answer.sentMs > staleMs && answer.sentMs < times.recoveredMs
  const isPolicy = answer.status === 503 && answer.error === 'revocation_unavailable' && way.whenStale !== 'pass'
  return isPolicy && isStale && !staysFresh && affected.has(member) ? undefined : 'refused'
}

function tell({ answer, way, subject }: Use, fault: string | undefined, times: Times): string[] {
  if (fault === undefined) return []
  const seconds = ((answer.sentMs - times.begunMs) / 1000).toFixed(2)
  return [`${fault}: ${way.method} ${way.path} ${subject.user} at ${seconds} s: ${answer.status} ${answer.error}`]
}

/** A write succeeds, or says that it cannot be done now and when to try again. */
function writeBroken({ kind, answer }: Write, times: Times, { losesSessions }: Scope): string[] {
  if (answer.status === 200 || answer.status === 201) return []
  if (answer.status === 503 && answer.error === 'storage_unavailable' && answer.retryAfter !== undefined) return []
  if (losesSessions && answer.status === 401 && answer.sentMs > times.beginsMs && kind !== 'login') return []
  const seconds = ((answer.sentMs - times.begunMs) / 1000).toFixed(2)
  return [`${kind} at ${seconds} s: ${answer.status} ${answer.error}`]
}
