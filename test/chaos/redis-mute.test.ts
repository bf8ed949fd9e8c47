/** Redis that says nothing: to all gateways, or to one of them while the others go on. */
import { expect, it } from 'vitest'
import { suffer, SUFFER_LIMIT_MS, type Fault } from './break.ts'
import { recordRows } from './matrix.ts'

const FAULTS: readonly Fault[] = [
  {
    name: 'Redis held still (SIGSTOP, SIGCONT)',
    seen: 'nothing for `maxStaleness`; then `deny` and `verify` 503, `allow` goes on. Logins and refreshes 503',
    isTotal: true,
    isTold: true,
    begin: async (rig) => rig.redis.pause(),
    end: async (rig) => rig.redis.resume(),
  },
  {
    name: 'black hole before Redis: nothing arrives, nothing is closed',
    seen: 'nothing for `maxStaleness`; then `deny` and `verify` 503, `allow` goes on. Logins and refreshes 503',
    isTotal: true,
    isTold: true,
    begin: async (_, affected) => affected.forEach(({ proxy }) => proxy.disturb({ kind: 'hole' })),
    end: async (_, affected) => affected.forEach(({ proxy }) => proxy.disturb({ kind: 'none' })),
  },
  {
    name: 'black hole before Redis for one gateway of three',
    seen: 'at that gateway as when Redis is away, at the others nothing. What is revoked there is refused there at once; at the lonely one `deny` and `verify` refuse all past `maxStaleness`, `allow` lets it in until Redis is heard again',
    gateways: 'one',
    isTotal: true,
    isTold: true,
    begin: async (_, affected) => affected.forEach(({ proxy }) => proxy.disturb({ kind: 'hole' })),
    end: async (_, affected) => affected.forEach(({ proxy }) => proxy.disturb({ kind: 'none' })),
  },
]

it.each(FAULTS)(
  '$name',
  async (fault) => {
    const row = await suffer(fault)
    recordRows('redis', [row])
    expect(row).toMatchObject({ wrongAccepts: 0, goodFailed: 0 })
  },
  SUFFER_LIMIT_MS,
)
