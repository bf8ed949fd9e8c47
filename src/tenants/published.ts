import { KeySetError } from './seal.ts'
import type { KeyRecord } from './key-record.ts'
import { createSigner } from './signing.ts'
import type { Signer } from './signing.ts'
import type { PublicJwk } from './tenants.ts'

/** A key set as requests use it: made once for each change. */
export interface Published {
  readonly signer: Signer
  /** The current key first, then the next, then those that sign no more. Frozen. */
  readonly publicKeys: readonly PublicJwk[]
  readonly jwks: string
}

const ORDER = ['current', 'next', 'previous'] as const

/** @throws KeySetError when no key signs */
export function publish(owner: string, records: readonly KeyRecord[]): Published {
  const current = records.find((record) => record.state === 'current')
  if (current?.privateKey === undefined) throw new KeySetError('malformed', `of the signing keys of ${owner} none is current`)
  const publicKeys = ORDER.flatMap((state) =>
    records.flatMap((record) => (record.state === state && record.publicJwk !== undefined ? [record.publicJwk] : [])),
  )
  return {
    signer: createSigner(current.kid, current.alg, current.privateKey),
    publicKeys: Object.freeze(publicKeys),
    jwks: JSON.stringify({ keys: publicKeys }),
  }
}
