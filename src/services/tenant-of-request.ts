import type { TenantConfig } from '../config/config.ts'
import type { Admitted } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'

/** Where else than in the Host a request may name its tenant. */
export interface TenantNames {
  /** Of `/t/{tenant}/…`. */
  readonly path: string | undefined
  /** `tenant_id` of the body. */
  readonly body?: string | undefined
}

/**
 * Tenant of a request: the Host's, else the one in the path, else the one in the body, else `default`.
 *
 * @throws Problem `invalid_request` when two of them differ, `tenant_not_found` for one that is not configured
 */
export function tenantOf(admitted: Admitted, tenants: ReadonlyMap<string, TenantConfig>, names: TenantNames): TenantConfig {
  const named = admitted.tenant ?? names.path ?? names.body ?? 'default'
  if (differs(names.path, named) || differs(names.body, named)) {
    throw new Problem('invalid_request', {
      description: 'The request names two tenants. Name one, or the same everywhere.',
      ...(differs(names.body, named)
        ? { fields: [{ field: 'tenant_id', message: 'is not the tenant of the host or path' }] }
        : {}),
    })
  }
  const tenant = tenants.get(named)
  if (tenant === undefined) throw new Problem('tenant_not_found')
  return tenant
}

/** Tenant that a canonical path names: `/t/{tenant}/…`. */
export function tenantInPath(path: string): string | undefined {
  if (!path.startsWith('/t/')) return undefined
  const end = path.indexOf('/', 3)
  return end === -1 ? undefined : path.slice(3, end)
}

function differs(name: string | undefined, from: string): boolean {
  return name !== undefined && name !== from
}
