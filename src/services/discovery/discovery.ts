/**
 * The public documents by which others verify our tokens: JWKS (RFC 7517), metadata (RFC 8414, OpenID Connect Discovery).
 *
 * Mounted at `/.well-known/*` and at `/t/*`. It names only endpoints that exist and never a private member of a key.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { Config, TenantConfig } from '../../config/config.ts'
import { JWKS_MAX_AGE_SECONDS } from '../../config/config.ts'
import { Problem } from '../../problem/problem.ts'
import { ASSERTION_ALGORITHMS, CLIENT_METHODS } from '../clients/clients.ts'
import { endpointsOfTenant } from '../oauth-endpoints.ts'
import type { Answer, Call, Endpoint, Service } from '../services.ts'
import { headerOf } from '../services.ts'
import { tenantOf } from '../tenant-of-request.ts'

export interface DiscoveryNeeds {
  /** The tenant's JWKS, serialised. */
  jwks(tenant: string): string
  /** The keys of the passports as a JWKS, serialised. */
  passportJwks(): string
}

/** `routes` tell which endpoints are there to be named. */
export type DiscoveryConfig = Pick<Config, 'tenants' | 'clients' | 'routes' | 'listeners'>

type Document = 'jwks' | 'metadata' | 'openid'

const CACHE_CONTROL = `public, max-age=${JWKS_MAX_AGE_SECONDS}, stale-while-revalidate=60, stale-if-error=86400`

export function createDiscovery(needs: DiscoveryNeeds, config: DiscoveryConfig): Service<'discovery'> {
  const metadata = new Map([...config.tenants.values()].map((tenant) => [tenant.id, publish(metadataOf(tenant, config))]))
  const openid = new Map([...config.tenants.values()].map((tenant) => [tenant.id, publish(openidOf(tenant, config))]))
  const keySets = new Map([...config.tenants.keys()].map((id) => [id, published(() => needs.jwks(id))]))
  const passports = published(() => needs.passportJwks())
  return {
    name: 'discovery',
    endpoints: {
      jwks: show('jwks'),
      metadata: show('metadata'),
      'metadata-of-tenant': show('metadata'),
      openid: show('openid'),
      'openid-of-tenant': show('openid'),
      'passport-jwks': { handle: (call) => answer(call, passports()) },
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
    const found = document === 'jwks' ? keySets.get(tenant)?.() : (document === 'metadata' ? metadata : openid).get(tenant)
    if (found === undefined) throw new Problem('tenant_not_found')
    return found
  }
}

interface Published {
  readonly body: string
  readonly etag: string
}

/** Hashed once for each text: a key set changes when keys do. */
function published(read: () => string): () => Published {
  let last: Published | undefined
  return function now() {
    const body = read()
    if (last?.body !== body) last = publish(body)
    return last
  }
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
function metadataOf(tenant: TenantConfig, config: DiscoveryConfig): string {
  return JSON.stringify(commonOf(tenant, config))
}

/** OpenID Connect Discovery §3, as far as there is something to name: no ID token is issued. */
function openidOf(tenant: TenantConfig, config: DiscoveryConfig): string {
  return JSON.stringify({
    ...commonOf(tenant, config),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [tenant.signing],
  })
}

function commonOf(tenant: TenantConfig, config: DiscoveryConfig) {
  const endpoints = endpointsOfTenant(tenant, config)
  return {
    issuer: tenant.issuer,
    jwks_uri: `${config.listeners.public.origin}/t/${tenant.id}/.well-known/jwks.json`,
    // No browser is sent here to log in: there is no authorization endpoint, and hence no response type.
    response_types_supported: [],
    grant_types_supported: endpoints === undefined ? [] : ['client_credentials', 'refresh_token'],
    ...(endpoints === undefined ? {} : { scopes_supported: scopesOf(tenant, config), ...withMethods(endpoints) }),
  }
}

/** What some client of the tenant may ask for. */
function scopesOf(tenant: TenantConfig, config: DiscoveryConfig): readonly string[] {
  const clients = [...config.clients.values()].filter((client) => client.tenant === tenant.id)
  return [...new Set(clients.flatMap((client) => client.scopes))].toSorted()
}

function withMethods(endpoints: { readonly token: string; readonly introspection: string; readonly revocation: string }) {
  return {
    token_endpoint: endpoints.token,
    token_endpoint_auth_methods_supported: CLIENT_METHODS,
    token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    introspection_endpoint: endpoints.introspection,
    introspection_endpoint_auth_methods_supported: CLIENT_METHODS,
    introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    revocation_endpoint: endpoints.revocation,
    revocation_endpoint_auth_methods_supported: CLIENT_METHODS,
    revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
  }
}
