import { createHmac, timingSafeEqual } from 'node:crypto'
import { derive } from './seal.ts'

/** What a refresh token says. It is no credential by itself: the store knows whether the session lives. */
export interface RefreshToken {
  /** 32 lower-case hex digits. */
  readonly sid: string
  readonly generation: number
  /** Part of the store that holds the session; 0 on embedded storage. */
  readonly bucket: number
}

export interface RefreshTokens {
  mint(tenant: string, sid: string, generation: number, bucket?: number): string
  read(tenant: string, token: string): RefreshToken | undefined
}

const PREFIX = 'gwr_'
const VERSION = 1
/** version 1 ‖ key id 1 ‖ bucket 2 ‖ sid 16 */
const FIXED_BYTES = 20
const SID_BYTES = 16
const MAC_BYTES = 16
/** A generation is below 2^28: four bytes of seven bits. */
const GENERATION_BYTES = 4
const LONGEST = PREFIX.length + Math.ceil(((FIXED_BYTES + GENERATION_BYTES + MAC_BYTES) * 4) / 3)
const SID = /^[0-9a-f]{32}$/

/**
 * Makes and reads refresh tokens: `gwr_` + base64url(version ‖ key id ‖ bucket ‖ sid ‖ generation ‖ MAC).
 *
 * The MAC is HMAC-SHA-256 cut to 128 bits under a key of the tenant, so a token that nobody minted dies before the store,
 * and one of another tenant is as good as random bytes. The first master key mints, every one reads.
 */
export function createRefreshTokens(masterKeys: readonly Uint8Array[], tenants: readonly string[]): RefreshTokens {
  const minters = masterKeys.map((masterKey) => createMinter(masterKey, tenants))
  const [first] = minters
  if (first === undefined) throw new TypeError('a master key is needed')
  return { mint: first.mint, read }

  function read(tenant: string, token: string): RefreshToken | undefined {
    const bytes = bytesOf(token)
    if (bytes === undefined) return undefined
    for (const minter of minters) {
      const found = minter.read(tenant, bytes)
      if (found !== undefined) return found
    }
    return undefined
  }
}

/** The bytes of what has the form of a refresh token. */
function bytesOf(token: string): Buffer | undefined {
  if (token.length > LONGEST || !token.startsWith(PREFIX)) return undefined
  const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url')
  // Buffer reads over what is not base64url: one token has one spelling.
  return bytes.length <= FIXED_BYTES + MAC_BYTES || PREFIX + bytes.toString('base64url') !== token ? undefined : bytes
}

interface Minter {
  mint(tenant: string, sid: string, generation: number, bucket?: number): string
  read(tenant: string, bytes: Buffer): RefreshToken | undefined
}

function createMinter(masterKey: Uint8Array, tenants: readonly string[]): Minter {
  const keyId = derive(masterKey, 'gatehouse: refresh token key id', 1)[0] ?? 0
  const keys = new Map(
    tenants.map((tenant) => [tenant, derive(masterKey, `gatehouse: refresh tokens, version 1: ${tenant}`, 32)]),
  )
  return { mint, read }

  function mint(tenant: string, sid: string, generation: number, bucket = 0): string {
    if (!SID.test(sid)) throw new TypeError('a session id has 32 lower-case hex digits')
    const fixed = Buffer.alloc(FIXED_BYTES)
    fixed[0] = VERSION
    fixed[1] = keyId
    fixed.writeUInt16BE(bucket, 2)
    fixed.write(sid, FIXED_BYTES - SID_BYTES, 'hex')
    const content = Buffer.concat([fixed, varint(generation)])
    return PREFIX + Buffer.concat([content, mac(tenant, content)]).toString('base64url')
  }

  function read(tenant: string, bytes: Buffer): RefreshToken | undefined {
    const content = bytes.subarray(0, -MAC_BYTES)
    if (!timingSafeEqual(mac(tenant, content), bytes.subarray(-MAC_BYTES))) return undefined
    if (content[0] !== VERSION || content[1] !== keyId) return undefined
    const generation = readVarint(content.subarray(FIXED_BYTES))
    if (generation === undefined) return undefined
    const sid = content.toString('hex', FIXED_BYTES - SID_BYTES, FIXED_BYTES)
    return { sid, generation, bucket: content.readUInt16BE(2) }
  }

  function mac(tenant: string, content: Uint8Array): Buffer {
    const key = keys.get(tenant)
    if (key === undefined) throw new TypeError('refresh tokens are for configured tenants only')
    return createHmac('sha256', key).update(content).digest().subarray(0, MAC_BYTES)
  }
}

/** LEB128, shortest form. */
function varint(value: number): Buffer {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (7 * GENERATION_BYTES))
    throw new RangeError('generation out of range')
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

function readVarint(bytes: Uint8Array): number | undefined {
  let value = 0
  for (const [index, byte] of bytes.entries()) {
    value |= (byte & 0x7f) << (7 * index)
    if (byte < 0x80) return index === bytes.length - 1 ? value : undefined
  }
  return undefined
}
