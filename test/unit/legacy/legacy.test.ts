import { describe, expect, it } from 'vitest'
import type { Identified } from '../../../src/exchange/exchange.ts'
import { createLegacy } from '../../../src/legacy/legacy.ts'
import { Problem } from '../../../src/problem/problem.ts'

const PRINCIPAL: Identified = {
  kind: 'identified',
  issuer: 'legacy',
  tenant: 'default',
  user: 'alice',
  scopes: [],
  tokenId: 'sha256.x',
  expiresAt: 2_000,
  skewSeconds: 30,
  tokenType: 'jwt',
  algorithm: 'HS256',
  claims: {},
}
const ENDED = { typ: 'session', tenant: 'acme', id: 's-1', exp: 1_900, reason: 'logout' } as const

interface Options {
  readonly publishRawToken?: boolean
  verify?(token: string): Identified | Promise<Identified>
  revoke?(): Promise<void>
  publish?(message: string): Promise<void>
}

function world({ publishRawToken = false, ...options }: Options = {}) {
  const revoked = new Set<Identified>()
  const [verified, published, counts, lost]: [string[], string[], string[], unknown[]] = [[], [], [], []]
  const timers: { delayMs: number; run: () => void }[] = []
  const legacy = createLegacy(
    {
      verify(token) {
        verified.push(token)
        return options.verify?.(token) ?? PRINCIPAL
      },
      isRevoked: (token) => revoked.has(token),
      async revoke(token) {
        await options.revoke?.()
        revoked.add(token)
      },
      async publish(message) {
        await options.publish?.(message)
        published.push(message)
      },
      nowSeconds: () => 1_000,
      schedule(delayMs, run) {
        const timer = { delayMs, run }
        timers.push(timer)
        return () => void timers.splice(timers.indexOf(timer), 1)
      },
      events: {
        message: (direction, result) => void counts.push(`${direction} ${result}`),
        flooded: () => void lost.push('flood'),
        lost: (cause) => void lost.push(cause),
      },
    },
    { name: 'token_invalidation', publishRawToken },
  )
  return { legacy, revoked, verified, published, counts, lost, timers, turn }

  /** Runs the timers that are armed now, and what follows from them at once; their delays. */
  async function turn(): Promise<number[]> {
    const due = timers.splice(0)
    for (const { run } of due) run()
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    return due.map(({ delayMs }) => delayMs)
  }
}

describe('a message that is heard', () => {
  it.each(['aaa.bbb.ccc', ' aaa.bbb.ccc\n', 'Bearer aaa.bbb.ccc', 'bearer   aaa.bbb.ccc'])(
    'is a token, verified and revoked: %j',
    async (text) => {
      const { legacy, turn, verified, revoked, counts } = world()
      legacy.hear(Buffer.from(text))
      expect(verified).toEqual([])
      await turn()
      expect([verified, [...revoked], counts]).toEqual([['aaa.bbb.ccc'], [PRINCIPAL], ['in revoked']])
    },
  )

  it('is written once, however often it comes', async () => {
    const { legacy, turn, counts } = world()
    for (let time = 0; time < 3; time += 1) {
      legacy.hear(Buffer.from('a.b.c'))
      await turn()
    }
    expect(counts).toEqual(['in revoked', 'in known', 'in known'])
  })

  it('is ignored, and not even read, where it has the form of our own', async () => {
    const { legacy, turn, verified, revoked, counts } = world()
    legacy.hear(Buffer.from('{"v":1,"typ":"user","tenant":"default","id":"alice"}'))
    legacy.hear(Buffer.from('{'))
    await turn()
    expect([verified, [...revoked], counts]).toEqual([[], [], ['in own', 'in own']])
  })

  it('is refused when it is no token that is good now, or one that has no id', async () => {
    const { tokenId: _, ...anonymous } = PRINCIPAL
    const { legacy, turn, revoked, counts, lost } = world({
      verify(token) {
        if (token === 'no.id.x') return anonymous
        throw new Problem('invalid_signature')
      },
    })
    for (const text of ['', 'x', 'no.id.x', '\0\xff', '['.repeat(16 * 1024)]) legacy.hear(Buffer.from(text, 'latin1'))
    await turn()
    expect([[...revoked], counts, lost]).toEqual([[], Array(5).fill('in refused'), []])
  })

  it('is not looked at when it is larger than 16 KiB', async () => {
    const { legacy, turn, verified, counts } = world()
    legacy.hear(Buffer.alloc(16 * 1024 + 1, 'a'))
    await turn()
    expect([verified, counts]).toEqual([[], ['in too_large']])
  })

  it('is tried again, later each time, while the store cannot take it', async () => {
    let failures = 2
    const { legacy, turn, counts, lost } = world({
      async revoke() {
        failures -= 1
        if (failures >= 0) throw new Problem('storage_unavailable')
      },
    })
    legacy.hear(Buffer.from('a.b.c'))
    expect([await turn(), await turn(), await turn()]).toEqual([[0], [100], [200]])
    expect([counts, lost]).toEqual([['in revoked'], []])
  })

  it('is given up, and said, when the store does not take it in six attempts', async () => {
    const cause = new Problem('storage_unavailable')
    const { legacy, turn, counts, lost } = world({ revoke: () => Promise.reject(cause) })
    legacy.hear(Buffer.from('a.b.c'))
    const delays = []
    for (let time = 0; time < 6; time += 1) delays.push(...(await turn()))
    expect(delays).toEqual([0, 100, 200, 400, 800, 1600])
    expect([counts, lost]).toEqual([['in failed'], [cause]])
  })

  it('waits its turn in a flood, and is dropped when too many wait', async () => {
    const { legacy, turn, verified, counts, lost, timers } = world()
    for (let time = 0; time < 10_003; time += 1) legacy.hear(Buffer.from('a.b.c'))
    expect([counts, lost]).toEqual([Array(3).fill('in dropped'), ['flood']])
    expect(await turn()).toEqual([0])
    expect(verified.length).toBe(40)
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([20])
    await turn()
    expect(verified.length).toBe(80)
  })

  it('is dropped when those that wait are too large together', async () => {
    const { legacy, counts } = world()
    for (let time = 0; time < 513; time += 1) legacy.hear(Buffer.alloc(16 * 1024, 'a'))
    expect(counts).toEqual(['in dropped'])
  })

  it('keeps at most 64 others waiting for a store that hangs', async () => {
    const { legacy, turn, verified } = world({ revoke: () => new Promise(() => undefined) })
    for (let time = 0; time < 200; time += 1) legacy.hear(Buffer.from('a.b.c'))
    for (let time = 0; time < 5; time += 1) await turn()
    expect(verified.length).toBe(64)
  })

  it('means nothing after the stop', async () => {
    const { legacy, turn, verified, counts } = world()
    legacy.hear(Buffer.from('a.b.c'))
    legacy.stop()
    legacy.hear(Buffer.from('a.b.c'))
    await turn()
    expect([verified, counts]).toEqual([[], []])
  })
})

describe('what ends here', () => {
  it('is told as a message without the token', async () => {
    const { legacy, turn, published, counts } = world()
    legacy.ended(ENDED)
    expect(published).toEqual([])
    await turn()
    expect(published.map((text) => JSON.parse(text))).toEqual([{ v: 1, t: 1_000, ...ENDED }])
    expect(counts).toEqual(['out ok'])
  })

  it('is told as the token itself only where that was asked for', async () => {
    const [quiet, loud] = [world(), world({ publishRawToken: true })]
    for (const { legacy, turn } of [quiet, loud]) {
      legacy.tokenEnded('a.b.c')
      await turn()
    }
    expect([quiet.published, loud.published]).toEqual([[], ['a.b.c']])
  })

  it('is told in order, and what fails is counted and not tried again', async () => {
    const { legacy, turn, published, counts } = world({
      async publish(message) {
        if (message.includes('"two"')) throw new Error('away')
      },
    })
    for (const id of ['one', 'two', 'three']) legacy.ended({ ...ENDED, id })
    await turn()
    expect(published.map((text) => (JSON.parse(text) as { id: string }).id)).toEqual(['one', 'three'])
    expect(counts).toEqual(['out ok', 'out failed', 'out ok'])
  })

  it('is dropped when too much of it waits for a Redis that hangs', async () => {
    const { legacy, turn, counts } = world({ publish: () => new Promise(() => undefined) })
    for (let time = 0; time < 900; time += 1) legacy.ended(ENDED)
    await turn()
    for (let time = 0; time < 101; time += 1) legacy.ended(ENDED)
    expect(counts).toEqual(['out dropped'])
  })

  it('leaves before the stop, and nothing after it', async () => {
    const { legacy, turn, published } = world()
    legacy.ended(ENDED)
    legacy.stop()
    legacy.ended(ENDED)
    await turn()
    expect(published.length).toBe(1)
  })
})
