import type { Config, IssuerConfig, JwsAlgorithm, TenantConfig } from '../config/config.ts'
import { OWN_ISSUER } from '../exchange/exchange.ts'
import type { FetcherNeeds } from './fetcher.ts'
import { createRemoteKeyRing } from './jwks-cache.ts'
import type { RemoteKeyRing } from './jwks-cache.ts'
import { createFileKeyRing, createReloadedKeyRing, createSecretKeyRing } from './key-ring.ts'
import type { HeldKeyRing, KeyRing } from './key-ring.ts'

/** What is expected of the tokens of one `iss`. Times in seconds. */
export interface TrustedIssuer {
  readonly kind: 'own' | 'foreign'
  /** Name in the configuration. */
  readonly name: string
  readonly tenant: string
  /** Undefined: any. */
  readonly audiences: ReadonlySet<string> | undefined
  readonly algorithms: ReadonlySet<JwsAlgorithm>
  readonly skewSeconds: number
  readonly maxLifetimeSeconds: number
  readonly claims: IssuerConfig['claims']
  /**
   * What a token is known by. A digest stands in only for tokens of shared secrets: whoever holds an elliptic signature can
   * write it in a second way, which would be a token that was not revoked.
   */
  readonly ids: 'claim' | 'claim or digest'
  readonly keys: KeyRing
}

export interface TrustNeeds extends FetcherNeeds {
  monotonicMs(): number
  random(): number
  readFile(path: string): Promise<string>
  /** Reads the keys of a tenant again and hands in what is new. Never rejects. */
  reloadOwnKeys(tenant: string): Promise<void>
  readonly events: {
    jwksFetched(issuer: string, result: 'ok' | 'error', cause?: unknown): void
    keyDropped(issuer: string, reason: string): void
  }
}

/** Every issuer that is trusted, and the key rings by what they are asked for. */
export interface Trust {
  /** By `iss`, to the letter. */
  readonly issuers: ReadonlyMap<string, TrustedIssuer>
  /** By tenant. */
  readonly own: ReadonlyMap<string, HeldKeyRing>
  /** By issuer's name. */
  readonly remote: ReadonlyMap<string, RemoteKeyRing>
}

/** All that a tenant can sign with. Its keys, each made for one of them, say which: a change of `signing` strands no token. */
const OWN_ALGORITHMS: ReadonlySet<JwsAlgorithm> = new Set(['RS256', 'ES256', 'EdDSA'])

const OWN_CLAIMS = Object.freeze({ user: 'sub', scope: 'scope', session: 'sid', token: 'jti' })

/** Throws when two issuers claim one `iss`: whose keys count would depend on their order. */
export function createTrust(needs: TrustNeeds, config: Pick<Config, 'tenants' | 'issuers'>): Trust {
  const issuers = new Map<string, TrustedIssuer>()
  const own = new Map<string, HeldKeyRing>()
  const remote = new Map<string, RemoteKeyRing>()
  for (const tenant of config.tenants.values()) {
    const ring = createReloadedKeyRing({
      onDropped: (reason) => needs.events.keyDropped(OWN_ISSUER, reason),
      reload: () => needs.reloadOwnKeys(tenant.id),
      monotonicMs: () => needs.monotonicMs(),
    })
    own.set(tenant.id, ring)
    add(tenant.issuer, trustOwn(tenant, ring))
  }
  for (const issuer of config.issuers.values()) {
    add(issuer.issuer, trustForeign(issuer, ringOf(needs, issuer, remote)))
  }
  return { issuers, own, remote }

  function add(iss: string, trusted: TrustedIssuer): void {
    if (issuers.has(iss)) throw new Error(`issuer ${iss} is configured twice`)
    issuers.set(iss, trusted)
  }
}

function ringOf(needs: TrustNeeds, issuer: IssuerConfig, remote: Map<string, RemoteKeyRing>): KeyRing {
  const { name, keys, algorithms } = issuer
  const onDropped = (reason: string): void => needs.events.keyDropped(name, reason)
  if (keys.kind === 'secrets') return createSecretKeyRing(name, keys.secrets, algorithms, onDropped)
  if (keys.kind === 'file') return createFileKeyRing(name, keys.file, (path) => needs.readFile(path), onDropped)
  const ring = createRemoteKeyRing(
    {
      fetch: needs.fetch,
      schedule: (delayMs, run) => needs.schedule(delayMs, run),
      monotonicMs: () => needs.monotonicMs(),
      random: () => needs.random(),
      onDropped,
      onFetched: (result, cause) => needs.events.jwksFetched(name, result, cause),
    },
    keys,
  )
  remote.set(name, ring)
  return ring
}

function trustOwn(tenant: TenantConfig, keys: KeyRing): TrustedIssuer {
  return Object.freeze({
    kind: 'own',
    name: OWN_ISSUER,
    tenant: tenant.id,
    audiences: new Set([tenant.audience]),
    algorithms: OWN_ALGORITHMS,
    skewSeconds: tenant.clockSkewSeconds,
    // Ours are as long as we made them: a shorter `lifetime` holds for new tokens.
    maxLifetimeSeconds: Number.POSITIVE_INFINITY,
    claims: OWN_CLAIMS,
    ids: 'claim',
    keys,
  })
}

function trustForeign(issuer: IssuerConfig, keys: KeyRing): TrustedIssuer {
  return Object.freeze({
    kind: 'foreign',
    name: issuer.name,
    tenant: issuer.tenant,
    audiences: issuer.audiences === 'any' ? undefined : new Set(issuer.audiences),
    algorithms: new Set(issuer.algorithms),
    skewSeconds: issuer.clockSkewSeconds,
    maxLifetimeSeconds: issuer.maxLifetimeSeconds,
    claims: issuer.claims,
    ids: issuer.keys.kind === 'secrets' ? 'claim or digest' : 'claim',
    keys,
  })
}
