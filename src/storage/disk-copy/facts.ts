import type { CopyState, Revocation } from '../../revocation/revocation.ts'

/** A fact as a short list: kind, tenant, then what this kind has. */
export function writeFact(revocation: Revocation): readonly (string | number)[] {
  const { kind, tenant, expiresAt } = revocation
  if (revocation.kind === 'tenant') return [kind, tenant, expiresAt, revocation.at]
  if (revocation.kind === 'user') return [kind, tenant, expiresAt, revocation.at, revocation.id, revocation.epoch]
  return [kind, tenant, expiresAt, revocation.id]
}

/** @throws Error when it is none */
export function readFact(value: unknown): Revocation {
  const [kind, tenant, expiresAt, third, id, epoch]: readonly unknown[] = Array.isArray(value) ? value : []
  if (typeof tenant !== 'string' || typeof expiresAt !== 'number') throw unreadable()
  if (typeof third === 'string' && (kind === 'token' || kind === 'session' || kind === 'key'))
    return { kind, tenant, id: third, expiresAt }
  if (typeof third !== 'number') throw unreadable()
  if (kind === 'tenant') return { kind, tenant, at: third, expiresAt }
  if (kind === 'user' && typeof id === 'string' && typeof epoch === 'number')
    return { kind, tenant, id, epoch, at: third, expiresAt }
  throw unreadable()
}

/** @throws Error when it is none */
export function readState(value: unknown): CopyState {
  if (typeof value !== 'object' || value === null || !('position' in value) || !('confirmedAtMs' in value)) throw unreadable()
  const { position, confirmedAtMs } = value
  if (typeof position !== 'string' || typeof confirmedAtMs !== 'number') throw unreadable()
  return { position, confirmedAtMs }
}

function unreadable(): Error {
  return new Error('a copy on the disk holds what no gateway of this version writes')
}
