/** What a number of users takes, from what one of each was measured to take. */
import type { Table } from '../scenarios.ts'
import { tableOf, whole } from '../support/markdown.ts'

/** What the sheet is made of; what was not measured is left out of it. */
export interface CapacityFacts {
  /** Growth of Redis for a session of a login. */
  readonly sessionBytes?: number
  /** Of a live revocation, in each process. */
  readonly revocationBytes?: number
  /** Redis, for each name that was asked for within `usernames.cache`. */
  readonly usernameBytes?: number
  /** The filter of taken names, in each process. */
  readonly filterBytesPerName?: number
  readonly idleConnectionKib?: number
  /** Of one core. */
  readonly requestsPerSecond?: number
  readonly createMicros?: number
  readonly refreshMicros?: number
}

const MILLION = 1e6
/** Of a core; the rest is for what is uneven. */
const USED = 0.6

export function capacityPart(facts: CapacityFacts): string {
  const rows = [
    ...row('sessions in Redis, one for each of 100 million users', facts.sessionBytes, 100 * MILLION),
    ...row('sessions in Redis, of 10 million users who are logged in', facts.sessionBytes, 10 * MILLION),
    ...row('1,000,000 live revocations, in each process', facts.revocationBytes, MILLION),
    ...row('usernames in Redis, a million asked for within five minutes', facts.usernameBytes, MILLION),
    ...row('filter of 100 million taken usernames, in each process', facts.filterBytesPerName, 100 * MILLION),
    ...row(
      '10,000 idle connections, in one process',
      facts.idleConnectionKib === undefined ? undefined : facts.idleConnectionKib * 1024,
      10_000,
    ),
  ]
  const cores = [
    ...coreRow('100,000 requests/s with a token', 100_000, facts.requestsPerSecond),
    ...coreRow('1,000 new sessions/s, RS256', 1000, perSecond(facts.createMicros)),
    ...coreRow('1,000 refreshes/s, RS256', 1000, perSecond(facts.refreshMicros)),
  ]
  return [
    tableOf([['memory', 'octets each', 'together'], ...rows]),
    `Cores are counted at ${USED * 100} % use:`,
    tableOf([['work', 'one core gives', 'cores'], ...cores]),
  ].join('\n\n')
}

function row(what: string, bytesEach: number | undefined, count: number): readonly (readonly string[])[] {
  return bytesEach === undefined
    ? []
    : [[what, bytesEach < 10 ? bytesEach.toFixed(2) : whole(bytesEach), sizeOf(bytesEach * count)]]
}

function coreRow(what: string, wanted: number, perCoreSecond: number | undefined): readonly (readonly string[])[] {
  if (perCoreSecond === undefined) return []
  return [[what, `${whole(perCoreSecond)}/s`, String(Math.ceil((wanted / perCoreSecond / USED) * 10) / 10)]]
}

function perSecond(micros: number | undefined): number | undefined {
  return micros === undefined ? undefined : 1e6 / micros
}

function sizeOf(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${whole(bytes / 1e6)} MB`
}

interface Measured {
  readonly sessions?: {
    readonly bytes?: readonly {
      readonly whose: string
      readonly sessionsPerUser: number
      readonly usedMemoryPerSession: number
    }[]
    readonly rows?: readonly { readonly scenario: string; readonly gatewayMicros?: number }[]
  }
  readonly replica?: { readonly result?: { readonly bytesForEntryAt1e6?: number } }
  readonly usernames?: {
    readonly 'username-entries'?: { readonly megabytesPerMillion: number }
    readonly 'username-filter'?: { readonly names: number; readonly bytes: number }
  }
  readonly memory?: Table
  readonly requestsPerSecond?: number
}

/** Takes the facts out of the files of results. */
export function capacityFacts({ sessions, replica, usernames, memory, requestsPerSecond }: Measured): CapacityFacts {
  const micros = (scenario: string): number | undefined => sessions?.rows?.find((one) => one.scenario === scenario)?.gatewayMicros
  const filter = usernames?.['username-filter']
  const facts = {
    sessionBytes: sessions?.bytes?.find(({ whose, sessionsPerUser }) => whose === 'login' && sessionsPerUser === 1)
      ?.usedMemoryPerSession,
    revocationBytes: replica?.result?.bytesForEntryAt1e6,
    usernameBytes: usernames?.['username-entries']?.megabytesPerMillion,
    filterBytesPerName: filter === undefined ? undefined : filter.bytes / filter.names,
    idleConnectionKib: numberOf(memory?.['with idle connections']?.['kibEach']),
    requestsPerSecond,
    createMicros: micros('create'),
    refreshMicros: micros('rotate'),
  }
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined))
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
