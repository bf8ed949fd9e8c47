import type { Build } from './build.ts'
import { readSecret, refuseEmpty } from './build.ts'
import type { AccountStorageConfig, LegacyChannelConfig, SessionStorageConfig } from './config.ts'
import type { Path } from './faults.ts'
import type { Draft } from './schema.ts'
import type { SecretSource } from './secrets.ts'
import { parseMasterKey } from './secrets.ts'
import type { Item } from './shapes.ts'
import { databaseOf, holdsPassword } from './storage-urls.ts'

const SESSIONS: Path = ['storage', 'sessions']
const ACCOUNTS: Path = ['storage', 'accounts']
const MASTER_KEY: Path = ['masterKey']
const WRITE_NODES = 'write a list such as [redis://10.0.0.1:6379]'

/** The keys of `storage.sessions`; where it is no mapping, `url` alone. */
interface Place {
  readonly url?: string | undefined
  readonly replica?: string | undefined
  readonly cluster?: readonly Item<string>[] | undefined
  readonly sentinels?: readonly Item<string>[] | undefined
  readonly name?: string | undefined
  readonly ca?: string | undefined
}

/** Where sessions are: one of the four kinds, without a password that stands in the file. */
export function buildSessionStorage(draft: Draft['storage']['sessions'], build: Build): SessionStorageConfig {
  if (draft === 'embedded') return { kind: 'embedded' }
  const place: Place = draft
  refuseContradictions(place, build)
  if (place.url !== undefined) {
    return {
      kind: 'redis',
      url: place.url,
      ...readReplica(place.url, place.replica, build),
      ...readCa(place, [place.url], build),
    }
  }
  const { cluster, sentinels, name } = place
  if (cluster !== undefined) {
    const urls = nodes(cluster, 'cluster', build)
    return { kind: 'cluster', urls, ...readCa(place, urls, build) }
  }
  if (sentinels !== undefined) {
    if (name === undefined && !build.isFaulty([...SESSIONS, 'name'])) {
      build.report([...SESSIONS, 'name'], 'is required: write what the sentinels call the master, such as mymaster')
    }
    const urls = nodes(sentinels, 'sentinels', build)
    return { kind: 'sentinel', urls, name: name ?? '', ...readCa(place, urls, build) }
  }
  if (!build.isFaulty(SESSIONS)) build.report(SESSIONS, 'must name its servers: write url, cluster or sentinels')
  return { kind: 'embedded' }
}

function refuseContradictions({ url, replica, cluster, sentinels, name }: Place, build: Build): void {
  if (url !== undefined) {
    refusePassword(typeof build.written(SESSIONS) === 'string' ? SESSIONS : [...SESSIONS, 'url'], build)
    if (cluster !== undefined) build.report([...SESSIONS, 'cluster'], 'does not go with url: remove one of the two')
    if (sentinels !== undefined) build.report([...SESSIONS, 'sentinels'], 'does not go with url: remove one of the two')
  } else if (replica !== undefined && !build.isFaulty([...SESSIONS, 'url'])) {
    build.report([...SESSIONS, 'replica'], 'goes with url only: remove it')
  }
  if (cluster !== undefined && sentinels !== undefined) {
    build.report([...SESSIONS, 'sentinels'], 'does not go with cluster: remove one of the two')
  }
  if (name !== undefined && sentinels === undefined && !build.isFaulty([...SESSIONS, 'sentinels'])) {
    build.report([...SESSIONS, 'name'], 'goes with sentinels only: remove it')
  }
}

function readReplica(url: string, replica: string | undefined, build: Build): { readonly replica?: string } {
  if (replica === undefined) return {}
  refusePassword([...SESSIONS, 'replica'], build)
  if (databaseOf(replica) !== databaseOf(url)) {
    build.report([...SESSIONS, 'replica'], 'must name the same database as url: a replica has what its master has')
  }
  return { replica }
}

function readCa({ ca, replica }: Place, urls: readonly string[], build: Build): { readonly ca?: string } {
  if (ca === undefined) return {}
  const path = [...SESSIONS, 'ca']
  if (![...urls, replica ?? ''].some((url) => url.startsWith('rediss:')))
    build.report(path, 'goes with rediss:// only: remove it')
  const text = build.readText(ca, path)
  if (text !== undefined && !text.includes('-----BEGIN ')) build.report(path, 'is not a PEM file')
  return text === undefined ? {} : { ca: text }
}

function nodes(drafts: readonly Item<string>[], key: 'cluster' | 'sentinels', build: Build): readonly string[] {
  refuseEmpty(drafts, [...SESSIONS, key], WRITE_NODES, build)
  for (const { at, value } of drafts) {
    refusePassword([...SESSIONS, key, at], build)
    if (key === 'cluster' && databaseOf(value) !== 0)
      build.report([...SESSIONS, key, at], 'must not name a database: a cluster has one')
  }
  const urls = drafts.map((item) => item.value)
  if (new Set(urls.map((url) => url.slice(0, url.indexOf(':')))).size > 1) {
    build.report([...SESSIONS, key], 'must be redis:// or rediss:// throughout: a mix would send passwords in the clear')
  }
  return urls
}

function refusePassword(path: Path, build: Build): void {
  if (holdsPassword(build.written(path))) {
    build.report(path, 'a password never stands in this file: write redis://:${REDIS_PASSWORD}@HOST:PORT and set the variable')
  }
}

/** Where accounts are, without a password that stands in the file. */
export function buildAccountStorage(draft: Draft['storage']['accounts'], build: Build): AccountStorageConfig {
  if (draft === 'embedded') return { kind: 'embedded' }
  if (holdsPassword(build.written(ACCOUNTS))) {
    build.report(
      ACCOUNTS,
      `a password never stands in this file: write ${draft.kind}://USER:\${DATABASE_PASSWORD}@HOST:PORT/DATABASE and set the variable`,
    )
  }
  const file = new URL(draft.url).searchParams.get('sslrootcert')
  if (file !== null) build.readText(file, ACCOUNTS)
  return draft
}

/** The keys that seal; none on embedded storage, which keeps one of its own, unless the file says otherwise. */
export function buildMasterKeys(draft: Draft['masterKey'], sessions: SessionStorageConfig, build: Build): readonly Uint8Array[] {
  if (draft === undefined) {
    // Where the environment alone names Redis it is one gateway to begin with: a key of its own, and another gateway on the
    // same Redis that has another one cannot start.
    if (sessions.kind !== 'embedded' && build.isWritten(SESSIONS) && !build.isFaulty(MASTER_KEY)) {
      build.report(
        MASTER_KEY,
        'is required where sessions are in Redis, the same for every gateway: write { env: GATEHOUSE_MASTER_KEY }',
      )
    }
    return []
  }
  if (!Array.isArray(draft)) return [masterKey(draft, MASTER_KEY, build)].filter((key) => key !== undefined)
  refuseEmpty(draft, MASTER_KEY, 'write [{ env: NEW_KEY }, { env: OLD_KEY }]', build)
  const keys: Uint8Array[] = []
  for (const { at, value } of draft) {
    const key = masterKey(value, [...MASTER_KEY, at], build)
    if (key === undefined) continue
    if (keys.some((other) => Buffer.compare(other, key) === 0))
      build.report([...MASTER_KEY, at], 'is the same key again: remove one')
    keys.push(key)
  }
  return keys
}

/** The channel is one of the Redis that holds the sessions. */
export function buildLegacyChannel(
  draft: LegacyChannelConfig,
  sessions: SessionStorageConfig,
  build: Build,
): LegacyChannelConfig {
  if (sessions.kind === 'embedded' && !build.isFaulty(SESSIONS)) {
    build.report(
      ['revocation', 'legacyChannel'],
      'goes with storage.sessions in Redis only: remove it, or write redis://HOST:PORT there',
    )
  }
  return draft
}

function masterKey(source: SecretSource, path: Path, build: Build): Uint8Array | undefined {
  const text = readSecret(source, path, build)
  if (text === undefined) return undefined
  const key = parseMasterKey(text)
  if (key === undefined) build.report(path, 'the key must be 32 bytes in base64 or hex: make one with openssl rand -base64 32')
  return key
}
