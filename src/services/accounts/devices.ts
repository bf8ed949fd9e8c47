import { cookieValues, DEVICE_COOKIE } from '../../exchange/exchange.ts'
import type { Answer, Call } from '../services.ts'
import { headerOf } from '../services.ts'

/** Proof that a user has logged in from this device before. It opens nothing: it only has a count of failures of its own. */
export interface DeviceTokens {
  mint(tenant: string, token: DeviceToken): string
  /** What was minted for this tenant; undefined for anything else. */
  read(tenant: string, token: string): DeviceToken | undefined
}

export interface DeviceToken {
  /** 32 lower-case hex digits. */
  readonly device: string
  readonly user: string
  /** Whole seconds since 1970. */
  readonly expiresAt: number
}

export interface DevicesNeeds {
  readonly tokens: DeviceTokens
  /** Whole seconds since 1970. */
  nowSeconds(): number
  randomBytes(size: number): Buffer
}

/** Who has logged in, and from which device where that is known; else it keeps its id or gets a new one. */
export interface Remembered {
  readonly tenant: string
  readonly id: string
  readonly device?: string
}

export interface Devices {
  /** The device that a login comes from, if it is one that this gateway has seen a login from. */
  of(call: Call, tenant: string): DeviceToken | undefined
  /** The answer to a login, with a token for the next one: as a cookie where the tokens are, else in a header. */
  remember(call: Call, answer: Answer, user: Remembered): Answer
}

/** Where clients without cookies get it, and send it back at their next login. */
const HEADER = 'gatehouse-device'
const LIFE_SECONDS = 180 * 86_400
const ID_BYTES = 16

export function createDevices(needs: DevicesNeeds): Devices {
  return { of, remember }

  function of({ admitted }: Call, tenant: string): DeviceToken | undefined {
    const cookies = cookieValues(admitted.rawHeaders, DEVICE_COOKIE)
    const text = cookies.length === 1 ? cookies[0] : headerOf(admitted, HEADER)
    const token = text === undefined ? undefined : needs.tokens.read(tenant, text)
    return token !== undefined && token.expiresAt > needs.nowSeconds() ? token : undefined
  }

  function remember(call: Call, answer: Answer, { tenant, id: user, device: named }: Remembered): Answer {
    const known = of(call, tenant)
    // The same device keeps its count.
    const device = known?.user === user ? known.device : (named ?? needs.randomBytes(ID_BYTES).toString('hex'))
    const token = needs.tokens.mint(tenant, { device, user, expiresAt: needs.nowSeconds() + LIFE_SECONDS })
    if (answer.cookies === undefined) return { ...answer, headers: { ...answer.headers, [HEADER]: token } }
    const path = call.admitted.path
    const line = `${DEVICE_COOKIE}=${token}; Path=${path}; Max-Age=${LIFE_SECONDS}; HttpOnly; Secure; SameSite=Strict`
    return { ...answer, cookies: [...answer.cookies, line] }
  }
}
