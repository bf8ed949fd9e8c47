/**
 * Looks whether what a gateway needs is there and set up as it should be, and tries a revocation from end to end.
 *
 * It opens what a start would open, and makes what a start would make. It changes nothing else but for the session of the
 * drill, which it ends. No finding has a secret in it.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { createAuthenticator } from '../authenticator/authenticator.ts'
import { adviceOnRedis, checkChannel } from './redis.ts'
import { checkOpenFiles, checkReceiver } from './limits.ts'
import { checkCertificates, checkDirectory, checkIssuer, checkTarget, checkTls } from './surroundings.ts'
import type { Config } from '../config/config.ts'
import { Problem } from '../problem/problem.ts'
import { createRevocation } from '../revocation/revocation.ts'
import { createSessions, type Users } from '../services/sessions/sessions.ts'
import { openAudit } from '../storage/audit/audit.ts'
import { openStores } from '../stores.ts'
import type { Stores } from '../stores.ts'
import { createTelemetry } from '../telemetry/telemetry.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { openKeys } from '../upkeep.ts'
import { monotonicMs, nowMs, nowSeconds, random, schedule } from '../world.ts'

/** What was found, and what to do about it. */
export interface Finding {
  readonly level: 'ok' | 'warn' | 'fail'
  readonly check: string
  readonly what: string
  readonly advice?: string
}

/** Tells of each finding as soon as it is there. */
export type Tell = (finding: Finding) => void

/** The reserved user of the drill; of the tenant `default`, which is there always. */
const DRILL_USER = 'gatehouse-doctor'
const DRILL_TENANT = 'default'
const DRILL_MS = 5_000
/** What comes later than this is true, and worth a look. */
const SLOW_MS = 1_000
/** A key that should have changed its state by then: every process does what is due each second. */
const OVERDUE_SECONDS = 60

/** Never rejects: what cannot be looked at is a finding. */
export async function checkUp(config: Config, tell: Tell): Promise<void> {
  tell(masterKeyOf(config))
  if (config.workers > 1) tell(workersOf(config, availableParallelism()))
  await attempt('open files', tell, () => checkOpenFiles(config))
  await attempt('directory', tell, () => checkDirectory(config.storage.directory))
  await attempt('audit record', tell, async () => {
    openAudit({ nowMs, schedule }, config.storage).close()
    return [{ level: 'ok', check: 'audit record', what: 'can be written' }]
  })
  await attempt('redis certificate', tell, () => checkTls(config.storage.sessions))
  await attempt('redis', tell, () => adviceOnRedis(config.storage.sessions))
  await attempt('channel', tell, () => checkChannel(config))
  await attempt('storage', tell, () => checkStorage(config, tell))
  for (const finding of checkCertificates(config.listeners.public)) tell(finding)
  if (config.geography !== undefined) tell(geographyOf(config.geography))
  for (const issuer of config.issuers.values()) {
    await attempt(`issuer ${issuer.name}`, tell, () => checkIssuer(issuer))
  }
  for (const upstream of config.upstreams.values()) {
    await attempt(`upstream ${upstream.name}`, tell, () => checkTarget(upstream))
  }
  const { traces } = config.telemetry
  if (traces !== undefined) await attempt('traces', tell, () => checkReceiver(traces))
}

async function attempt(check: string, tell: Tell, look: () => Promise<readonly Finding[]>): Promise<void> {
  try {
    for (const finding of await look()) tell(finding)
  } catch (error) {
    const advice = ADVICE[check] ?? 'see the cause, and try again'
    tell({ level: 'fail', check, what: reasonsOf(error).join(': '), advice })
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  storage: 'nobody can log in, refresh or log out: see the cause',
  redis: 'nobody can log in, refresh or log out: see address, password and rights of the user',
  'redis certificate': 'see the address in storage.sessions, and its ca',
  directory: 'write a folder of a local disk that this user may write: storage.directory',
  'audit record': 'what happens to sessions would not be recorded: see the rights on audit.db in storage.directory',
  channel: 'an older service would not hear what ended: see revocation.legacyChannel',
}

/** The message of a failure and those of its causes; of a refusal of ours its kind. */
function reasonsOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return ['failed']
  const message = error instanceof Problem ? error.kind : error.message
  const cause = error instanceof Problem ? error.facts.cause : error.cause
  return cause === undefined ? [message] : [message, ...reasonsOf(cause)]
}

function masterKeyOf(config: Config): Finding {
  const check = 'master key'
  const count = config.masterKeys.length
  if (count === 1) return { level: 'ok', check, what: 'from masterKey, 32 bytes' }
  if (count > 1) {
    return { level: 'warn', check, what: `${count} keys: a change is under way`, advice: 'take the old one out when it is done' }
  }
  if (config.storage.sessions.kind === 'embedded') return { level: 'ok', check, what: 'master.key of the directory' }
  return {
    level: 'warn',
    check,
    what: 'sessions are in Redis, and the master key is master.key of this directory',
    advice: 'with more than one gateway set masterKey, the same for all',
  }
}

function geographyOf({ header, file }: NonNullable<Config['geography']>): Finding {
  const said = [
    ...(header === undefined ? [] : [`${header} of trusted proxies`]),
    ...(file === undefined ? [] : [`${file.path}: ${file.networks} networks`]),
  ]
  return { level: 'ok', check: 'geography', what: said.join(', ') }
}

/** Told of where there are several: a single process needs no advice. */
function workersOf({ workers }: Config, cores: number): Finding {
  const check = 'workers'
  const what = `${workers} workers, ${cores} ${cores === 1 ? 'core' : 'cores'}`
  if (workers <= cores) return { level: 'ok', check, what }
  return {
    level: 'warn',
    check,
    what,
    advice: 'they wait for each other and take memory: write auto, or no more than there are cores',
  }
}

/** Storage, keys and the drill. Two connections to the storage: what one writes the other must get to know. */
async function checkStorage(config: Config, tell: Tell): Promise<readonly Finding[]> {
  const writer = await openStores({ nowSeconds }, config.storage)
  try {
    tell({ level: 'ok', check: 'storage', what: `${config.storage.sessions.kind}, opened and migrated` })
    if (config.storage.accounts.kind !== 'embedded') tell(await checkAccounts(config.storage.accounts.kind, writer))
    const tenants = await recordedKeys(config, writer)
    for (const tenant of config.tenants.keys()) tell(await checkKeys(tenants, tenant))
    const reader = await openStores({ nowSeconds }, config.storage)
    try {
      return [await drill(config, { writer, reader, tenants })]
    } finally {
      await reader.close()
    }
  } finally {
    await writer.close()
  }
}

/** A look-up of nobody: what a login waits for. */
async function checkAccounts(kind: string, { accounts }: Stores): Promise<Finding> {
  const askedMs = monotonicMs()
  await accounts.findById(DRILL_TENANT, DRILL_USER)
  const tookMs = monotonicMs() - askedMs
  const what = `${kind}, opened and migrated, answered within ${Math.ceil(tookMs)} ms`
  if (tookMs <= SLOW_MS) return { level: 'ok', check: 'accounts', what }
  return { level: 'warn', check: 'accounts', what, advice: 'the database, or the way to it, is slow' }
}

/** Keys that are made or moved on by this are in the record, as those of a start. */
async function recordedKeys(config: Config, stores: Stores): Promise<Tenants> {
  const audit = openAudit({ nowMs, schedule }, config.storage)
  try {
    return await openKeys(config, stores, { record: audit.record })
  } finally {
    audit.close()
  }
}

async function checkKeys(tenants: Tenants, tenant: string): Promise<Finding> {
  const check = `keys ${tenant}`
  const keys = await tenants.keys.list(tenant)
  const current = keys.find((key) => key.state === 'current')
  if (current === undefined)
    return { level: 'fail', check, what: 'no key signs', advice: `gatehouse keys rotate --tenant ${tenant}` }
  const late = keys.find((key) => key.until !== undefined && key.until + OVERDUE_SECONDS < nowSeconds())
  if (late !== undefined) {
    return {
      level: 'warn',
      check,
      what: `${late.kid} is ${late.state} longer than planned`,
      advice: 'a gateway that runs does what is due: look whether one can write the keys',
    }
  }
  const published = keys.filter((key) => key.state !== 'retired' && key.state !== 'revoked').length
  return { level: 'ok', check, what: `${current.alg}, ${published} published, opened with the master key` }
}

interface DrillNeeds {
  readonly writer: Stores
  readonly reader: Stores
  readonly tenants: Tenants
}

/** Makes a session, has its token taken, ends it, and waits until another connection refuses the token. */
async function drill(config: Config, { writer, reader, tenants }: DrillNeeds): Promise<Finding> {
  const check = 'revocation drill'
  const { events, stop } = createTelemetry({ write: () => undefined, nowMs, monotonicMs, random, schedule }, config)
  const revocation = createRevocation(
    { log: reader.log, lookup: reader.log, nowMs, monotonicMs, random, schedule, events: events.revocation },
    config.revocation,
  )
  const authenticator = createAuthenticator(
    {
      fetch: globalThis.fetch,
      nowMs,
      monotonicMs,
      random,
      schedule,
      readFile: (path) => readFile(path, 'utf8'),
      ownKeys: tenants.publicKeys,
      events: events.authenticator,
    },
    { ...config, issuers: new Map() },
  )
  const users: Users = { status: async () => 'unknown' }
  const sessions = createSessions({ store: writer.sessions, users, tokens: tenants, nowSeconds, random, randomBytes }, config)
  const who = { tenant: DRILL_TENANT, user: DRILL_USER }
  try {
    await authenticator.start()
    if (!(await inTime(revocation.start()))) return UNREADABLE
    const about = { scope: '', device: 'gatehouse doctor', ip: '127.0.0.1', clientId: DRILL_USER }
    const pair = await sessions.create({ ...who, ...about })
    const principal = await authenticator.verify(pair.access_token)
    if (revocation.lists(principal)) return REFUSED_AT_ONCE
    await sessions.endSession({ ...who, id: pair.session_id }, 'drill')
    const endedMs = monotonicMs()
    while (!revocation.lists(principal)) {
      if (monotonicMs() - endedMs > DRILL_MS) {
        const what = `the token was still taken ${DRILL_MS / 1000} s after its session had ended`
        return { level: 'fail', check, what, advice: 'the feed of revocations does not arrive: see the rows above' }
      }
      await pause(1)
    }
    return drilled(check, Math.ceil(monotonicMs() - endedMs))
  } finally {
    await sessions.endAll(who, 'drill').catch(() => 0)
    await revocation.stop()
    authenticator.stop()
    stop()
  }
}

const REFUSED_AT_ONCE: Finding = {
  level: 'fail',
  check: 'revocation drill',
  what: 'a token that was made just now is refused',
  advice: 'all tokens up to some time ahead were revoked, or the clock went back: see the clocks of all machines',
}

const UNREADABLE: Finding = {
  level: 'fail',
  check: 'revocation drill',
  what: `the revocations could not be read within ${DRILL_MS / 1000} s`,
  advice: 'a gateway that starts waits for them: see what else uses this storage',
}

/** Whether it was done in the time of the drill. */
async function inTime(work: Promise<void>): Promise<boolean> {
  const over = new AbortController()
  try {
    return await Promise.race([work.then(() => true), pause(DRILL_MS, false, { signal: over.signal })])
  } finally {
    over.abort()
  }
}

function drilled(check: string, ms: number): Finding {
  const what = `a token was refused ${ms} ms after the end of its session was answered, through the storage`
  return ms <= SLOW_MS
    ? { level: 'ok', check, what }
    : { level: 'warn', check, what, advice: 'the storage, or this machine, is slow' }
}
