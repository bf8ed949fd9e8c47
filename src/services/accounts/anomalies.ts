import { createHash } from 'node:crypto'
import { kilometresBetween, type TenantConfig } from '../../config/config.ts'
import { networkOf, type Admitted } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import { deviceName } from '../device-name.ts'
import { headerOf } from '../services.ts'
import type { UserRef } from '../sessions/sessions.ts'

/** A device that a user has logged in from. */
export interface KnownDevice {
  /** 32 lower-case hex digits; says nothing about the device to who does not have it. */
  readonly id: string
  /** What kind it is: `Firefox on Linux`. */
  readonly name: string
  /** Whole seconds since 1970. */
  readonly firstSeen: number
  readonly lastSeen: number
  /** Where it was seen last; absent where that was not known. */
  readonly country?: string
}

/** How many devices of a user are kept, and for how long after they were seen last. */
export interface DeviceLimits {
  readonly most: number
  readonly seconds: number
}

/** Keeps the devices of users. */
export interface DeviceStore {
  /** Those that were seen within the time of the limits. */
  list(user: UserRef, limits: DeviceLimits): Promise<readonly KnownDevice[]>
  /** The device was seen: in one step it is there, or anew, and the one that was not seen for longest may be gone. */
  note(user: UserRef, device: Omit<KnownDevice, 'firstSeen'>, limits: DeviceLimits): Promise<void>
}

const LIMITS: DeviceLimits = { most: 32, seconds: 180 * 86_400 }

export interface AnomalyEvent {
  readonly event: 'authn_new_device' | 'authn_impossible_travel' | 'session_device_changed'
  readonly tenant: string
  readonly user: string
  readonly reason: string
  readonly ip: string
  readonly requestId: string
}

export interface AnomaliesNeeds {
  readonly devices: DeviceStore
  /** Country that a request comes from; undefined where it is not known. */
  countryOf(admitted: Admitted): string | undefined
  /** Whole seconds since 1970. */
  nowSeconds(): number
  record(event: AnomalyEvent): void
  /** For the metrics. */
  count(tenant: string, event: 'new_device' | 'impossible_travel' | 'travel_refused' | 'device_changed'): void
}

export interface Login {
  readonly tenant: TenantConfig
  readonly user: string
  /** Device of an authentic token that this user got at an earlier login. */
  readonly proved: string | undefined
  readonly admitted: Admitted
}

/** A session that somebody goes on with, by its refresh token. */
export interface Renewal {
  readonly tenant: TenantConfig
  readonly session: {
    readonly id: string
    readonly user: string
    /** User agent that it began with; undefined where a client began it for its user. */
    readonly device: string | undefined
    /** Where it began. */
    readonly country?: string
    /** Whole seconds since 1970. */
    readonly createdAt: number
  }
  readonly admitted: Admitted
}

export interface Visit {
  /** Of the device, for its token. */
  readonly device: string
  /** Notes the login, once it has succeeded. */
  done(): Promise<void>
}

export interface Anomalies {
  /**
   * Looks at a login whose password was right.
   *
   * @returns undefined where the tenant looks for nothing
   * @throws Problem `travel_refused`; `storage_unavailable`
   */
  begin(login: Login): Promise<Visit | undefined>
  /**
   * Looks at a refresh, held against the last one of the same session.
   *
   * @returns what notes it once it has succeeded; undefined where the tenant looks for nothing
   * @throws Problem `travel_refused`; `storage_unavailable`
   */
  renew(renewal: Renewal): Promise<(() => Promise<void>) | undefined>
}

/** Where a session was last, and on what kind of device. */
type Sighting = Pick<KnownDevice, 'name' | 'lastSeen' | 'country'>

/** As fast as an airliner. */
const KM_PER_HOUR = 900
/** Countries are coarse: less than this is no travel. */
const LEAST_KM = 500

export function createAnomalies(needs: AnomaliesNeeds): Anomalies {
  return { begin, renew }

  async function begin(login: Login): Promise<Visit | undefined> {
    const { tenant, admitted } = login
    if (tenant.anomalies === undefined) return undefined
    const user = { tenant: tenant.id, user: login.user }
    const name = deviceName(headerOf(admitted, 'user-agent') ?? '')
    const country = needs.countryOf(admitted)
    const seen = await needs.devices.list(user, LIMITS)
    const id = login.proved ?? fingerprint(login, name)
    checkTravel(login, latestOf(seen), country)
    return { device: id, done }

    async function done(): Promise<void> {
      const device = { id, name, lastSeen: needs.nowSeconds(), ...(country !== undefined && { country }) }
      await needs.devices.note(user, device, LIMITS)
      // The first one of all is no news: the user has just begun, or we have.
      const isNew = seen.length > 0 && login.proved === undefined && !seen.some((one) => one.id === id)
      if (!isNew || tenant.anomalies?.newDevice !== 'record') return
      tell(login, 'authn_new_device', `${name}, in ${country ?? 'an unknown country'}`)
      needs.count(tenant.id, 'new_device')
    }
  }

  async function renew({ tenant, session, admitted }: Renewal): Promise<(() => Promise<void>) | undefined> {
    if (tenant.anomalies === undefined) return undefined
    const who = { tenant, user: session.user, admitted }
    // A session has a place of its own: the telephone at home and the laptop on a journey are two.
    const place = { tenant: tenant.id, user: `session:${session.id}` }
    const limits = { most: 1, seconds: tenant.refreshToken.idleSeconds }
    const last = latestOf(await needs.devices.list(place, limits)) ?? beginningOf(session)
    const name = deviceName(headerOf(admitted, 'user-agent') ?? '')
    const country = needs.countryOf(admitted)
    checkTravel(who, last, country)
    return async () => {
      // Where somebody is when that cannot be told, they were at the time that could be.
      const at = country === undefined ? { ...last } : { country, lastSeen: needs.nowSeconds() }
      const lastSeen = at.lastSeen ?? needs.nowSeconds()
      await needs.devices.note(place, { id: PLACE, name, lastSeen, ...(at.country && { country: at.country }) }, limits)
      if (last === undefined || last.name === name || tenant.anomalies?.newDevice !== 'record') return
      tell(who, 'session_device_changed', `${last.name} to ${name}`)
      needs.count(tenant.id, 'device_changed')
    }
  }

  /** Held against one place, from wherever that was noted. */
  function checkTravel(login: Who, last: Sighting | undefined, country: string | undefined): void {
    if (login.tenant.anomalies?.impossibleTravel === 'off') return
    if (country === undefined || last?.country === undefined) return
    const km = kilometresBetween(last.country, country)
    const seconds = Math.max(0, needs.nowSeconds() - last.lastSeen)
    if (km < LEAST_KM || km <= (seconds / 3600) * KM_PER_HOUR) return
    const isRefused = login.tenant.anomalies?.impossibleTravel === 'refuse'
    const way = `${last.country} to ${country}, ${km} km in ${seconds} s`
    tell(login, 'authn_impossible_travel', isRefused ? `${way}: refused` : way)
    needs.count(login.tenant.id, isRefused ? 'travel_refused' : 'impossible_travel')
    if (isRefused) throw new Problem('travel_refused', { detail: way })
  }

  function tell({ tenant, user, admitted }: Who, event: AnomalyEvent['event'], reason: string): void {
    needs.record({ event, tenant: tenant.id, user, reason, ip: admitted.client, requestId: admitted.id })
  }
}

type Who = Pick<Login, 'tenant' | 'user' | 'admitted'>

/** The one entry of a session. */
const PLACE = '0'.repeat(32)

function latestOf(seen: readonly KnownDevice[]): KnownDevice | undefined {
  return seen.reduce<KnownDevice | undefined>((a, b) => (a === undefined || b.lastSeen > a.lastSeen ? b : a), undefined)
}

function beginningOf({ device, country, createdAt }: Renewal['session']): Sighting | undefined {
  if (device === undefined) return undefined
  return { name: deviceName(device), lastSeen: createdAt, ...(country !== undefined && { country }) }
}

/** Without a token of its own, a device is its kind and its network, for this user alone. */
function fingerprint({ tenant, user, admitted }: Login, name: string): string {
  const text = [tenant.id, user, name, networkOf(admitted.client)].join('\0')
  return createHash('sha256').update(`gatehouse: device, version 1\0${text}`).digest('hex').slice(0, 32)
}
