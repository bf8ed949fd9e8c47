/**
 * For services behind a gateway, or beside it: proves who sends a request, in this process, and asks nobody on the way.
 *
 * Behind a gateway the passport of each request is verified; beside one the access token, with the revocations. Both go through the very rooms
 * that the gateway itself uses. What cannot be verified is refused. This library issues nothing, writes nothing anywhere, trusts no
 * identity header that is not signed, and never sends a token to anybody but the gateway.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { createValidator } from 'gatehouse/validator'
 *
 * const gate = createValidator({ origin: 'http://localhost:8080', service: 'orders' })
 * createServer(gate.protect((request, response, { userId }) => response.end(`Hello ${userId}`))).listen(9001)
 * ```
 *
 * @module
 */
import {
  GatehouseError,
  InsufficientScopeError,
  InvalidTokenError,
  KeysUnavailableError,
  RevocationUnavailableError,
  TenantMismatchError,
  UnauthorizedError,
} from '../errors/errors.ts'
import { monotonicMs, WORLD } from '../world.ts'
import { bearerIn, passportIn, type Credentialed } from './credentials.ts'
import { createGatewayFeed } from './gateway-feed.ts'
import { identityFrom, type Identity } from './identity.ts'
import { createMiddleware, type Middleware, type Requirements } from './middleware.ts'
import type { RevocationState, Surroundings, ValidatorOptions } from './options.ts'
import { passportPlace, tokenPlaces } from './places.ts'
import { createRevocations, type RevocationsNeeds } from './revocations.ts'
import { readOptions, type Settings } from './settings.ts'
import { createVerifier } from './verifier.ts'

export * from '../errors/errors.ts'
export type { Credentialed } from './credentials.ts'
export { identityOf, optionalIdentityOf } from './identity.ts'
export type { Identity, RequestLike } from './identity.ts'
export type {
  ExpressMiddleware,
  FastifyHook,
  FastifyReplyLike,
  FastifyRequestLike,
  Middleware,
  MiddlewareOptions,
  ProtectedListener,
  Requirements,
} from './middleware.ts'
export type {
  FedRevocations,
  FeedClient,
  FreshnessOptions,
  IntrospectedRevocations,
  RedisRevocations,
  RevocationState,
  Surroundings,
  TenantOptions,
  TokenOptions,
  ValidatorEvent,
  ValidatorOptions,
} from './options.ts'

export interface Validator extends Middleware {
  /**
   * Who sends a request of node:http or of the Fetch API. Of a request with a passport the token is not looked at.
   *
   * @returns undefined only where `auth` is `optional` and no credentials came
   * @throws GatehouseError
   */
  authenticate(request: Credentialed, requirements?: Requirements & { readonly auth?: 'required' }): Promise<Identity>
  authenticate(request: Credentialed, requirements?: Requirements): Promise<Identity | undefined>
  /** @throws GatehouseError; InvalidTokenError where no `service` was named */
  verifyPassport(passport: string): Promise<Identity>
  /** @throws GatehouseError; InvalidTokenError where `tokens` was left out */
  verifyToken(token: string): Promise<Identity>
  /**
   * Resolves when keys and revocations were loaded. Nobody has to wait for it: requests that come earlier wait themselves.
   *
   * @param timeoutMs default: 5,000
   * @throws KeysUnavailableError | RevocationUnavailableError when they are not there by then; they are tried on
   */
  ready(timeoutMs?: number): Promise<void>
  /** For health checks and metrics. */
  state(): ValidatorState
  /** Stops every timer and connection. What is verified afterwards is refused as its keys and revocations grow stale. */
  close(): Promise<void>
}

export interface ValidatorState {
  /** Seconds since keys were fetched: of `passports`, or of a tenant. Infinite while they never were. */
  readonly keyAgeSeconds: Readonly<Record<string, number>>
  /** Absent where no feed is followed. */
  readonly revocations?: RevocationState
}

const LOOK_MS = 20
/** Of one question for news: an answer says that there were none. */
const LONGEST_WAIT_MS = 2_500

/**
 * Begins to fetch keys at once, in the background.
 *
 * @param surroundings clocks, chance and timers; default: those of the process
 * @throws TypeError for options that contradict themselves
 */
export function createValidator(options: ValidatorOptions, surroundings: Surroundings = { ...WORLD, monotonicMs }): Validator {
  const settings = readOptions(options)
  const passports =
    settings.service === undefined
      ? undefined
      : createVerifier(surroundings, [passportPlace(settings, settings.service)], settings)
  const tokens = settings.tokens === undefined ? undefined : createVerifier(surroundings, tokenPlaces(settings), settings)
  const revocations = createRevocations(
    revocationNeeds(surroundings, settings),
    settings.tokens ?? { kind: 'unchecked' },
    settings,
  )
  const verifiers = [passports, tokens].filter((one) => one !== undefined)
  for (const verifier of verifiers) void verifier.start()
  void revocations.start()
  return {
    authenticate,
    verifyPassport: (passport) => telling(fromPassport(passport)),
    verifyToken: (token) => telling(fromToken(token)),
    ...createMiddleware(authenticate),
    ready,
    state,
    async close() {
      for (const verifier of verifiers) verifier.stop()
      await revocations.stop()
    },
  }

  function authenticate(request: Credentialed, requirements?: Requirements & { readonly auth?: 'required' }): Promise<Identity>
  function authenticate(request: Credentialed, requirements?: Requirements): Promise<Identity | undefined>
  function authenticate(request: Credentialed, requirements?: Requirements): Promise<Identity | undefined> {
    return telling(admit(request, requirements))
  }

  async function admit(request: Credentialed, requirements: Requirements = {}): Promise<Identity | undefined> {
    const identity = await identify(request)
    if (identity === undefined) {
      if (requirements.auth === 'optional') return undefined
      throw new UnauthorizedError()
    }
    const { scopes = [] } = requirements
    if (scopes.every((scope) => identity.scopes.includes(scope))) return identity
    throw new InsufficientScopeError(undefined, { scope: scopes.join(' ') })
  }

  /** One that came with a bad passport is not taken for what its token says. */
  async function identify(request: Credentialed): Promise<Identity | undefined> {
    const passport = passports === undefined ? undefined : passportIn(request, settings.header)
    if (passport !== undefined) return fromPassport(passport)
    const token = tokens === undefined ? undefined : bearerIn(request)
    return token === undefined ? undefined : fromToken(token)
  }

  async function fromPassport(passport: string): Promise<Identity> {
    if (passports === undefined) throw new InvalidTokenError(undefined, { reason: 'passports_not_taken' })
    const principal = await passports.verify(passport)
    const tenant = principal.claims['tenant_id']
    if (typeof tenant !== 'string' || tenant === '') throw new InvalidTokenError(undefined, { reason: 'tenant' })
    if (settings.tenants?.has(tenant) === false) throw new TenantMismatchError()
    return identityFrom(principal, 'passport', tenant)
  }

  async function fromToken(token: string): Promise<Identity> {
    if (tokens === undefined) throw new InvalidTokenError(undefined, { reason: 'tokens_not_taken' })
    const principal = await tokens.verify(token)
    await revocations.check(principal, token)
    return identityFrom(principal, 'token', principal.tenant)
  }

  async function ready(timeoutMs = 5_000): Promise<void> {
    // The other timers keep no process alive: a program that does nothing but wait here must not end.
    const alive = setTimeout(() => undefined, timeoutMs + LOOK_MS)
    try {
      const lateMs = surroundings.monotonicMs() + timeoutMs
      for (let missing = findMissing(); missing !== undefined; missing = findMissing()) {
        if (surroundings.monotonicMs() >= lateMs) throw missing
        await new Promise<void>((resolve) => void surroundings.schedule(LOOK_MS, resolve))
      }
    } finally {
      clearTimeout(alive)
    }
  }

  function findMissing(): GatehouseError | undefined {
    const { keyAgeSeconds, revocations: known } = state()
    if (!Object.values(keyAgeSeconds).every(Number.isFinite)) return new KeysUnavailableError()
    return known !== undefined && !Number.isFinite(known.stalenessMs) ? new RevocationUnavailableError() : undefined
  }

  function state(): ValidatorState {
    const known = revocations.state()
    return {
      keyAgeSeconds: Object.fromEntries(verifiers.flatMap((verifier) => [...verifier.keyAges()])),
      ...(known === undefined ? {} : { revocations: known }),
    }
  }

  async function telling<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      if (error instanceof GatehouseError) settings.onEvent({ kind: 'refused', error })
      throw error
    }
  }
}

function revocationNeeds(surroundings: Surroundings, settings: Settings): RevocationsNeeds {
  return {
    surroundings,
    async openFeed(source, { maxStalenessMs }, unfit) {
      if (source.kind === 'gateway') {
        const waitMs = Math.floor(Math.min(maxStalenessMs / 4, LONGEST_WAIT_MS))
        const feed = createGatewayFeed(surroundings, { source, settings, waitMs })
        return {
          log: feed,
          covers: (tenant) => (feed.tenant() === undefined ? undefined : feed.tenant() === tenant),
          close: feed.close,
        }
      }
      // Read when it is asked for: who takes passports only needs no client of Redis.
      const { openRevocationFeed } = await import('../storage/redis/redis.ts')
      const nowSeconds = (): number => Math.floor(surroundings.nowMs() / 1000)
      const { random, schedule } = surroundings
      const needs = { nowMs: surroundings.monotonicMs, random, schedule, nowSeconds, unfit }
      const feed = await openRevocationFeed(needs, source.redis)
      return { log: feed, covers: () => true, close: feed.close }
    },
  }
}
