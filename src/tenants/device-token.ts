import { createHmac, timingSafeEqual } from 'node:crypto'
import { derive } from './seal.ts'

/** What a device token says: a user has logged in from this device. It gives access to nothing. */
export interface DeviceToken {
  /** 32 lower-case hex digits. */
  readonly device: string
  readonly user: string
  /** Whole seconds since 1970. Nobody is held to it here. */
  readonly expiresAt: number
}

export interface DeviceTokens {
  mint(tenant: string, token: DeviceToken): string
  read(tenant: string, token: string): DeviceToken | undefined
}

const PREFIX = 'gwd_'
const VERSION = 1
/** version 1 ‖ expiry 6 ‖ device 16 */
const FIXED_BYTES = 23
const MAC_BYTES = 16
const LONGEST = 512
const DEVICE = /^[0-9a-f]{32}$/

/** Makes and reads device tokens: `gwd_` + base64url(version ‖ expiry ‖ device ‖ user ‖ MAC), the MAC as of refresh tokens. */
export function createDeviceTokens(masterKeys: readonly Uint8Array[], tenants: readonly string[]): DeviceTokens {
  const rings = masterKeys.map(
    (masterKey) => new Map(tenants.map((id) => [id, derive(masterKey, `gatehouse: device tokens, version 1: ${id}`, 32)])),
  )
  return { mint, read }

  function mint(tenant: string, { device, user, expiresAt }: DeviceToken): string {
    const key = rings[0]?.get(tenant)
    if (key === undefined) throw new TypeError('device tokens are for configured tenants only')
    if (!DEVICE.test(device)) throw new TypeError('the id of a device has 32 lower-case hex digits')
    const fixed = Buffer.alloc(FIXED_BYTES)
    fixed[0] = VERSION
    fixed.writeUIntBE(expiresAt, 1, 6)
    fixed.write(device, 7, 'hex')
    const content = Buffer.concat([fixed, Buffer.from(user)])
    return PREFIX + Buffer.concat([content, mac(key, content)]).toString('base64url')
  }

  function read(tenant: string, token: string): DeviceToken | undefined {
    if (token.length > LONGEST || !token.startsWith(PREFIX)) return undefined
    const bytes = Buffer.from(token.slice(PREFIX.length), 'base64url')
    // Buffer reads over what is not base64url: one token has one spelling.
    if (bytes.length <= FIXED_BYTES + MAC_BYTES || PREFIX + bytes.toString('base64url') !== token) return undefined
    if (bytes[0] !== VERSION) return undefined
    const content = bytes.subarray(0, -MAC_BYTES)
    const isOurs = rings.some((keys) => {
      const key = keys.get(tenant)
      return key !== undefined && timingSafeEqual(mac(key, content), bytes.subarray(-MAC_BYTES))
    })
    if (!isOurs) return undefined
    return {
      device: content.toString('hex', 7, FIXED_BYTES),
      user: content.toString('utf8', FIXED_BYTES),
      expiresAt: content.readUIntBE(1, 6),
    }
  }
}

function mac(key: Uint8Array, content: Uint8Array): Buffer {
  return createHmac('sha256', key).update(content).digest().subarray(0, MAC_BYTES)
}
