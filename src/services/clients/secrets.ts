import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ClientConfig } from '../../config/config.ts'

export interface SecretCheck {
  /** Whether one of the spellings is the client's secret. The work does not depend on the client, nor on how wrong they are. */
  isRight(id: string, spellings: readonly string[]): boolean
}

/**
 * Compares secrets by a MAC of them under a key of this process: all of one length, so the time tells nothing, and what is
 * kept in memory is no secret.
 */
export function createSecretCheck(clients: Iterable<ClientConfig>): SecretCheck {
  const key = randomBytes(32)
  const mac = (secret: Uint8Array | string): Buffer => createHmac('sha256', key).update(secret).digest()
  const macs = new Map<string, Buffer>()
  for (const { id, secret } of clients) if (secret !== undefined) macs.set(id, mac(secret))
  // For those that are not known or have no secret: nobody finds a text with this MAC.
  const nobody = randomBytes(32)
  return {
    isRight(id, spellings) {
      const expected = macs.get(id) ?? nobody
      let isRight = false
      for (const spelling of spellings) isRight = timingSafeEqual(mac(spelling), expected) || isRight
      return isRight
    },
  }
}
