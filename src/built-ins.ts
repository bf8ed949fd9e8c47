/**
 * Opens the built-in services and hands each what it needs.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { createJwtVerifier, type Authenticator } from './authenticator/authenticator.ts'
import type { Config } from './config/config.ts'
import type { Admitted, Identified } from './exchange/exchange.ts'
import type { Geography } from './geography/geography.ts'
import type { Quota } from './quota/quota.ts'
import type { RevocationRoom } from './revocation/revocation.ts'
import {
  createAccounts,
  createAnomalies,
  createPasswordRules,
  createProfiles,
  createUserDirectory,
} from './services/accounts/accounts.ts'
import type {
  AccountEvent,
  Anomalies,
  AnomalyEvent,
  BreachedPasswords,
  LoginThrottle,
  Passwords,
  UserDirectory,
} from './services/accounts/accounts.ts'
import { createClients, type Failures } from './services/clients/clients.ts'
import { createDiscovery } from './services/discovery/discovery.ts'
import { createEcho } from './services/echo/echo.ts'
import { createGraphql, type Graphql } from './services/graphql/graphql.ts'
import { createHealth } from './services/health/health.ts'
import { createOAuth } from './services/oauth/oauth.ts'
import { createRevocationFeed } from './services/revocations/revocations.ts'
import { createServices, type Services } from './services/services.ts'
import { createSessionEndpoints, createSessions } from './services/sessions/sessions.ts'
import type { SessionEndpointsNeeds, Sessions, SessionsNeeds } from './services/sessions/sessions.ts'
import type { Usernames } from './services/usernames/usernames.ts'
import type { Stores } from './stores.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import type { Tenants } from './tenants/tenants.ts'
import { monotonicMs, type World } from './world.ts'

export interface BuiltInNeeds {
  readonly stores: Pick<Stores, 'sessions' | 'accounts' | 'used' | 'devices' | 'log' | 'redis' | 'database' | 'unconfirmed'>
  readonly tenants: Tenants
  readonly authenticator: Pick<Authenticator, 'verify' | 'tokenOf' | 'checkOrigin'>
  readonly revocation: RevocationRoom
  readonly telemetry: Telemetry
  readonly usernames: Usernames
  readonly passwords: Passwords
  readonly geography: Pick<Geography, 'countryOf' | 'cross'>
  readonly loginThrottle: LoginThrottle
  readonly clientFailures: Failures
  readonly quota: Pick<Quota, 'proved'>
  /** Absent: passwords are not looked up. */
  readonly breached?: BreachedPasswords | undefined
  /** Takes what is for the audit record. */
  record(event: AccountEvent | AnomalyEvent): void
  /** Told of refresh tokens that come when their session is over. */
  readonly expired?: NonNullable<SessionsNeeds['expired']>
  /** Takes access tokens that end as they are; undefined: nobody is to have them. */
  readonly tokenEnded: ((token: string) => void) | undefined
  /** Reading of the monotonic clock when the gateway began to open. */
  readonly startedMs: number
  readonly world: World
}

export interface BuiltIns {
  readonly services: Services
  readonly sessions: Sessions
  readonly users: UserDirectory
  readonly graphql: Graphql
}

export function openBuiltIns(needs: BuiltInNeeds, config: Config): BuiltIns {
  const { stores, tenants, revocation, startedMs } = needs
  const { nowSeconds, random } = needs.world
  const users = createUserDirectory(stores.accounts, () => sessions)
  const sessions = createSessions(
    {
      store: stores.sessions,
      users,
      tokens: tenants,
      nowSeconds,
      random,
      randomBytes,
      ...(needs.expired !== undefined && { expired: needs.expired }),
      count(tenant, event, by) {
        for (let counted = 0; counted < by; counted += 1) needs.telemetry.events.sessions.event(tenant, event)
      },
    },
    config,
  )
  const clients = createClients(
    {
      nowSeconds,
      nowMs: monotonicMs,
      verifier: createJwtVerifier,
      used: stores.used,
      failures: needs.clientFailures,
      proved: needs.quota.proved,
    },
    config,
  )
  const tokens = { ...tokenChecks(needs), ...(needs.tokenEnded !== undefined && { tokenEnded: needs.tokenEnded }) }
  const profiles = createProfiles({ accounts: stores.accounts, names: needs.usernames, nowSeconds, record: needs.record }, config)
  const graphql = createGraphql({ names: needs.usernames, profiles }, config)
  const anomalies = createAnomalies({
    devices: stores.devices,
    countryOf: needs.geography.countryOf,
    nowSeconds,
    record: needs.record,
    count: (tenant, event) => needs.telemetry.events.sessions.event(tenant, event),
  })
  const lookAt = lookingFor(anomalies, config)
  const services = createServices(
    [
      createAccounts(
        {
          accounts: stores.accounts,
          sessions,
          profiles,
          rules: createPasswordRules(needs.breached),
          devices: tenants.deviceTokens,
          anomalies,
          cross: needs.geography.cross,
          countryOf: needs.geography.countryOf,
          passwords: needs.passwords,
          throttle: needs.loginThrottle,
          nowSeconds,
          nowMs: monotonicMs,
          randomBytes,
          record: needs.record,
          checkOrigin: needs.authenticator.checkOrigin,
          areSessionsAway: () => stores.redis() === 'down',
          callerEnded: (admitted) => {
            const token = needs.tokenEnded === undefined ? undefined : needs.authenticator.tokenOf(admitted)
            if (token !== undefined) needs.tokenEnded?.(token)
          },
        },
        config,
      ),
      createSessionEndpoints(
        { sessions, clients, ...tokens, checkOrigin: needs.authenticator.checkOrigin, ...(lookAt && { lookAt }) },
        config,
      ),
      createOAuth({ sessions, clients, tokens: tenants, ...tokens, nowSeconds, nowMs: monotonicMs, random, randomBytes }, config),
      createRevocationFeed({
        clients,
        source: { ...revocation, readAfter: stores.log.readAfter },
        nowMs: monotonicMs,
        schedule: needs.world.schedule,
      }),
      needs.usernames.service,
      graphql.service,
      createDiscovery({ jwks: tenants.jwks, passportJwks: tenants.passport.jwks }, config),
      createHealth({
        uptimeSeconds: () => (monotonicMs() - startedMs) / 1000,
        redis: stores.redis,
        isDegraded: () => stores.database() === 'down' || revocation.stalenessMs() > config.revocation.maxStalenessMs,
      }),
      createEcho(),
    ],
    { isUnconfirmed: () => stores.unconfirmed() > 0 },
  )
  return { services, sessions, users, graphql }
}

/** `client_id` of sessions that a login made: others were begun by a client, whose place is not that of its user. */
const LOGIN = 'gatehouse'

/** Undefined where no tenant looks for anything: then a refresh pays nothing for it. */
function lookingFor(anomalies: Anomalies, { tenants }: Config): SessionEndpointsNeeds['lookAt'] {
  if (![...tenants.values()].some((tenant) => tenant.anomalies !== undefined)) return undefined
  return async (session, admitted) => {
    const tenant = tenants.get(session.tenant)
    if (tenant === undefined) return undefined
    const device = session.clientId === LOGIN ? session.device : undefined
    return anomalies.renew({ tenant, session: { ...session, device }, admitted })
  }
}

/** What the path does to a token in a header, for tokens in bodies. */
function tokenChecks({ authenticator, revocation }: BuiltInNeeds) {
  return {
    verify: async (token: string, by?: Admitted): Promise<Identified> => authenticator.verify(token, by),
    async check(admitted: Admitted, principal: Identified): Promise<void> {
      await revocation.check({ ...admitted, principal })
    },
    isRevoked: revocation.lists,
  }
}
