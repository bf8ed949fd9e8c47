import { describe, expect, it } from 'vitest'
import { createDebts, type Debts } from '../../../src/quota/debts.ts'
import { createKeyedHash } from '../../../src/exchange/exchange.ts'

const SEED = [0x03020100, 0x07060504] as const

function debtsOf(most: number): Debts {
  return createDebts(createKeyedHash(SEED), most)
}

/** One request of a caller whose limit has this interval and burst: whether it was let in. */
function ask(debts: Debts, caller: string, nowUs: number, { intervalUs = 100, spanUs = 1_000 } = {}): boolean {
  debts.locate(caller, nowUs)
  const debtUs = Math.max(0, debts.untilUs() - nowUs) + intervalUs
  if (debtUs > spanUs) return false
  debts.put(nowUs + debtUs)
  return true
}

describe('the hash', () => {
  it('is HalfSipHash-2-4 as its authors publish it, of texts of so many characters', () => {
    // Of the octets 00 01 02 …, two to a character, under the key 00 … 07.
    const vectors = [
      '218d1f59b9b83cc8',
      '064f39ef7c50eb57',
      'd5e78a175be52ea1',
      'ce3e91358aa2bc25',
      'edfee820bce4858c',
      '95b0469f06a6f2ee',
      '7bc71f9faef5c799',
      '3bb1a870eae8e658',
      '7336aad25f7bf3b5',
      'c9b2db2b9a3e42f9',
      '1bf52b0a6feea7db',
      'e20103fa1ba776ef',
      '70741045ae3fa6f1',
      '0d899ed8112923f0',
      '2d925ffb1e0016b5',
      '291aaf864898179d',
      '28709d46d811626c',
    ]
    const keyed = createKeyedHash(SEED)
    const hashes = vectors.map((_, length) => {
      keyed.hash(String.fromCharCode(...Array.from({ length }, (__, at) => 2 * at + ((2 * at + 1) << 8))))
      const octets = Buffer.alloc(8)
      octets.writeUInt32LE(keyed.high(), 0)
      octets.writeUInt32LE(keyed.low(), 4)
      return octets.toString('hex')
    })
    expect(hashes).toEqual(vectors)
  })

  it('is another one under another seed', () => {
    const [one, other] = [createKeyedHash([1, 2]), createKeyedHash([1, 3])]
    one.hash('ip:192.0.2.1')
    other.hash('ip:192.0.2.1')
    expect([one.high(), one.low()]).not.toEqual([other.high(), other.low()])
  })
})

describe('the table of debts', () => {
  it('keeps what each owes, grows as it fills, and to no more than it may', () => {
    const debts = debtsOf(4_096)
    expect(debts.size()).toBe(256)
    for (let caller = 0; caller < 600; caller += 1) expect(ask(debts, `ip:${caller}`, 1_000 + (caller % 7))).toBe(true)
    for (let caller = 0; caller < 600; caller += 1) {
      debts.locate(`ip:${caller}`, 1_000)
      expect(debts.untilUs()).toBe(1_100 + (caller % 7))
      expect(debts.isOwn()).toBe(true)
    }
    for (let caller = 0; caller < 50_000; caller += 1) ask(debts, `ip:${caller}`, 1_000)
    expect(debts.size()).toBe(4_096)
  })

  it('does not grow for callers that come one after the other: who owes nothing takes no room', () => {
    const debts = debtsOf(1_048_576)
    for (let caller = 0; caller < 100_000; caller += 1) ask(debts, `ip:${caller}`, caller * 100)
    expect(debts.size()).toBe(256)
  })

  it('rounds its size up to a power of two', () => {
    const debts = debtsOf(257)
    for (let caller = 0; caller < 5_000; caller += 1) ask(debts, `ip:${caller}`, 1_000)
    expect(debts.size()).toBe(512)
  })

  it('gives the place of whoever is out of debt first to a newcomer, together with what is owed', () => {
    const debts = debtsOf(256)
    for (let caller = 0; caller < 5_000; caller += 1) ask(debts, `ip:${caller}`, 1_000)
    debts.locate('ip:new', 1_000)
    expect(debts.isOwn()).toBe(false)
    expect(debts.untilUs()).toBeGreaterThan(1_000)
  })

  it('lets no more pass than its size of callers may, however many addresses somebody sends from', () => {
    const debts = debtsOf(256)
    let admitted = 0
    for (let round = 0; round < 200; round += 1) {
      for (let caller = 0; caller < 2_000; caller += 1) if (ask(debts, `ip:${caller}`, 1_000 + round)) admitted += 1
    }
    // 256 bursts of 10, and what comes back in 200 µs.
    expect(admitted).toBeLessThanOrEqual(256 * (10 + 2))
    expect(admitted).toBeGreaterThan(256 * 9)
  })

  it('does not set a caller free whose limit is spent, unless all others of its row owe as much', () => {
    const debts = debtsOf(256)
    while (ask(debts, 'user:victim', 1_000));
    // One request each: far less than the victim owes.
    for (let caller = 0; caller < 100_000; caller += 1) {
      debts.locate(`ip:${caller}`, 1_000)
      if (debts.untilUs() < 1_900) debts.put(Math.max(1_000, debts.untilUs()) + 100)
      if (caller % 1_000 === 0) expect(ask(debts, 'user:victim', 1_000)).toBe(false)
    }
    expect(ask(debts, 'user:victim', 1_000)).toBe(false)
  })
})
