/** The service as others call it, over a table of names and a cache that notes what it is told. */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Problem } from '../../../../src/problem/problem.ts'
import type { Hold, NameState, UsernameKey } from '../../../../src/services/usernames/store.ts'
import { createUsernames, type UsernameRecord } from '../../../../src/services/usernames/usernames.ts'
import { aTenant } from '../world.ts'
import { createClock } from './clock.ts'

function open(taken: Record<string, NameState> = {}) {
  const clock = createClock()
  const states = new Map<string, NameState>(Object.entries(taken))
  const told: string[] = []
  const recorded: UsernameRecord[] = []
  const counted: string[] = []
  const control = { isAway: false, free: [] as UsernameKey[], loading: Promise.resolve() }
  const tenant = aTenant('default', { throttle: { ...aTenant('default').throttle, usernamesPerMinute: 60_000 } })
  const orFail = <T>(value: T): T => {
    if (control.isAway) throw new Problem('storage_unavailable')
    return value
  }
  const usernames = createUsernames(
    {
      ...clock,
      random: () => 0.5,
      randomBytes: (size) => Buffer.alloc(size, 7),
      reserved: ['admin'],
      store: {
        async statesOf(_tenant, folded) {
          return orFail(new Map([...states].filter(([name]) => folded.includes(name))))
        },
        async hold({ folded }: Hold) {
          if (states.has(folded)) return orFail(states.get(folded) ?? 'taken')
          states.set(orFail(folded), 'held')
          return 'granted'
        },
        async *allNames() {
          await control.loading
          yield orFail({ tail: 0, names: [...states.keys()].map((folded) => ({ tenant: 'default', folded })) })
        },
        async eventsAfter() {
          return orFail([])
        },
        async sweep() {
          return orFail(control.free.splice(0))
        },
      },
      cache: {
        read: async (_tenant, folded) => folded.map(() => undefined),
        async fill(_tenant, found) {
          for (const [name, isTaken] of found) told.push(`fill ${name} ${isTaken}`)
        },
        async write(name, folded, isTaken, seconds) {
          told.push(`write ${name} ${folded} ${isTaken}${seconds === undefined ? '' : ` ${seconds}`}`)
        },
      },
      events: {
        checked: (_tenant, layer, result) => counted.push(`${layer} ${result}`),
        checkSeconds: () => undefined,
        queried: () => counted.push('query'),
        conflict: () => counted.push('conflict'),
        probing: (_tenant, pattern) => counted.push(`probing ${pattern}`),
        squatting: (_tenant, pattern) => counted.push(`squatting ${pattern}`),
        breaker: () => undefined,
        feed: () => undefined,
      },
      record: (event) => recorded.push(event),
    },
    { tenants: new Map([['default', tenant]]), usernames: { cacheSeconds: 300 } },
  )
  /** What time has to pass for passes. */
  const check = async (name: string) => {
    const answer = Promise.try(() => usernames.check('default', name, '192.0.2.1')).catch((error: unknown) => error)
    await clock.pass(20)
    return answer
  }
  return { clock, usernames, tenant, states, told, recorded, counted, control, check }
}

const kindOf = (work: () => unknown): string => {
  try {
    work()
    return 'fine'
  } catch (error) {
    return error instanceof Problem ? error.kind : 'another error'
  }
}

describe('a claim', () => {
  test('gets the name in the forms in which it is kept, with the hash of a ticket', () => {
    const { usernames } = open()
    expect(usernames.claimable('default', 'Ann_1')).toEqual({ shown: 'Ann_1', folded: 'ann_1', skeleton: 'annl' })
    const hash = createHash('sha256').update('gwh_x').digest('base64url')
    expect(usernames.claimable('default', 'ann', 'gwh_x').ticketHash).toBe(hash)
    expect(['ab', 'a b', 'adm1n', 'fine'].map((name) => kindOf(() => usernames.claimable('default', name)))).toEqual([
      'username_invalid',
      'username_invalid',
      'username_reserved',
      'fine',
    ])
    expect(kindOf(() => usernames.claimable('nowhere', 'ann'))).toBe('tenant_not_found')
  })

  test('is known here at once and told to Redis, before the feed says it', async () => {
    const { clock, usernames, told, check } = open()
    void usernames.start()
    await clock.pass(10)
    expect(await check('Ann')).toEqual({ available: true })
    usernames.claimed('default', 'Ann')
    expect(await check('aNN')).toMatchObject({ available: false, reason: 'taken' })
    expect(told).toEqual(['write default ann true'])
    usernames.stop()
  })

  test('given up is in quarantine, and free again only when that is swept', async () => {
    const { clock, usernames, told, control, check } = open()
    void usernames.start()
    await clock.pass(10)
    usernames.claimed('default', 'ann')
    usernames.released('default', 'ann')
    expect(await check('ann')).toMatchObject({ available: false, reason: 'taken' })
    control.free.push({ tenant: 'default', folded: 'ann' })
    await clock.pass(90_000)
    expect(await check('ann')).toEqual({ available: true })
    expect(told).toContain('write default ann false')
    usernames.stop()
  })

  test('that lost is counted', () => {
    const { usernames, counted } = open()
    usernames.conflicted('default')
    expect([counted, usernames.analytics().tenants['default']?.conflicts]).toEqual([['conflict'], 1])
  })
})

describe('a start', () => {
  /** Whether it is over. */
  const started = (usernames: ReturnType<typeof open>['usernames']): { isOver: boolean } => {
    const start = { isOver: false }
    void usernames.start().then(() => (start.isOver = true))
    return start
  }

  test('is over when the filter is loaded, and not before', async () => {
    const { clock, usernames, control, check, counted } = open({ ann: 'taken' })
    const loading = Promise.withResolvers<void>()
    control.loading = loading.promise
    const start = started(usernames)
    await clock.pass(5_000)
    expect([start.isOver, [...usernames.filterNames()]]).toEqual([false, []])
    loading.resolve()
    await clock.pass(10)
    expect([start.isOver, [...usernames.filterNames()]]).toEqual([true, [['default', 1]]])
    expect([await check('dot'), counted]).toEqual([{ available: true }, ['filter free']])
    usernames.stop()
  })

  test('waits for ten seconds at most; what is loaded after it is used all the same', async () => {
    const { clock, usernames, control } = open({ ann: 'taken' })
    const loading = Promise.withResolvers<void>()
    control.loading = loading.promise
    const start = started(usernames)
    await clock.pass(9_999)
    expect(start.isOver).toBe(false)
    await clock.pass(1)
    expect(start.isOver).toBe(true)
    loading.resolve()
    await clock.pass(10)
    expect([...usernames.filterNames()]).toEqual([['default', 1]])
    usernames.stop()
  })

  test('does not wait for a database that is away, nor when it is stopped', async () => {
    const away = open()
    away.control.isAway = true
    const failed = started(away.usernames)
    await away.clock.pass(10)
    expect(failed.isOver).toBe(true)
    away.usernames.stop()
    const slow = open()
    slow.control.loading = new Promise(() => undefined)
    const stopped = started(slow.usernames)
    slow.usernames.stop()
    await slow.clock.pass(0)
    expect(stopped.isOver).toBe(true)
  })
})

describe('a check', () => {
  test('goes through the layers, and is repeated from memory', async () => {
    const { clock, usernames, counted, told, check } = open({ ann: 'taken', bob: 'held', cyd: 'quarantined' })
    void usernames.start()
    await clock.pass(10)
    const answers = []
    for (const name of ['a', 'admin', 'dot', 'ann', 'ann', 'bob', 'cyd']) answers.push(await check(name))
    expect(answers.map((answer) => Object(answer).reason ?? 'free')).toEqual([
      'invalid',
      'reserved',
      'free',
      'taken',
      'taken',
      'held',
      'taken',
    ])
    expect(counted.filter((one) => one !== 'query')).toEqual([
      'syntax invalid',
      'reserved reserved',
      'filter free',
      'database taken',
      'memory taken',
      'database held',
      'database taken',
    ])
    expect([counted.filter((one) => one === 'query').length, told]).toEqual([3, ['fill ann true', 'fill cyd true']])
    usernames.stop()
  })

  test('of what nobody knows is unavailable while the database is away; the rules still answer', async () => {
    const { clock, usernames, control, check } = open({ ann: 'taken' })
    void usernames.start()
    await clock.pass(10)
    control.isAway = true
    await clock.pass(5_000)
    expect(await check('dot')).toMatchObject({ kind: 'storage_unavailable' })
    expect([await check('admin'), await check('a')]).toMatchObject([{ reason: 'reserved' }, { reason: 'invalid' }])
    control.isAway = false
    await clock.pass(5_000)
    expect(await check('dot')).toEqual({ available: true })
    usernames.stop()
  })

  test('of one name after the other is told, once, with the address', async () => {
    const { clock, usernames, recorded, counted } = open()
    void usernames.start()
    await clock.pass(10)
    for (let index = 0; index < 30; index += 1) await usernames.check('default', `name${index}`, '192.0.2.9')
    expect(recorded).toEqual([{ event: 'malicious_username_probing', tenant: 'default', reason: 'series', ip: '192.0.2.9' }])
    expect(counted.filter((one) => one.startsWith('probing'))).toEqual(['probing series'])
    usernames.stop()
  })
})
