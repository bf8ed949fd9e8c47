import type { Config } from '../config/config.ts'
import { Problem } from '../problem/problem.ts'
import { withKeys } from '../upkeep.ts'
import type { KeyFacts, KeyRotation } from '../upkeep.ts'
import { table } from './table.ts'
import { UsageError } from './usage.ts'

/** What the command line says about keys. */
export interface KeysArguments {
  readonly tenant: string
  /** Of `retire`. */
  readonly kid?: string
  readonly reason?: string
  readonly json: boolean
}

/**
 * Shows or changes the signing keys of a tenant, in the storage that running gateways share: they see it within a second.
 *
 * @returns what to print
 * @throws Error that says what an operator can do
 */
export async function keys(action: 'list' | 'rotate' | 'retire', config: Config, given: KeysArguments): Promise<string> {
  const { tenant, json } = given
  const act = { actor: 'command line', reason: given.reason ?? 'operator' }
  try {
    return await withKeys(config, async (keys) => {
      if (action === 'list') return listed(await keys.list(tenant), tenant, json)
      if (action === 'rotate') return rotated(await keys.rotate(tenant, act), json)
      const kid = given.kid ?? ''
      const { current } = await keys.revoke(tenant, kid, act)
      if (json) return line({ revoked: kid, current })
      return `${kid} is revoked: every token that it signed is refused from now on. ${current} signs.\n`
    })
  } catch (error) {
    throw sayable(error, given)
  }
}

function listed(facts: readonly KeyFacts[], tenant: string, json: boolean): string {
  if (json) {
    const rows = facts.map(({ createdAt, ...rest }) => ({ ...rest, created_at: createdAt }))
    return `${JSON.stringify({ tenant, keys: rows }, null, 2)}\n`
  }
  const rows = facts.map((key) => [
    key.state,
    key.kid,
    key.alg,
    iso(key.since),
    key.until === undefined ? '' : `${ENDS[key.state]} ${iso(key.until)}`,
    key.reason ?? '',
  ])
  return table(['STATE', 'KID', 'ALG', 'SINCE', 'THEN', 'REASON'], rows)
}

const ENDS = { next: 'signs from', current: 'rotates', previous: 'retires', retired: '', revoked: '' } as const

function rotated(rotation: KeyRotation, json: boolean): string {
  if (json) {
    return rotation.outcome === 'rotated'
      ? line(rotation)
      : line({ outcome: rotation.outcome, kid: rotation.kid, current_at: rotation.currentAt })
  }
  if (rotation.outcome === 'rotated') return `${rotation.kid} signs from now on.\n`
  return `${rotation.kid} is published, so that everyone gets to know it, and signs from ${iso(rotation.currentAt)} on.\n`
}

/** A refusal in the words of the command line. */
function sayable(error: unknown, { tenant }: KeysArguments): unknown {
  if (!(error instanceof Problem)) return error
  if (error.kind === 'tenant_not_found') return new UsageError(`there is no tenant ${tenant} in the configuration`)
  const { description, detail, cause } = error.facts
  const message =
    error.kind === 'key_not_found'
      ? `${tenant} has no key of this kid in use: see keys list --tenant ${tenant}`
      : (description ?? detail ?? 'the storage cannot be reached, nothing was changed')
  return new Error(message, { cause })
}

function line(value: unknown): string {
  return `${JSON.stringify(value)}\n`
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}
