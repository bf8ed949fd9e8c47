/** Redis that answers, but late, seldom, broken, or that it has no memory left. */
import { expect, it } from 'vitest'
import { suffer, SUFFER_LIMIT_MS, type Fault } from './break.ts'
import { seeded } from './load.ts'
import { recordRows } from './matrix.ts'
import type { Member } from './rig.ts'

const SLOW_MS = 500
const FLAP_MS = 500
const CUT_MS = 100

/** Something that is done again and again while a fault lasts. */
function repeated(everyMs: number, act: (affected: readonly Member[], turn: number) => void): Pick<Fault, 'begin' | 'end'> {
  let timer: NodeJS.Timeout | undefined
  return {
    async begin(_, affected) {
      let turn = 0
      act(affected, turn++)
      timer = setInterval(() => act(affected, turn++), everyMs)
    },
    async end(_, affected) {
      clearInterval(timer)
      for (const { proxy } of affected) proxy.disturb({ kind: 'none' })
    },
  }
}

const random = seeded(2)
const FAULTS: readonly Fault[] = [
  {
    name: `every answer of Redis ${SLOW_MS} ms late`,
    seen: 'nothing but logins, refreshes and revocations that take a second or two',
    begin: async (_, affected) => affected.forEach(({ proxy }) => proxy.disturb({ kind: 'slow', delayMs: SLOW_MS })),
    end: async (_, affected) => affected.forEach(({ proxy }) => proxy.disturb({ kind: 'none' })),
  },
  {
    name: 'Redis away for half of each second',
    seen: 'logins, refreshes and revocations 503 while it is away',
    staysFresh: true,
    ...repeated(FLAP_MS, (affected, turn) => {
      for (const { proxy } of affected) {
        proxy.disturb(turn % 2 === 0 ? { kind: 'refuse' } : { kind: 'none' })
        if (turn % 2 === 0) proxy.cut()
      }
    }),
  },
  {
    name: 'connections to Redis cut at random',
    seen: 'a login, refresh or revocation that was under way 503, now and then',
    ...repeated(CUT_MS, (affected) => affected.forEach(({ proxy }) => proxy.cut(0.3, random))),
  },
  {
    name: 'Redis out of memory',
    seen: 'logins and refreshes 503; what ends still ends',
    endsGoOn: true,
    begin: async ({ redis }) => void (await redis.admin.config('SET', 'maxmemory', '1')),
    end: async ({ redis }) => void (await redis.admin.config('SET', 'maxmemory', '0')),
  },
  {
    name: 'random octets among the answers of Redis',
    seen: 'logins, refreshes and revocations 503, often; where the copy gets too old in between, `deny` and `verify` 503',
    begin: async (_, affected) => affected.forEach(({ proxy }) => proxy.disturb({ kind: 'garbage', share: 0.2, random })),
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
