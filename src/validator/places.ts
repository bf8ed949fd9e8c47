import type { Settings } from './settings.ts'
import type { KeyPlace } from './verifier.ts'

/** Name of the passports' keys in events and ages. */
const PASSPORTS = 'passports'

/** Where the keys of passports are, and whose passports are taken. */
export function passportPlace({ origin, reachAt }: Settings, service: string): KeyPlace {
  const uri = `${reachAt}/.well-known/gatehouse/jwks.json`
  // The tenant is what the passport says: the keys vouch for all of them.
  return { kind: 'passport', name: PASSPORTS, issuer: origin, tenant: '', audience: service, uri }
}

/** The same for the access tokens of each tenant. */
export function tokenPlaces({ issuers, reachAt }: Settings): readonly KeyPlace[] {
  return issuers.map(({ id, issuer, audience }) => {
    const uri = `${reachAt}/t/${encodeURIComponent(id)}/.well-known/jwks.json`
    return { kind: 'token', name: id, issuer, tenant: id, audience, uri }
  })
}
