/**
 * Ids of users and sessions in Redis: those of our own accounts and of sessions, and UUIDs, are 16 bytes in many characters.
 *
 * Whatever an id is, it has one form and shares it with no other.
 */

/** An id as bytes; `text` is the id itself. */
export interface PackedUser {
  readonly kind: 'own' | 'uuid' | 'text'
  readonly bytes: Buffer
}

/** Ids of our own accounts. */
const OWN = /^usr_([0-9a-f]{32})$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const SESSION = /^[0-9a-f]{32}$/
export const ID_BYTES = 16

export function packedUser(user: string): PackedUser {
  const own = OWN.exec(user)?.[1]
  if (own !== undefined) return { kind: 'own', bytes: Buffer.from(own, 'hex') }
  if (UUID.test(user)) return { kind: 'uuid', bytes: Buffer.from(user.replaceAll('-', ''), 'hex') }
  return { kind: 'text', bytes: Buffer.from(user) }
}

export function unpackedUser({ kind, bytes }: PackedUser): string {
  if (kind === 'text') return bytes.toString()
  const hex = bytes.toString('hex')
  if (kind === 'own') return `usr_${hex}`
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/**
 * In the name of a key: `~u` and base64url of the 16 bytes for one of our own, `~g` and likewise for a UUID, else the id
 * itself, behind one more `~` where it begins with one.
 */
export function userInKey(user: string): string {
  const { kind, bytes } = packedUser(user)
  if (kind === 'text') return user.startsWith('~') ? `~${user}` : user
  return `${kind === 'own' ? '~u' : '~g'}${bytes.toString('base64url')}`
}

/** A session in its user's index. One whose id is not of our form was made elsewhere and is in no index. */
export function packedSession(id: string): Buffer {
  return SESSION.test(id) ? Buffer.from(id, 'hex') : Buffer.alloc(0)
}

/** @throws TypeError for what is no member of an index */
export function unpackedSession(member: Buffer): string {
  if (member.length !== ID_BYTES) throw new TypeError('a member of an index is no session')
  return member.toString('hex')
}
