/**
 * Measurements of the gateway. Without a name: everything but `soak` and `reloads`, the peers first.
 *
 *     npm run bench [-- NAME… --seconds 5 --rounds 5]
 *
 * bench/README.md says what each name measures. Each prints a table and writes a file of bench/results; at the end `report` writes what
 * documents show of them.
 */
import { parseArgs } from 'node:util'
import { benchGuard, GUARD_NAME } from './guard.ts'
import { benchOverload, OVERLOAD_NAMES } from './overload.ts'
import { benchReplica, REPLICA_NAME } from './replica.ts'
import { benchReloads, RELOADS_NAME } from './reloads.ts'
import { REPORT_NAME, writeReport } from './report.ts'
import { benchPeers, benchRequests, PEERS_NAME, REQUEST_NAMES, REQUESTS_NAME } from './requests.ts'
import { benchRevocations, REVOCATION_NAMES } from './revocations.ts'
import { benchScenarios, SCENARIO_NAMES } from './scenarios.ts'
import { benchSessions, SESSION_NAMES } from './sessions.ts'
import { benchSlowClients, SLOW_CLIENTS_NAME } from './slow-clients.ts'
import { benchSoak, SOAK_NAME } from './soak.ts'
import { benchUsernames, USERNAME_NAMES } from './usernames.ts'
import { benchWorkers, WORKERS_NAME } from './workers.ts'

interface Group {
  readonly names: readonly string[]
  /** @param named - those of its names that were asked for; none where everything is measured */
  run(named: readonly string[]): Promise<void> | void
  /** Part of a run without names. */
  readonly always: boolean
}

/** What a service is asked for goes by more than one name. */
const ALSO_KNOWN_AS: Readonly<Record<string, string>> = { refresh: 'rotate', 'username-check': 'username-checks' }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string' }, rounds: { type: 'string', default: '5' }, save: { type: 'boolean', default: false } },
})
const rounds = Number(values.rounds)
const given = values.seconds === undefined ? {} : { seconds: Number(values.seconds) }
const turns = { rounds, seconds: 4, ...given }
const seconds = given.seconds ?? 5

const GROUPS: readonly Group[] = [
  { names: [PEERS_NAME], always: true, run: () => benchPeers(turns) },
  { names: [REQUESTS_NAME, ...REQUEST_NAMES], always: true, run: (named) => benchRequests(turns, single(named, REQUESTS_NAME)) },
  { names: SCENARIO_NAMES, always: true, run: (named) => benchScenarios(single(named) ?? SCENARIO_NAMES, { rounds, ...given }) },
  { names: SESSION_NAMES, always: true, run: (named) => benchSessions(single(named) ?? ['sessions'], rounds, seconds) },
  { names: [REPLICA_NAME], always: true, run: benchReplica },
  { names: OVERLOAD_NAMES, always: true, run: benchOverload },
  { names: [SLOW_CLIENTS_NAME], always: true, run: () => benchSlowClients({ rounds, ...given }) },
  { names: REVOCATION_NAMES, always: true, run: (named) => benchRevocations(single(named) ?? ['revocations'], rounds, seconds) },
  { names: [WORKERS_NAME], always: true, run: () => benchWorkers(rounds, seconds) },
  { names: [RELOADS_NAME], always: false, run: () => benchReloads(given.seconds ?? 200) },
  { names: [SOAK_NAME], always: false, run: () => benchSoak(given.seconds ?? 600) },
  { names: USERNAME_NAMES, always: true, run: (named) => benchUsernames(single(named) ?? ['usernames'], given.seconds) },
  { names: [GUARD_NAME], always: false, run: guard },
  { names: [REPORT_NAME], always: true, run: writeReport },
]

const asked = positionals.map((name) => ALSO_KNOWN_AS[name] ?? name)
const known = GROUPS.flatMap(({ names }) => names)
const unknown = asked.filter((name) => !known.includes(name))
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}. There are: ${known.join(', ')}`)
  process.exitCode = 2
} else {
  for (const { names, always, run } of GROUPS) {
    const named = asked.filter((name) => names.includes(name))
    if (named.length > 0 || (asked.length === 0 && always)) await run(named)
  }
}

/** Undefined where all of a group is meant. */
function single(named: readonly string[], group?: string): readonly string[] | undefined {
  return named.length === 0 || (group !== undefined && named.includes(group)) ? undefined : named
}

async function guard(): Promise<void> {
  if (!(await benchGuard(turns, values))) process.exitCode = 1
}
