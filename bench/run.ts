/**
 * Throughput and latency of the gateway under autocannon, beside the same upstream without a gateway.
 *
 *     npm run bench [-- SCENARIO… --seconds 5 --rounds 5 --connections 64]
 *
 * The gateway has the first core to itself; the load generator and the upstream share the second. Rounds are interleaved,
 * figures are medians. Prints a table and writes bench/results/latest.json. `sessions` and the scenarios of sessions.ts have
 * Redis beside the load and write bench/results/sessions.json; `revocations` and `usernames` likewise, in files of their own.
 */
import { parseArgs } from 'node:util'
import { measure, type Measured } from './support/measure.ts'
import { startPeople, type People } from './support/people.ts'
import { median, round2, saveResults } from './support/results.ts'
import { benchOverload, OVERLOAD_NAME } from './overload.ts'
import { benchReplica, REPLICA_NAME } from './replica.ts'
import { benchRevocations, REVOCATION_NAMES } from './revocations.ts'
import { benchSessions, SESSION_NAMES } from './sessions.ts'
import { benchSlowClients, SLOW_CLIENTS_NAME } from './slow-clients.ts'
import { benchSoak, SOAK_NAME } from './soak.ts'
import { benchUsernames, USERNAME_NAMES } from './usernames.ts'
import { benchWorkers, WORKERS_NAME } from './workers.ts'

interface Scenario {
  readonly title: string
  url(people: People): string
  readonly token: 'none' | 'one of many'
  /** Whose CPU time is told. */
  readonly cpu: 'gateway' | 'upstream'
  /** A number of requests and of connections of its own, in place of a time. */
  readonly fixed?: { readonly requests: number; readonly connections: number }
}

const SCENARIOS = {
  direct: { title: 'upstream without a gateway', url: (people) => `${people.upstreamUrl}/small`, token: 'none', cpu: 'upstream' },
  health: { title: 'GET /health', url: (people) => `${people.gatewayUrl}/health`, token: 'none', cpu: 'gateway' },
  echo: {
    title: 'service echo, token',
    url: (people) => `${people.gatewayUrl}/echo/small`,
    token: 'one of many',
    cpu: 'gateway',
  },
  public: {
    title: 'forwarded, public route',
    url: (people) => `${people.gatewayUrl}/public/small`,
    token: 'none',
    cpu: 'gateway',
  },
  token: {
    title: 'forwarded, token verified',
    url: (people) => `${people.gatewayUrl}/api/small`,
    token: 'one of many',
    cpu: 'gateway',
  },
  load: {
    title: '10,000 requests, 100 connections, token',
    url: (people) => `${people.gatewayUrl}/api/small`,
    token: 'one of many',
    cpu: 'gateway',
    fixed: { requests: 10_000, connections: 100 },
  },
} as const satisfies Record<string, Scenario>

type Name = keyof typeof SCENARIOS

interface Row {
  readonly scenario: Name
  readonly title: string
  readonly requestsPerSecond: number
  readonly spread: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMicrosPerRequest: number
  readonly errors: number
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
  },
})
const seconds = Number(values.seconds ?? 5)
const names = positionals.length === 0 ? Object.keys(SCENARIOS).filter(isName) : positionals.filter(isName)
const ofSessions = positionals.length === 0 ? ['sessions'] : positionals.filter((name) => SESSION_NAMES.includes(name))
const ofRevocations = positionals.length === 0 ? ['revocations'] : positionals.filter((name) => REVOCATION_NAMES.includes(name))
const ofUsernames = positionals.length === 0 ? ['usernames'] : positionals.filter((name) => USERNAME_NAMES.includes(name))
const groups = [
  ...SESSION_NAMES,
  ...REVOCATION_NAMES,
  REPLICA_NAME,
  ...USERNAME_NAMES,
  OVERLOAD_NAME,
  SLOW_CLIENTS_NAME,
  SOAK_NAME,
  WORKERS_NAME,
]
const unknown = positionals.filter((name) => !isName(name) && !groups.includes(name))
if (unknown.length > 0) {
  const known = [...Object.keys(SCENARIOS), ...groups]
  console.error(`unknown scenario: ${unknown.join(', ')}. There are: ${known.join(', ')}`)
  process.exitCode = 2
} else {
  if (names.length > 0) await main()
  if (ofSessions.length > 0) await benchSessions(ofSessions, Number(values.rounds), seconds)
  if (positionals.length === 0 || positionals.includes(REPLICA_NAME)) await benchReplica()
  if (positionals.length === 0 || positionals.includes(OVERLOAD_NAME)) await benchOverload()
  if (positionals.length === 0 || positionals.includes(SLOW_CLIENTS_NAME)) await benchSlowClients()
  if (ofRevocations.length > 0) await benchRevocations(ofRevocations, Number(values.rounds), seconds)
  if (positionals.length === 0 || positionals.includes(WORKERS_NAME)) await benchWorkers(Number(values.rounds), seconds)
  // Ten minutes are not part of everything.
  if (positionals.includes(SOAK_NAME)) await benchSoak(Number(values.seconds ?? 600))
  if (ofUsernames.length > 0) await benchUsernames(ofUsernames, values.seconds === undefined ? undefined : seconds)
}

function isName(name: string): name is Name {
  return Object.hasOwn(SCENARIOS, name)
}

async function main(): Promise<void> {
  const people = await startPeople()
  try {
    const results = new Map<Name, Measured[]>(names.map((name) => [name, []]))
    for (let round = 0; round <= Number(values.rounds); round += 1) {
      for (const name of names) {
        // Round 0 warms up and is thrown away.
        const measured = await run(name, people, round === 0 ? 2 : seconds)
        if (round > 0) results.get(name)?.push(measured)
      }
      console.error(round === 0 ? 'warmed up' : `round ${round} of ${values.rounds}`)
    }
    const rows = names.map((name) => summarise(name, results.get(name) ?? []))
    console.table(Object.fromEntries(rows.map(({ scenario, ...row }) => [scenario, row])))
    const setting = { node: process.version, seconds, rounds: values.rounds, connections: values.connections }
    saveResults('latest.json', { setting, rows })
  } finally {
    await people.stop()
  }
}

function run(name: Name, people: People, seconds: number): Promise<Measured> {
  const scenario: Scenario = SCENARIOS[name]
  return measure({
    url: scenario.url(people),
    seconds,
    connections: scenario.fixed?.connections ?? Number(values.connections),
    ...(scenario.fixed === undefined ? {} : { requests: scenario.fixed.requests }),
    tokens: scenario.token === 'none' ? [] : people.tokens,
    pid: scenario.cpu === 'gateway' ? people.gatewayPid : people.upstreamPid,
  })
}

function summarise(name: Name, rounds: readonly Measured[]): Row {
  const rates = rounds.map((round) => round.requestsPerSecond)
  return {
    scenario: name,
    title: SCENARIOS[name].title,
    requestsPerSecond: Math.round(median(rates)),
    spread: Math.round(Math.max(...rates) - Math.min(...rates)),
    p50Ms: round2(median(rounds.map((round) => round.p50Ms))),
    p99Ms: round2(median(rounds.map((round) => round.p99Ms))),
    cpuMicrosPerRequest: round2(median(rounds.map((round) => round.cpuMicrosPerRequest))),
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
  }
}
