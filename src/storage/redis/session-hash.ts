import type { NewSession, SessionRecord } from '../../services/sessions/sessions.ts'
import { bytes, understood } from './replies.ts'
import { ID_BYTES, packedUser, unpackedUser } from './user-names.ts'
import { packDevice, packScope, unpackDevice, unpackScope } from './words.ts'

/**
 * A session as a hash of few fields, so that Redis keeps it in one compact piece of memory.
 *
 * `t`: numbers of 32 bits, which the scripts read and write: c created, x expires after c, i idle seconds, k tokens live
 * until after the last use, l last used after c, g generation; then, up to the last that is not zero, e epoch of the user, n
 * epoch of the tenant, r one more than rotated after c (only where that is not l).
 *
 * `b`, `b1`, `b2` …: what never changes, in pieces: user, address, client, device, scope, metadata as JSON and country, each behind a
 * number (seven bits to a byte, the lowest first) that says how long it is or in which form. Those at the end that are 0 are
 * left out.
 */
export function fieldsOf(session: NewSession): (string | Buffer)[] {
  const { metadata } = session
  const texts = [
    ownerOf(session.user),
    addressPart(session.ip),
    session.clientId === OWN_CLIENT ? NOTHING : textPart(session.clientId, 1),
    textPart(packDevice(session.device), 0),
    textPart(packScope(session.scope), 0),
    textPart(Object.keys(metadata).length === 0 ? '' : JSON.stringify(metadata), 0),
    textPart(session.country ?? '', 0),
  ]
  const last = texts.findLastIndex((text) => !text.equals(NOTHING))
  const whole = Buffer.concat(texts.slice(0, last + 1))
  const fields: (string | Buffer)[] = []
  for (let from = 0; from < whole.length; from += PIECE_BYTES) {
    fields.push(from === 0 ? 'b' : `b${from / PIECE_BYTES}`, whole.subarray(from, from + PIECE_BYTES))
  }
  return fields
}

/** How the texts of a user's session begin. No user's beginning is the beginning of another's. */
export function ownerOf(user: string): Buffer {
  const packed = packedUser(user)
  if (packed.kind === 'text') return part(packed.bytes.length + 2, packed.bytes)
  return part(packed.kind === 'own' ? 0 : 1, packed.bytes)
}

/**
 * @param flat - names and values in turn, as Redis answers
 * @throws Problem `storage_unavailable` for what this code did not write
 */
export function recordOf(tenant: string, id: string, flat: readonly unknown[]): SessionRecord {
  return understood(() => read(tenant, id, flat))
}

function read(tenant: string, id: string, flat: readonly unknown[]): SessionRecord {
  const fields = new Map<string, Buffer>()
  for (let index = 0; index + 1 < flat.length; index += 2) fields.set(bytes(flat[index]).toString(), bytes(flat[index + 1]))
  const numbers = fields.get('t')
  if (numbers === undefined || numbers.length < 6 * NUMBER_BYTES) throw malformed()
  const numberAt = (index: number): number => numbers.readUInt32BE(index * NUMBER_BYTES)
  const reader = createReader(wholeOf(fields))
  const createdAt = numberAt(0)
  const lastUsedAt = createdAt + numberAt(4)
  return {
    tenant,
    id,
    user: readUser(reader),
    ip: readAddress(reader),
    clientId: readClient(reader),
    device: unpackDevice(readText(reader)),
    scope: unpackScope(readText(reader)),
    metadata: metadataOf(readText(reader)),
    ...countryOf(readText(reader)),
    createdAt,
    expiresAt: createdAt + numberAt(1),
    idleExpiresAt: lastUsedAt + numberAt(2),
    tokensUntil: lastUsedAt + numberAt(3),
    epoch: numbers.length > 6 * NUMBER_BYTES ? numberAt(6) : 0,
    generation: numberAt(5),
    lastUsedAt,
  }
}

/** One value of more bytes than this and Redis takes several times the memory (`hash-max-listpack-value`). */
const PIECE_BYTES = 64
const NUMBER_BYTES = 4
const IPV4_BYTES = 4

/** `client_id` of sessions that people begin by logging in. */
const OWN_CLIENT = 'gatehouse'

const NOTHING = Buffer.from([0])

/** @param more - added to the length, where smaller numbers have another meaning */
function textPart(text: string, more: 0 | 1): Buffer {
  const written = Buffer.from(text)
  return part(written.length + more, written)
}

/** 0 and its four bytes for IPv4, else one more than the length. */
function addressPart(ip: string): Buffer {
  const parts = ip.split('.').map(Number)
  const isIpv4 = parts.length === IPV4_BYTES && parts.every((one) => one >= 0 && one < 256) && parts.join('.') === ip
  return isIpv4 ? Buffer.from([0, ...parts]) : textPart(ip, 1)
}

function part(number: number, content: Buffer): Buffer {
  const digits: number[] = []
  let rest = number
  for (; rest >= 0x80; rest >>>= 7) digits.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...digits, rest]), content])
}

function wholeOf(fields: ReadonlyMap<string, Buffer>): Buffer {
  const first = fields.get('b')
  if (first === undefined) throw malformed()
  const pieces = [first]
  for (let piece = fields.get('b1'); piece !== undefined; piece = fields.get(`b${pieces.length}`)) pieces.push(piece)
  return pieces.length === 1 ? first : Buffer.concat(pieces)
}

interface Reader {
  /** 0 after the end. */
  number(): number
  take(length: number): Buffer
}

function createReader(whole: Buffer): Reader {
  let position = 0
  return { number, take }

  function number(): number {
    let value = 0
    for (let shift = 0; position < whole.length; shift += 7) {
      const byte = whole.readUInt8(position)
      position += 1
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    return value
  }

  function take(length: number): Buffer {
    if (length < 0 || position + length > whole.length) throw malformed()
    position += length
    return whole.subarray(position - length, position)
  }
}

function readUser(reader: Reader): string {
  const number = reader.number()
  if (number > 1) return unpackedUser({ kind: 'text', bytes: reader.take(number - 2) })
  return unpackedUser({ kind: number === 0 ? 'own' : 'uuid', bytes: reader.take(ID_BYTES) })
}

function readAddress(reader: Reader): string {
  const number = reader.number()
  return number === 0 ? reader.take(IPV4_BYTES).join('.') : reader.take(number - 1).toString()
}

function readClient(reader: Reader): string {
  const number = reader.number()
  return number === 0 ? OWN_CLIENT : reader.take(number - 1).toString()
}

function readText(reader: Reader): string {
  return reader.take(reader.number()).toString()
}

function countryOf(country: string): { readonly country?: string } {
  return country === '' ? {} : { country }
}

function metadataOf(json: string): Readonly<Record<string, string>> {
  if (json === '') return {}
  const value: unknown = JSON.parse(json)
  if (typeof value !== 'object' || value === null) throw new TypeError('the metadata of a session is no object')
  const pairs: [string, string][] = []
  for (const [name, entry] of Object.entries(value)) if (typeof entry === 'string') pairs.push([name, entry])
  return Object.fromEntries(pairs)
}

function malformed(): TypeError {
  return new TypeError('the record of a session is not in the form that this code writes')
}
