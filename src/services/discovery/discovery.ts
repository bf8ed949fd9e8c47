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

export function createDiscovery(needs: DiscoveryNeeds, config: DiscoveryConfig): Service<'discovery'> {
  const metadata = new Map([...config.tenants.values()].map((tenant) => [tenant.id, publish(metadataOf(tenant, config.origin))]))
  const openid = new Map([...config.tenants.values()].map((tenant) => [tenant.id, publish(openidOf(tenant, config.origin))]))
  const keySets = new Map<string, Published>()
  const passport = publish(JSON.stringify({ keys: [needs.passportJwk] }))
  return {
    name: 'discovery',
    endpoints: {
      jwks: show('jwks'),
      metadata: show('metadata'),
      'metadata-of-tenant': show('metadata'),
      openid: show('openid'),
      'openid-of-tenant': show('openid'),
      'passport-jwks': { handle: (call) => answer(call, passport) },
      'tenant-jwks': show('jwks'),
      'tenant-metadata': show('metadata'),
      'tenant-openid': show('openid'),
    },
  }

  function show(document: Document): Endpoint {
    return {
      handle(call) {
        const named = call.admitted.params.get('tenant')
        return answer(call, find(document, tenantOf(call.admitted, config.tenants, { path: named }).id))
      },
    }
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
