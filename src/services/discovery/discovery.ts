/**
 * The public documents by which others verify our tokens: JWKS (RFC 7517), metadata (RFC 8414, OpenID Connect Discovery).
 *
 * Mounted at `/.well-known/*` and at `/t/*`. It names only endpoints that exist and never a private member of a key.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { TenantConfig } from '../../config/config.ts'
import { Problem } from '../../problem/problem.ts'
import type { Answer, Call, Endpoint, Service } from '../services.ts'
import { headerOf } from '../services.ts'
import { tenantOf } from '../tenant-of-request.ts'

export interface DiscoveryNeeds {
  /** The tenant's JWKS, serialised. */
  jwks(tenant: string): string
  /** Public key of the passports. */
  readonly passportJwk: object
}

export interface DiscoveryConfig {
  /** How clients reach the gateway, without a slash at the end. */
  readonly origin: string
  readonly tenants: ReadonlyMap<string, TenantConfig>
}

type Document = 'jwks' | 'metadata' | 'openid'

const CACHE_CONTROL = 'public, max-age=300, stale-while-revalidate=60, stale-if-error=86400'

export function createDiscovery(needs: DiscoveryNeeds, config: DiscoveryConfig): Service {
  const metadata = new Map([...config.tenants.values()].map((tenant) => [tenant.id, publish(metadataOf(tenant, config.origin))]))
  const openid = new Map([...config.tenants.values()].map((tenant) => [tenant.id, publish(openidOf(tenant, config.origin))]))
  const keySets = new Map<string, Published>()
  const passport = publish(JSON.stringify({ keys: [needs.passportJwk] }))
  return {
    name: 'discovery',
    endpoints: [
      wellKnown('jwks', '/jwks.json', 'jwks'),
      wellKnown('metadata', '/oauth-authorization-server', 'metadata'),
      // RFC 8414 §3.1: the path of the issuer comes after the well-known part.
      wellKnown('metadata-of-tenant', '/oauth-authorization-server/t/{tenant}', 'metadata'),
      wellKnown('openid', '/openid-configuration', 'openid'),
      wellKnown('openid-of-tenant', '/openid-configuration/t/{tenant}', 'openid'),
      get('passport-jwks', '/gatehouse/jwks.json', (call) => answer(call, within(call, '/gatehouse/jwks.json', passport))),
      // OpenID Connect Discovery §4: the well-known part comes after the path of the issuer.
      ofTenant('tenant-jwks', '/{tenant}/.well-known/jwks.json', 'jwks'),
      ofTenant('tenant-metadata', '/{tenant}/.well-known/oauth-authorization-server', 'metadata'),
      ofTenant('tenant-openid', '/{tenant}/.well-known/openid-configuration', 'openid'),
    ],
  }

  /** Under `/.well-known`, and nowhere else: the service is mounted at `/t` too. */
  function wellKnown(name: string, path: string, document: Document): Endpoint {
    return get(name, path, (call) => {
      const named = call.admitted.params.get('tenant')
      const expected = named === undefined ? path : path.replace('{tenant}', () => named)
      within(call, expected, undefined)
      return answer(call, find(document, tenantOf(call.admitted, config.tenants, { path: named }).id))
    })
  }

  function ofTenant(name: string, path: string, document: Document): Endpoint {
    return get(name, path, (call) => {
      if (call.admitted.path.startsWith('/.well-known/')) throw new Problem('no_route')
      return answer(
        call,
        find(document, tenantOf(call.admitted, config.tenants, { path: call.admitted.params.get('tenant') }).id),
      )
    })
  }

  function find(document: Document, tenant: string): Published {
    if (document === 'jwks') return keySetOf(tenant)
    const published = (document === 'metadata' ? metadata : openid).get(tenant)
    if (published === undefined) throw new Problem('tenant_not_found')
    return published
  }

  /** Hashed once for each text: the key set changes when keys do. */
  function keySetOf(tenant: string): Published {
    const body = needs.jwks(tenant)
    const known = keySets.get(tenant)
    if (known?.body === body) return known
    const published = publish(body)
    keySets.set(tenant, published)
    return published
  }
}

interface Published {
  readonly body: string
  readonly etag: string
}

/** A strong validator (RFC 9110 §8.8.3). */
function publish(body: string): Published {
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` }
}

function get(name: string, path: string, handle: (call: Call) => Answer): Endpoint {
  return { name, method: 'GET', path, auth: 'public', handle }
}

function within<T>(call: Call, path: string, value: T): T {
  if (!call.admitted.path.endsWith(`/.well-known${path}`)) throw new Problem('no_route')
  return value
}

function answer(call: Call, { body, etag }: Published): Answer {
  const headers = { etag, 'cache-control': CACHE_CONTROL }
  if (names(headerOf(call.admitted, 'if-none-match'), etag)) return { status: 304, headers }
  // Not application/jwk-set+json (RFC 7517 §8.5): clients that take only application/json are many.
  return { status: 200, headers: { 'content-type': 'application/json', ...headers }, body }
}

/** RFC 9110 §13.1.2: compared weakly, `*` names everything. */
function names(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((item) => {
    const value = item.trim()
    return value === '*' || value === etag || value === `W/${etag}`
  })
}

/** RFC 8414 §2. Empty lists, because leaving them out would stand for a default that does not hold here. */
function metadataOf(tenant: TenantConfig, origin: string): string {
  return JSON.stringify(commonOf(tenant, origin))
}

/** OpenID Connect Discovery §3, as far as there is something to name: no ID token is issued. */
function openidOf(tenant: TenantConfig, origin: string): string {
  return JSON.stringify({
    ...commonOf(tenant, origin),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [tenant.signing],
  })
}

function commonOf(tenant: TenantConfig, origin: string) {
  return {
    issuer: tenant.issuer,
    jwks_uri: `${origin}/t/${tenant.id}/.well-known/jwks.json`,
    response_types_supported: [],
    grant_types_supported: [],
  }
}
