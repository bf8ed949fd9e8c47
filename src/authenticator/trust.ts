import { isSame, type Config, type IssuerConfig, type JwsAlgorithm, type TenantConfig } from '../config/config.ts'
import { OWN_ISSUER } from '../exchange/exchange.ts'
import type { FetcherNeeds } from './fetcher.ts'
import { createRemoteKeyRing } from './jwks-cache.ts'
import type { RemoteKeyRing } from './jwks-cache.ts'
import { createFileKeyRing, createReloadedKeyRing, createSecretKeyRing } from './key-ring.ts'
import type { FileKeyRing, HeldKeyRing, KeyRing } from './key-ring.ts'

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
  readonly foreign: ReadonlyMap<string, ForeignRing>
  /** The issuers once more, for what remembers them. */
  readonly trusted: ReadonlySet<TrustedIssuer>
  /** Loads the keys that the trust before did not have. Rejects where they could never come by themselves. */
  start(): Promise<void>
  /** Puts in force what {@link start} read for rings that serve the trust before as well. */
  enter(): void
  /** Fetches no more, but for rings that `others` have too. */
  stop(others: readonly Trust[]): void
}

/** A key ring with what it was made of. */
interface ForeignRing {
  readonly of: Pick<IssuerConfig, 'keys' | 'algorithms'>
  readonly ring: KeyRing
  /** Its keys are in a file. */
  readonly file?: FileKeyRing
  readonly remote?: RemoteKeyRing
}

/** All that a tenant can sign with. Its keys, each made for one of them, say which: a change of `signing` strands no token. */
const OWN_ALGORITHMS: ReadonlySet<JwsAlgorithm> = new Set(['RS256', 'ES256', 'EdDSA'])

const OWN_CLAIMS = Object.freeze({ user: 'sub', scope: 'scope', session: 'sid', token: 'jti' })

/**
 * Throws when two issuers claim one `iss`: whose keys count would depend on their order.
 *
 * @param before The trust that this one follows: what is configured alike is the same in both, keys and all.
 */
export function createTrust(needs: TrustNeeds, config: Pick<Config, 'tenants' | 'issuers'>, before?: Trust): Trust {
  const issuers = new Map<string, TrustedIssuer>()
  const own = new Map<string, HeldKeyRing>()
  const foreign = new Map<string, ForeignRing>()
  // What is made here outlives the trust before, and must not hold it.
  const fresh: KeyRing[] = []
  const readAgain: FileKeyRing[] = []
  const staged: (() => void)[] = []
  for (const tenant of config.tenants.values()) {
    const ring = before?.own.get(tenant.id) ?? ownRing(needs, tenant.id)
    own.set(tenant.id, ring)
    add(issuers, tenant.issuer, trustOwn(tenant, ring), before)
  }
  for (const issuer of config.issuers.values()) {
    const known = before?.foreign.get(issuer.name)
    const made = foreignRing(needs, issuer, known)
    if (made !== known) fresh.push(made.ring)
    else if (made.file !== undefined) readAgain.push(made.file)
    foreign.set(issuer.name, made)
    add(issuers, issuer.issuer, trustForeign(issuer, made.ring), before)
  }
  return { issuers, own, foreign, trusted: new Set(issuers.values()), start, enter, stop }

  async function start(): Promise<void> {
    await Promise.all([
      ...fresh.map((ring) => ring.start()),
      ...readAgain.map(async (file) => void staged.push(await file.read())),
    ])
  }

  function enter(): void {
    for (const take of staged.splice(0)) take()
  }

  function stop(others: readonly Trust[]): void {
    for (const [name, { ring }] of foreign) {
      if (!others.some((other) => other.foreign.get(name)?.ring === ring)) ring.stop()
    }
  }
}

/** What is trusted as before is the same object as before: tokens that it verified are known by it. */
function add(issuers: Map<string, TrustedIssuer>, iss: string, made: TrustedIssuer, before: Trust | undefined): void {
  if (issuers.has(iss)) throw new Error(`issuer ${iss} is configured twice`)
  const known = before?.issuers.get(iss)
  issuers.set(iss, known !== undefined && isSameIssuer(known, made) ? known : made)
}

function isSameIssuer({ keys, ...one }: TrustedIssuer, { keys: otherKeys, ...other }: TrustedIssuer): boolean {
  return keys === otherKeys && isSame(one, other)
}

function ownRing(needs: TrustNeeds, tenant: string): HeldKeyRing {
  return createReloadedKeyRing({
    onDropped: (reason) => needs.events.keyDropped(OWN_ISSUER, reason),
    reload: () => needs.reloadOwnKeys(tenant),
    monotonicMs: () => needs.monotonicMs(),
  })
}

function foreignRing(needs: TrustNeeds, issuer: IssuerConfig, before: ForeignRing | undefined): ForeignRing {
  const { name, keys, algorithms } = issuer
  const of = { keys, algorithms }
  if (before !== undefined && isSame(before.of, of)) return before
  const onDropped = (reason: string): void => needs.events.keyDropped(name, reason)
  if (keys.kind === 'secrets') return { of, ring: createSecretKeyRing(name, keys.secrets, algorithms, onDropped) }
  if (keys.kind === 'file') {
    const file = createFileKeyRing(name, keys.file, (path) => needs.readFile(path), onDropped)
    return { of, ring: file, file }
  }
  const isSamePlace = before?.of.keys.kind === 'uri' && before.of.keys.uri === keys.uri
  const remote = createRemoteKeyRing(
    {
      fetch: needs.fetch,
      schedule: (delayMs, run) => needs.schedule(delayMs, run),
      monotonicMs: () => needs.monotonicMs(),
      random: () => needs.random(),
      onDropped,
      onFetched: (result, cause) => needs.events.jwksFetched(name, result, cause),
    },
    keys,
    isSamePlace ? before.remote : undefined,
  )
  return { of, ring: remote, remote }
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
    kind: issuer.madeBy === 'gateway' ? 'own' : 'foreign',
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
