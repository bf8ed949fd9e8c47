import { OWN_ISSUER } from '../exchange/exchange.ts'
import { isInsecure } from './addresses.ts'
import { readSecret, refuseEmpty } from './build.ts'
import type { Build } from './build.ts'
import type { IssuerConfig, JwsAlgorithm, KeySourceConfig, TenantConfig } from './config.ts'
import type { Path } from './faults.ts'
import type { IssuerDraft } from './schema.ts'
import { didYouMean, orList } from './suggest.ts'

/** A shared secret is as long as its hash at least (RFC 7518 §3.2). */
const SECRET_BYTES: Readonly<Partial<Record<JwsAlgorithm, number>>> = { HS256: 32, HS384: 48, HS512: 64 }

/** Used when the file gives no keys: there is a fault then, and nothing uses the result. */
const NO_KEYS: KeySourceConfig = { kind: 'secrets', secrets: [] }

export function buildIssuers(
  drafts: Readonly<Record<string, IssuerDraft>>,
  tenants: ReadonlyMap<string, TenantConfig>,
  build: Build,
): ReadonlyMap<string, IssuerConfig> {
  const issuers = new Map<string, IssuerConfig>()
  const owners = new Map([...tenants.values()].map((tenant) => [tenant.issuer, `tenants.${tenant.id}`]))
  for (const [name, draft] of Object.entries(drafts)) {
    const path = ['issuers', name]
    if (name === OWN_ISSUER) build.report(path, 'gateway is the name of the gateway itself: choose another')
    const issuer = buildIssuer(name, draft, tenants, build)
    const owner = owners.get(issuer.issuer)
    if (owner !== undefined)
      build.report([...path, 'issuer'], `is the issuer of ${owner} too: keys of two would verify one token`)
    owners.set(issuer.issuer, owner ?? `issuers.${name}`)
    issuers.set(name, issuer)
  }
  return issuers
}

function buildIssuer(name: string, draft: IssuerDraft, tenants: ReadonlyMap<string, TenantConfig>, build: Build): IssuerConfig {
  const path = ['issuers', name]
  const require = (key: string, write: string) => build.report([...path, key], `is required: write ${write}`)
  if (draft.issuer === undefined) require('issuer', 'the iss of its tokens')
  if (draft.tenant === undefined)
    require('tenant', `the tenant its tokens belong to, such as ${[...tenants.keys()][0] ?? 'default'}`)
  else if (!tenants.has(draft.tenant)) {
    build.report(
      [...path, 'tenant'],
      `there is no such tenant${didYouMean(draft.tenant, tenants.keys()) || `: write ${orList([...tenants.keys()].slice(0, 8))}`}`,
    )
  }
  if (draft.audiences === undefined) require('audiences', 'a list such as [api], or any')
  else if (draft.audiences !== 'any')
    refuseEmpty(draft.audiences, [...path, 'audiences'], 'write a list such as [api], or any', build)
  const algorithms = [...new Set((draft.algorithms ?? []).map((item) => item.value))]
  if (draft.algorithms === undefined) require('algorithms', 'a list such as [RS256]')
  else refuseEmpty(algorithms, [...path, 'algorithms'], 'write a list such as [RS256]', build)
  return {
    name,
    issuer: draft.issuer ?? `issuers.${name}`,
    tenant: draft.tenant ?? 'default',
    audiences: draft.audiences === 'any' ? 'any' : [...new Set((draft.audiences ?? []).map((item) => item.value))],
    algorithms,
    keys: buildKeys(path, draft, algorithms, build),
    clockSkewSeconds: draft.clockSkew,
    maxLifetimeSeconds: draft.maxLifetime,
    claims: buildClaims(draft.claims),
  }
}

function buildClaims({ userElse, ...claims }: IssuerDraft['claims']): IssuerConfig['claims'] {
  return { ...claims, ...(userElse === undefined ? {} : { userElse }) }
}

/** Secrets go with HS*, public keys with all else; an issuer that had both could be forged with its own public key. */
function buildKeys(path: Path, draft: IssuerDraft, algorithms: readonly JwsAlgorithm[], build: Build): KeySourceConfig {
  const symmetric = algorithms.filter((algorithm) => algorithm in SECRET_BYTES)
  const { jwks, secrets } = draft
  if (symmetric.length > 0 && symmetric.length < algorithms.length) {
    build.report([...path, 'algorithms'], 'must not mix HS* with others: HS* needs secrets, the others jwks')
  } else if (symmetric.length > 0) {
    if (jwks !== undefined) build.report([...path, 'jwks'], 'does not go with HS*: remove it, and write secrets')
    if (secrets === undefined) build.report([...path, 'secrets'], 'is required for HS*: write [{ env: NAME }]')
  } else if (algorithms.length > 0) {
    if (secrets !== undefined) build.report([...path, 'secrets'], 'works with HS* only: remove it, and write jwks')
    if (jwks === undefined) build.report([...path, 'jwks'], 'is required: write { uri: https://… } or { file: PATH }')
  } else if (jwks !== undefined && secrets !== undefined) {
    build.report([...path, 'secrets'], 'does not go with jwks: remove one of the two')
  }
  if (secrets !== undefined) return buildSecrets([...path, 'secrets'], secrets, symmetric, build)
  return jwks === undefined ? NO_KEYS : buildJwks([...path, 'jwks'], jwks, build)
}

function buildSecrets(
  path: Path,
  sources: NonNullable<IssuerDraft['secrets']>,
  algorithms: readonly JwsAlgorithm[],
  build: Build,
): KeySourceConfig {
  refuseEmpty(sources, path, 'write [{ env: NAME }]', build)
  const least = Math.max(0, ...algorithms.map((algorithm) => SECRET_BYTES[algorithm] ?? 0))
  const longest = algorithms.find((algorithm) => SECRET_BYTES[algorithm] === least)
  const secrets: Uint8Array[] = []
  for (const { at, value } of sources) {
    const text = readSecret(value, [...path, at], build)
    if (text === undefined) continue
    const bytes = new TextEncoder().encode(text)
    if (bytes.length < least) build.report([...path, at], `the secret is too short: ${longest} needs at least ${least} bytes`)
    secrets.push(bytes)
  }
  return { kind: 'secrets', secrets }
}

function buildJwks(path: Path, jwks: NonNullable<IssuerDraft['jwks']>, build: Build): KeySourceConfig {
  if (jwks.file !== undefined) {
    if (jwks.uri !== undefined) build.report([...path, 'file'], 'does not go with uri: remove one of the two')
    for (const key of ['refresh', 'minInterval', 'staleFor', 'timeout', 'allowInsecure']) {
      if (jwks.uri === undefined && build.isWritten([...path, key]))
        build.report([...path, key], 'has no effect on a file: remove it')
    }
    readKeyFile(jwks.file, [...path, 'file'], build)
    return { kind: 'file', file: build.resolve(jwks.file) }
  }
  if (jwks.uri === undefined) {
    build.report([...path, 'uri'], 'is required: write uri: https://… or file: PATH')
    return NO_KEYS
  }
  if (!jwks.allowInsecure && isInsecure(jwks.uri)) {
    build.report(
      [...path, 'uri'],
      'must be an https:// URL: http to another machine lets anyone on the way choose the keys (allowInsecure: true accepts that)',
    )
  }
  if (jwks.staleFor < jwks.refresh) {
    build.report([...path, 'staleFor'], 'must not be shorter than refresh: keys have to serve until they are fetched again')
  }
  return {
    kind: 'uri',
    uri: jwks.uri,
    refreshMs: jwks.refresh,
    minIntervalMs: jwks.minInterval,
    staleForMs: jwks.staleFor,
    timeoutMs: jwks.timeout,
  }
}

function readKeyFile(file: string, path: Path, build: Build): void {
  const text = build.readText(file, path)
  if (text === undefined) return
  const keys = /"keys"\s*:\s*\[/.test(text.slice(0, 1024 * 1024))
  if (!keys) build.report(path, 'is not a JWKS file: it has no "keys" list')
}
