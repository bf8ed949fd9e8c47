import type { TenantConfig } from './config.ts'
import type { Build } from './build.ts'
import { buildCountries } from './build-geography.ts'
import type { GeographyConfig } from './build-geography.ts'
import type { Path } from './faults.ts'
import type { TenantDraft } from './schema.ts'

/** The tenants, `default` among them, none of which shares a host or an issuer with another. */
export function buildTenants(
  drafts: Readonly<Record<string, TenantDraft>>,
  fallback: TenantDraft,
  { origin, geography }: { readonly origin: string; readonly geography: GeographyConfig | undefined },
  build: Build,
): ReadonlyMap<string, TenantConfig> {
  const entries = Object.entries(drafts)
  if (!Object.hasOwn(drafts, 'default')) entries.unshift(['default', fallback])
  const tenants = new Map<string, TenantConfig>()
  for (const [id, draft] of entries)
    tenants.set(id, { ...buildTenant(id, draft, origin, build), ...buildPlaces(id, draft, geography, build) })
  refuseSharedHosts(entries, build)
  refuseSharedIssuers(tenants, build)
  return tenants
}

function buildTenant(id: string, draft: TenantDraft, origin: string, build: Build): TenantConfig {
  const { lifetime, idle, grace, rotation } = draft.refreshToken
  const path = ['tenants', id, 'refreshToken', 'idle']
  if (idle > lifetime && build.isWritten(path)) build.report(path, 'must not be longer than lifetime')
  refuseGraceWithoutRotation(['tenants', id, 'refreshToken', 'grace'], rotation, build)
  const { rotateEvery, publishBefore } = draft.keys
  if (rotateEvery < 2 * publishBefore) {
    const key = build.isWritten(['tenants', id, 'keys', 'rotateEvery']) ? 'rotateEvery' : 'publishBefore'
    build.report(['tenants', id, 'keys', key], 'rotateEvery must be at least twice as long as publishBefore')
  }
  return {
    id,
    name: draft.name ?? id,
    hosts: [...new Set(draft.hosts.map((item) => item.value))],
    issuer: draft.issuer ?? `${origin}/t/${id}`,
    audience: draft.audience,
    signing: draft.signing,
    accessToken: { lifetimeSeconds: draft.accessToken.lifetime, jitter: draft.accessToken.jitter },
    refreshToken: {
      lifetimeSeconds: lifetime,
      idleSeconds: Math.min(idle, lifetime),
      rotation,
      graceSeconds: grace,
    },
    sessionsPerUser: draft.sessionsPerUser,
    loginScopes: [...new Set(draft.loginScopes.map((item) => item.value))],
    keys: { rotateEverySeconds: rotateEvery, publishBeforeSeconds: publishBefore },
    registration: draft.registration,
    clockSkewSeconds: draft.clockSkew,
    throttle: {
      loginPerMinute: draft.throttle.login,
      usernamesPerMinute: draft.throttle.usernames,
      usernamesTotalPerMinute: draft.throttle.usernamesTotal,
    },
    usernames: {
      reserved: draft.usernames.reserved.map((item) => item.value),
      protected: draft.usernames.protected.map((item) => item.value),
    },
  }
}

/** Where its users are, and where they were. */
function buildPlaces(
  id: string,
  { countries, anomalies }: TenantDraft,
  geography: GeographyConfig | undefined,
  build: Build,
): Pick<TenantConfig, 'countries' | 'anomalies'> {
  const path = ['tenants', id, 'anomalies', 'impossibleTravel']
  if (anomalies.impossibleTravel !== 'off' && geography === undefined && !build.isFaulty(['geography']))
    build.report(path, 'needs geography, which says which country a client is in')
  const isOff = anomalies.newDevice === 'off' && anomalies.impossibleTravel === 'off'
  return {
    ...buildCountries(['tenants', id, 'countries'], countries, geography, build),
    ...(isOff ? {} : { anomalies }),
  }
}

function refuseSharedHosts(entries: readonly [string, TenantDraft][], build: Build): void {
  const owners = new Map<string, string>()
  for (const [id, draft] of entries) {
    for (const { at, value } of draft.hosts) {
      const owner = owners.get(value)
      if (owner !== undefined && owner !== id) {
        build.report(['tenants', id, 'hosts', at], `is a host of tenants.${owner} too: a host belongs to one tenant`)
      }
      owners.set(value, owner ?? id)
    }
  }
}

function refuseSharedIssuers(tenants: ReadonlyMap<string, TenantConfig>, build: Build): void {
  const owners = new Map<string, string>()
  for (const { id, issuer } of tenants.values()) {
    const owner = owners.get(issuer)
    // A default is nowhere in the file: the fault stands where the issuer is written.
    const [at, other] = build.isWritten(['tenants', id, 'issuer']) || owner === undefined ? [id, owner] : [owner, id]
    if (other !== undefined)
      build.report(['tenants', at, 'issuer'], `is the issuer of tenants.${other} too: each tenant has its own`)
    owners.set(issuer, owner ?? id)
  }
}

function refuseGraceWithoutRotation(path: Path, rotation: boolean, build: Build): void {
  if (!rotation && build.isWritten(path)) build.report(path, 'has no effect without rotation: remove it')
}
