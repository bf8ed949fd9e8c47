import { createAuthenticator } from '../authenticator/authenticator.ts'
import type { IssuerConfig } from '../config/config.ts'
import { errorOf, KeysUnavailableError, TenantNotFoundError, type GatehouseError } from '../errors/errors.ts'
import type { Identified } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import type { Surroundings } from './options.ts'
import type { Settings } from './settings.ts'

/** Verifies the JWTs of one kind: form, issuer, audience, times and signature, with keys that are fetched and kept. */
export interface Verifier {
  /** Rejects with a {@link GatehouseError}. */
  verify(token: string): Promise<Identified>
  /** Fetches the keys; resolves after the first attempt, and goes on trying. */
  start(): Promise<void>
  stop(): void
  /** Seconds since the keys of each issuer were fetched, by its name; infinite while they never were. */
  keyAges(): ReadonlyMap<string, number>
}

export interface KeyPlace {
  /** Name in events and ages. */
  readonly name: string
  readonly issuer: string
  readonly tenant: string
  readonly audience: string
  readonly uri: string
  /** `passport`: says its tenant itself, and is ES256 always. */
  readonly kind: 'passport' | 'token'
}

/** Keys serve so long after the gateway was last heard of. */
const STALE_MS = 24 * 3_600_000
const FETCH_MS = 2_000
/** Tokens of unknown keys cause no more than one fetch in this time, after the first two. */
const BETWEEN_MS = 5_000
/** The sets are small, and a key that was taken back should not be trusted for long. */
const REFRESH_MS = 60_000
/** Of a passport; `identity.passport.lifetime` is never longer. */
const PASSPORT_SECONDS = 3_600
const REMEMBERED_MS = 3_600_000

export function createVerifier(surroundings: Surroundings, places: readonly KeyPlace[], settings: Settings): Verifier {
  const names = new Map(places.map((place) => [place.issuer, place.name]))
  const states = new Map<string, 'up' | 'down'>()
  const authenticator = createAuthenticator(
    {
      ...surroundings,
      fetch: settings.fetch,
      readFile: () => Promise.reject(new Error('no keys are in files')),
      ownKeys: () => [],
      events: { ...SILENT, jwksFetched: noteKeys },
    },
    {
      tenants: new Map(),
      issuers: new Map(places.map((place) => [place.name, issuerOf(place, settings)])),
      tokenCache: { entries: settings.cacheEntries, lifetimeMs: REMEMBERED_MS },
      listeners: { public: { origin: settings.origin } },
    },
  )
  return { verify, start: authenticator.start, stop: () => authenticator.stop(), keyAges }

  async function verify(token: string): Promise<Identified> {
    try {
      return await authenticator.verify(token)
    } catch (error) {
      throw error instanceof Problem ? refusal(error, token) : error
    }
  }

  function refusal(problem: Problem, token: string): GatehouseError {
    const reason = problem.facts.detail ?? problem.kind
    const issuer = issuerNamedIn(token)
    const name = names.get(issuer)
    if (reason === 'issuer' && issuer.startsWith(`${settings.origin}/t/`))
      return new TenantNotFoundError(undefined, { reason, status: 401 })
    const areMissing = name !== undefined && (keyAges().get(name) ?? 0) * 1000 > STALE_MS
    if (reason === 'unknown_key' && areMissing) return new KeysUnavailableError(undefined, { reason, retryAfterSeconds: 1 })
    return errorOf(problem.error, undefined, { reason, status: problem.status })
  }

  function keyAges(): ReadonlyMap<string, number> {
    return new Map(authenticator.jwksAgeSeconds().map(({ issuer, seconds }) => [issuer, seconds]))
  }

  function noteKeys(of: string, result: 'ok' | 'error', cause?: unknown): void {
    const state = result === 'ok' ? 'up' : 'down'
    if (states.get(of) === state) return
    states.set(of, state)
    settings.onEvent({ kind: 'keys', of, state, ...(cause === undefined ? {} : { cause }) })
  }
}

const SILENT = Object.freeze({
  decided: () => undefined,
  cache: () => undefined,
  validated: () => undefined,
  validationSeconds: () => undefined,
  keyDropped: () => undefined,
})

function issuerOf(place: KeyPlace, settings: Settings): IssuerConfig {
  const isPassport = place.kind === 'passport'
  return {
    name: place.name,
    issuer: place.issuer,
    tenant: place.tenant,
    audiences: [place.audience],
    algorithms: isPassport ? ['ES256'] : ['RS256', 'ES256', 'EdDSA'],
    keys: {
      kind: 'uri',
      uri: place.uri,
      refreshMs: REFRESH_MS,
      minIntervalMs: BETWEEN_MS,
      staleForMs: STALE_MS,
      timeoutMs: FETCH_MS,
    },
    clockSkewSeconds: settings.clockSkewSeconds,
    maxLifetimeSeconds: isPassport ? PASSPORT_SECONDS : Number.POSITIVE_INFINITY,
    ...(isPassport ? {} : { madeBy: 'gateway' }),
    claims: { user: 'sub', scope: 'scope', session: 'sid', token: 'jti' },
  }
}

/** What an unverified token says of itself: good for nothing but the choice of an error. */
function issuerNamedIn(token: string): string {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.', 3)[1] ?? '', 'base64url').toString())
    return typeof claims === 'object' && claims !== null && 'iss' in claims ? String(claims.iss) : ''
  } catch {
    // Not a JWT, which the error says already.
    return ''
  }
}
