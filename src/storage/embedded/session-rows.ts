import type { NewSession, SessionRecord } from '../../services/sessions/sessions.ts'
import type { Row } from './database.ts'
import { integer, optionalText, text } from './database.ts'

/** What a session must not be older than. */
export interface Epochs {
  /** Of its user. */
  readonly epoch: number
  readonly tenantEpoch: number
}

/** Columns of a new session, in the order of {@link valuesOf}. */
export const SESSION_COLUMNS = `tenant_id, id, user_id, scope, metadata, epoch, tenant_epoch, generation, device, ip, client_id,
  created_at, last_used_at, expires_at, idle_expires_at, tokens_until, country`

export function valuesOf(session: NewSession, { epoch, tenantEpoch }: Epochs): (string | number | null)[] {
  return [
    session.tenant,
    session.id,
    session.user,
    session.scope,
    JSON.stringify(session.metadata),
    epoch,
    tenantEpoch,
    0,
    session.device,
    session.ip,
    session.clientId,
    session.createdAt,
    session.createdAt,
    session.expiresAt,
    session.idleExpiresAt,
    session.tokensUntil,
    session.country ?? null,
  ]
}

export function recordOf(row: Row): SessionRecord {
  const country = optionalText(row, 'country')
  return {
    tenant: text(row, 'tenant_id'),
    id: text(row, 'id'),
    user: text(row, 'user_id'),
    scope: text(row, 'scope'),
    metadata: metadataOf(text(row, 'metadata')),
    epoch: integer(row, 'epoch'),
    generation: integer(row, 'generation'),
    device: text(row, 'device'),
    ip: text(row, 'ip'),
    clientId: text(row, 'client_id'),
    createdAt: integer(row, 'created_at'),
    lastUsedAt: integer(row, 'last_used_at'),
    expiresAt: integer(row, 'expires_at'),
    idleExpiresAt: integer(row, 'idle_expires_at'),
    tokensUntil: integer(row, 'tokens_until'),
    ...(country !== undefined && { country }),
  }
}

function metadataOf(json: string): Readonly<Record<string, string>> {
  const value: unknown = JSON.parse(json)
  if (typeof value !== 'object' || value === null) throw new TypeError('the metadata of a session is no object')
  const pairs: [string, string][] = []
  for (const [name, entry] of Object.entries(value)) if (typeof entry === 'string') pairs.push([name, entry])
  return Object.fromEntries(pairs)
}
