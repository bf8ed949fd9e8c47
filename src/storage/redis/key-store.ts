import type { KeyStore } from '../../tenants/tenants.ts'
import type { Connection } from './connection.ts'
import { text } from './replies.ts'
import { script } from './script.ts'

/** KEYS private · ARGV sealed, '1' when it replaces, what it replaces → what is stored afterwards */
const SAVE = script(
  'write',
  `
local present = redis.call('GET', KEYS[1])
if present and not (ARGV[2] == '1' and present == ARGV[3]) then return present end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]`,
)

/** Key sets by owner; `tenant:ID` or `gateway`. */
export interface RedisKeyStore extends KeyStore {
  /** Puts the public half (JWKS text) beside the sealed set, for whoever verifies from Redis. */
  publish(owner: string, jwks: string): Promise<void>
}

/** Sealed key sets in `tenant:<id>:keys:private` and `gateway:keys:private`. What is in them is not known here. */
export function createKeyStore(connection: Connection): RedisKeyStore {
  return {
    async load(owner) {
      const sealed = await connection.send('GET', `${owner}:keys:private`)
      return sealed === null ? undefined : text(sealed)
    },
    async save(owner, sealed, replacing) {
      const values = [sealed, replacing === undefined ? '0' : '1', replacing ?? '']
      return text(await connection.run(SAVE, [`${owner}:keys:private`], values))
    },
    async publish(owner, jwks) {
      await connection.send('SET', `${owner}:keys:public`, jwks)
    },
  }
}
