/**
 * The gateway's own signing keys: one key pair for each tenant and one for passports.
 *
 * Keys are made on the first start and kept as sealed text by whoever implements {@link KeyStore}. A private key never
 * leaves this room: what is returned signs, or is public.
 *
 * @module
 */
import { sign as signBytes } from 'node:crypto'
import { SignJWT } from 'jose'
import type { SigningAlgorithm, TenantConfig } from '../config/config.ts'
import { Problem } from '../problem/problem.ts'
import type { KeySet, SigningKey } from './key-set.ts'
import { openKeySet } from './key-set.ts'
import type { RefreshToken } from './refresh-token.ts'
import { createRefreshTokens } from './refresh-token.ts'
import { createSeal } from './seal.ts'

export type { RefreshToken } from './refresh-token.ts'

/** Keeps sealed key sets by owner: `tenant:ID` or `gateway`. Storage implements it. */
export interface KeyStore {
  load(owner: string): Promise<string | undefined>
  /**
   * Stores `sealed` if what is stored now is `replacing` (undefined: nothing), in one step: of several starters one wins.
   *
   * @returns what is stored afterwards
   */
  save(owner: string, sealed: string, replacing: string | undefined): Promise<string>
}

/** A public key as in a JWKS (RFC 7517 §4). Frozen. */
export interface PublicJwk {
  readonly kty: string
  /** RFC 7638 thumbprint. */
  readonly kid: string
  readonly alg: SigningAlgorithm
  readonly use: 'sig'
  readonly n?: string
  readonly e?: string
  readonly crv?: string
  readonly x?: string
  readonly y?: string
}

export type Claims = Readonly<Record<string, unknown>>

/** Every method that takes a tenant throws `tenant_not_found` for one that is not configured. */
export interface Tenants {
  /** Signs a JWT with the tenant's current key; `typ` as in RFC 7515 §4.1.9, for instance `at+jwt`. */
  sign(tenant: string, claims: Claims, typ: string): Promise<string>
  /** Keys that verify the tenant's tokens, current first. */
  publicKeys(tenant: string): readonly PublicJwk[]
  /** The same as a JWKS document (RFC 7517 §5). */
  jwks(tenant: string): string
  /** A refresh token: opaque to its holder, `gwr_` + base64url. `sid` is 32 lower-case hex digits, `generation` counts from 0. */
  mintRefreshToken(tenant: string, sid: string, generation: number): string
  /** What a refresh token of this tenant says; undefined for anything else, without a look into any store. */
  readRefreshToken(tenant: string, token: string): RefreshToken | undefined
  /** The gateway's own word to upstreams. */
  readonly passport: {
    /** An ES256 JWT, made at once: it is on the path of each request. */
    sign(claims: Claims): string
    readonly publicJwk: PublicJwk
  }
}

export interface TenantsNeeds {
  readonly store: KeyStore
  /** 32 bytes. */
  readonly masterKey: Uint8Array
  /** Whole seconds since 1970. */
  nowSeconds(): number
}

/**
 * Opens the key set of every tenant, making those that are missing. A tenant whose configured algorithm changed gets a
 * new current key and keeps the old one as previous.
 *
 * @throws KeySetError when a stored set was sealed by another master key, tampered with, or belongs to another owner
 */
export async function openTenants(needs: TenantsNeeds, tenants: ReadonlyMap<string, TenantConfig>): Promise<Tenants> {
  const seal = createSeal(needs.masterKey)
  const open = (owner: string, algorithm: SigningAlgorithm): Promise<KeySet> =>
    openKeySet({ store: needs.store, seal, nowSeconds: () => needs.nowSeconds() }, owner, algorithm)
  const [passportKeys, ...opened] = await Promise.all([
    open('gateway', 'ES256'),
    ...[...tenants.values()].map(async (tenant) => issuerOf(tenant.id, await open(`tenant:${tenant.id}`, tenant.signing))),
  ])
  const issuers = new Map(opened.map((issuer) => [issuer.id, issuer]))
  const refreshTokens = createRefreshTokens(needs.masterKey, [...tenants.keys()])
  return {
    sign: async (tenant, claims, typ) => signJwt(of(tenant).current, claims, typ),
    publicKeys: (tenant) => of(tenant).publicKeys,
    jwks: (tenant) => of(tenant).jwks,
    mintRefreshToken: (tenant, sid, generation) => refreshTokens.mint(of(tenant).id, sid, generation),
    readRefreshToken: (tenant, token) => refreshTokens.read(of(tenant).id, token),
    passport: createPassport(passportKeys.current),
  }

  function of(tenant: string): Issuer {
    const issuer = issuers.get(tenant)
    if (issuer === undefined) throw new Problem('tenant_not_found')
    return issuer
  }
}

interface Issuer {
  readonly id: string
  readonly current: SigningKey
  readonly publicKeys: readonly PublicJwk[]
  readonly jwks: string
}

function issuerOf(id: string, keys: KeySet): Issuer {
  const publicKeys = Object.freeze([keys.current.publicJwk, ...keys.others])
  return { id, current: keys.current, publicKeys, jwks: JSON.stringify({ keys: publicKeys }) }
}

function signJwt(key: SigningKey, claims: Claims, typ: string): Promise<string> {
  const { alg, kid } = key.publicJwk
  return new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, typ }).sign(key.privateKey)
}

function createPassport(key: SigningKey): Tenants['passport'] {
  const { alg, kid } = key.publicJwk
  const header = `${Buffer.from(JSON.stringify({ alg, typ: 'JWT', kid })).toString('base64url')}.`
  // RFC 7518 §3.4 wants R ‖ S, not the DER that is the default.
  const signer = { key: key.privateKey, dsaEncoding: 'ieee-p1363' } as const
  return {
    publicJwk: key.publicJwk,
    sign(claims) {
      const input = header + Buffer.from(JSON.stringify(claims)).toString('base64url')
      return `${input}.${signBytes('sha256', Buffer.from(input), signer).toString('base64url')}`
    },
  }
}
