/**
 * Opens the built-in services and hands each what it needs.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { createJwtVerifier, type Authenticator } from './authenticator/authenticator.ts'
import type { Config } from './config/config.ts'
import type { Admitted, Identified } from './exchange/exchange.ts'
import type { RevocationRoom } from './revocation/revocation.ts'
import { argon2id, createAccounts, createPasswords, createUserDirectory } from './services/accounts/accounts.ts'
import type { AccountEvent, UserDirectory } from './services/accounts/accounts.ts'
import { createClients, createReplayMemory } from './services/clients/clients.ts'
import { createDiscovery } from './services/discovery/discovery.ts'
import { createEcho } from './services/echo/echo.ts'
import { createHealth } from './services/health/health.ts'
import { createOAuth } from './services/oauth/oauth.ts'
import { createServices, type Services } from './services/services.ts'
import { createSessionEndpoints, createSessions, type Sessions } from './services/sessions/sessions.ts'
import type { Stores } from './stores.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import type { Tenants } from './tenants/tenants.ts'
import { monotonicMs, nowSeconds, random } from './world.ts'

export interface BuiltInNeeds {
  readonly stores: Pick<Stores, 'sessions' | 'accounts' | 'redis'>
  readonly tenants: Tenants
  readonly authenticator: Pick<Authenticator, 'verify' | 'checkOrigin'>
  readonly revocation: RevocationRoom
  readonly telemetry: Telemetry
  /** Takes what is for the audit record. */
  record(event: AccountEvent): void
  /** Reading of the monotonic clock when the gateway began to open. */
  readonly startedMs: number
}

export interface BuiltIns {
  readonly services: Services
  readonly sessions: Sessions
  readonly users: UserDirectory
}

export function openBuiltIns(needs: BuiltInNeeds, config: Config): BuiltIns {
  const { stores, tenants, revocation, startedMs } = needs
  const users = createUserDirectory(stores.accounts, () => sessions)
  const sessions = createSessions(
    {
      store: stores.sessions,
      users,
      tokens: tenants,
      nowSeconds,
      random,
      randomBytes,
      count(tenant, event, by) {
        for (let counted = 0; counted < by; counted += 1) needs.telemetry.events.sessions.event(tenant, event)
      },
    },
    config,
  )
  const clients = createClients(
    { nowSeconds, nowMs: monotonicMs, verifier: createJwtVerifier, replay: createReplayMemory({ nowSeconds }) },
    config,
  )
  const tokens = tokenChecks(needs)
  const services = createServices([
    createAccounts(
      {
        accounts: stores.accounts,
        sessions,
        passwords: createPasswords({ derive: argon2id, randomBytes, cores: availableParallelism() }),
        nowSeconds,
        nowMs: monotonicMs,
        randomBytes,
        record: needs.record,
        checkOrigin: needs.authenticator.checkOrigin,
      },
      config,
    ),
    createSessionEndpoints({ sessions, clients, ...tokens, checkOrigin: needs.authenticator.checkOrigin }, config),
    createOAuth({ sessions, clients, tokens: tenants, ...tokens, nowSeconds, nowMs: monotonicMs, random, randomBytes }, config),
    createDiscovery({ jwks: tenants.jwks, passportJwks: tenants.passport.jwks }, config),
    createHealth({
      uptimeSeconds: () => (monotonicMs() - startedMs) / 1000,
      redis: stores.redis,
      isDegraded: () => revocation.stalenessMs() > config.revocation.maxStalenessMs,
    }),
    createEcho(),
  ])
  return { services, sessions, users }
}

/** What the path does to a token in a header, for tokens in bodies. */
function tokenChecks({ authenticator, revocation }: BuiltInNeeds) {
  return {
    verify: async (token: string): Promise<Identified> => authenticator.verify(token),
    async check(admitted: Admitted, principal: Identified): Promise<void> {
      await revocation.check({ ...admitted, principal })
    },
    isRevoked: revocation.lists,
  }
}
