import type { DeviceStore, KnownDevice } from '../../services/accounts/accounts.ts'
import type { Connection } from './connection.ts'
import type { Layout } from './layout.ts'
import { list, text, understood } from './replies.ts'
import { script } from './script.ts'

/** KEYS devices · ARGV id, second, country, name, seconds to keep, most of them */
const NOTE = script(
  'write',
  `local old = redis.call('HGET', KEYS[1], ARGV[1])
local first = old and string.match(old, '^%d+') or ARGV[2]
redis.call('HSET', KEYS[1], ARGV[1], first .. ':' .. ARGV[2] .. ':' .. ARGV[3] .. ':' .. ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
if redis.call('HLEN', KEYS[1]) <= tonumber(ARGV[6]) then return 0 end
local all = redis.call('HGETALL', KEYS[1])
local oldest, at
for i = 1, #all, 2 do
  local seen = tonumber(string.match(all[i + 1], '^%d+:(%d+)')) or 0
  if all[i] ~= ARGV[1] and (at == nil or seen < at) then oldest, at = all[i], seen end
end
redis.call('HDEL', KEYS[1], oldest)
return 1`,
)

export interface DeviceStoreNeeds {
  readonly connection: Connection
  readonly layout: Layout
  nowSeconds(): number
}

/** The devices of a user as one hash: first and last second, country and kind by id. */
export function createDeviceStore({ connection, layout, nowSeconds }: DeviceStoreNeeds): DeviceStore {
  return {
    async list(user, { seconds }) {
      const flat = list(await connection.send('HGETALL', layout.devices(user.tenant, layout.bucketOf(user), user.user)))
      const since = nowSeconds() - seconds
      return understood(() => devicesOf(flat)).filter(({ lastSeen }) => lastSeen > since)
    },
    async note(user, { id, name, lastSeen, country = '' }, { most, seconds }) {
      const key = layout.devices(user.tenant, layout.bucketOf(user), user.user)
      await connection.run(NOTE, [key], [id, lastSeen, country, name, seconds, most])
    },
  }
}

function devicesOf(flat: readonly unknown[]): readonly KnownDevice[] {
  const devices: KnownDevice[] = []
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const [, first, last, country, name = ''] = /^(\d+):(\d+):([A-Z]{2})?:([^]*)$/.exec(text(flat[index + 1])) ?? []
    if (first === undefined) throw new TypeError('a device is not in the form that this code writes')
    const times = { firstSeen: Number(first), lastSeen: Number(last) }
    devices.push({ id: text(flat[index]), name, ...times, ...(country !== undefined && { country }) })
  }
  return devices
}
