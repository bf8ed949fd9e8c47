import type { TenantCalls } from '../../../src/admin/admin.ts'
import { Problem } from '../../../src/problem/problem.ts'

/** An operator's hand on no tenant at all. */
export const NO_TENANTS: TenantCalls = {
  list: () => [],
  times: refuse,
  keys: { list: refuse, rotate: refuse, revoke: refuse },
  users: { setStatus: refuse },
  sessions: { list: refuse, end: refuse, endAll: refuse },
  revokeTenant: refuse,
}

async function refuse(): Promise<never> {
  throw new Problem('tenant_not_found')
}
