import type { NewSession, SessionRecord } from '../../services/sessions/sessions.ts'
import { packDevice, unpackDevice } from './device-words.ts'

/**
 * A session as the fields of a hash, short so that Redis keeps the hash in one compact piece of memory:
 *
 * `u` user, `s` scope, `m` metadata as JSON, `d` device, `p` IP, `n` client, `c` created, `x` expires after c, `e` epoch,
 * `g` generation, `l` last used after c, `r` rotated after c (only where that is not l), `i` idle seconds, `k` tokens live
 * until after the last use. What is zero, empty or the client of our own logins is left out. Texts but `u` may go on in
 * `s1`, `s2` …
 */
export function fieldsOf(session: NewSession): (string | number)[] {
  const fields: (string | number)[] = ['u', packUser(session.user)]
  put(fields, 's', session.scope)
  put(fields, 'm', Object.keys(session.metadata).length === 0 ? '' : JSON.stringify(session.metadata))
  put(fields, 'd', packDevice(session.device))
  put(fields, 'p', session.ip)
  if (session.clientId !== OWN_CLIENT) fields.push('n', session.clientId)
  fields.push('c', session.createdAt)
  fields.push('x', session.expiresAt - session.createdAt)
  fields.push('i', session.idleExpiresAt - session.createdAt)
  fields.push('k', session.tokensUntil - session.createdAt)
  return fields
}

/** @param flat - names and values in turn, as Redis answers */
export function recordOf(tenant: string, id: string, flat: readonly unknown[]): SessionRecord {
  const fields = new Map<unknown, unknown>()
  for (let index = 0; index + 1 < flat.length; index += 2) fields.set(flat[index], flat[index + 1])
  const createdAt = integer(fields, 'c')
  const lastUsedAt = createdAt + integer(fields, 'l')
  return {
    tenant,
    id,
    user: unpackUser(text(fields, 'u')),
    scope: text(fields, 's'),
    metadata: metadataOf(text(fields, 'm')),
    device: unpackDevice(text(fields, 'd')),
    ip: text(fields, 'p'),
    clientId: fields.has('n') ? text(fields, 'n') : OWN_CLIENT,
    createdAt,
    expiresAt: createdAt + integer(fields, 'x'),
    idleExpiresAt: lastUsedAt + integer(fields, 'i'),
    tokensUntil: lastUsedAt + integer(fields, 'k'),
    epoch: integer(fields, 'e'),
    generation: integer(fields, 'g'),
    lastUsedAt,
  }
}

/** `client_id` of sessions that people begin by logging in. */
const OWN_CLIENT = 'gatehouse'

/** The form of our own users' ids; in base64url it is a third shorter. */
const OWN_USER = /^usr_([0-9a-f]{32})$/
const PACKED = '\u0001'
/** Stands before an id that begins like one of these marks, so that no two users are written alike. */
const PLAIN = '\u0002'

/** A user's id as the hash has it. */
export function packUser(user: string): string {
  const hex = OWN_USER.exec(user)?.[1]
  if (hex !== undefined) return PACKED + Buffer.from(hex, 'hex').toString('base64url')
  return user.startsWith(PACKED) || user.startsWith(PLAIN) ? PLAIN + user : user
}

export function unpackUser(packed: string): string {
  if (packed.startsWith(PACKED)) return `usr_${Buffer.from(packed.slice(1), 'base64url').toString('hex')}`
  return packed.startsWith(PLAIN) ? packed.slice(1) : packed
}

/** One value of more bytes than this and Redis takes several times the memory (`hash-max-listpack-value`). */
const PIECE_BYTES = 64

function put(fields: (string | number)[], name: string, value: string): void {
  if (value === '') return
  if (Buffer.byteLength(value) <= PIECE_BYTES) {
    fields.push(name, value)
    return
  }
  for (const [index, piece] of pieces(value).entries()) fields.push(index === 0 ? name : name + index, piece)
}

/** Cut between characters: a half of one would not come back. */
function pieces(value: string): readonly string[] {
  const cut: string[] = []
  let piece = ''
  let bytes = 0
  for (const character of value) {
    const more = Buffer.byteLength(character)
    if (bytes + more > PIECE_BYTES) {
      cut.push(piece)
      piece = ''
      bytes = 0
    }
    piece += character
    bytes += more
  }
  return [...cut, piece]
}

function text(fields: ReadonlyMap<unknown, unknown>, name: string): string {
  let value = ''
  for (let index = 0; ; index += 1) {
    const piece = fields.get(index === 0 ? name : name + index)
    if (typeof piece !== 'string') return value
    value += piece
  }
}

function integer(fields: ReadonlyMap<unknown, unknown>, name: string): number {
  const value = fields.get(name) ?? 0
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new TypeError(`field ${name} of a session holds no integer`)
  return number
}

function metadataOf(json: string): Readonly<Record<string, string>> {
  if (json === '') return {}
  const value: unknown = JSON.parse(json)
  if (typeof value !== 'object' || value === null) throw new TypeError('the metadata of a session is no object')
  const pairs: [string, string][] = []
  for (const [name, entry] of Object.entries(value)) if (typeof entry === 'string') pairs.push([name, entry])
  return Object.fromEntries(pairs)
}
