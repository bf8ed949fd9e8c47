/** Who of those that send slowly has a connection, and who gives it up. */
import { expect, test } from 'vitest'
import { createUploads, type Upload, type Uploads } from '../../../src/upstream/uploads.ts'
import { testClock, type TestClock } from './world.ts'

interface TestUpload extends Upload {
  readonly name: string
  hungry: boolean
  sent: number
}

interface Stage {
  readonly clock: TestClock
  readonly uploads: Uploads
  readonly load: { waiting: number; carried: number }
  /** What happened, in order. */
  readonly told: string[]
  come(name: string, does?: () => void): TestUpload
}

function open(connections: number): Stage {
  const clock = testClock()
  const load = { waiting: 0, carried: 0 }
  const told: string[] = []
  const uploads = createUploads(clock, load, connections)
  return { clock, uploads, load, told, come }

  function come(name: string, does: () => void = () => undefined): TestUpload {
    const one: TestUpload = {
      name,
      hungry: true,
      sent: 0,
      go() {
        told.push(`${name} goes`)
        does()
      },
      octets: () => one.sent,
      isHungry: () => one.hungry,
      giveWay() {
        told.push(`${name} gives way`)
        uploads.leave(one)
      },
    }
    uploads.enter(one)
    return one
  }
}

test('half of the connections are for uploads; the next one waits until one of them is over', () => {
  const { uploads, told, come } = open(4)
  const first = come('a')
  come('b')
  come('c')
  expect(told).toEqual(['a goes', 'b goes'])
  uploads.leave(first)
  uploads.leave(first)
  expect(told).toEqual(['a goes', 'b goes', 'c goes'])
})

test('of one connection there is no half: one upload has it', () => {
  const { told, come } = open(1)
  come('a')
  come('b')
  expect(told).toEqual(['a goes'])
})

test('who has shown that there is something to send goes first, else who came first', () => {
  const { uploads, told, come } = open(2)
  const a = come('a')
  const b = come('b')
  come('c')
  const d = come('d')
  uploads.prefer(d)
  uploads.leave(a)
  uploads.leave(d)
  expect(told).toEqual(['a goes', 'd goes', 'b goes'])
  uploads.leave(b)
  expect(told.at(-1)).toBe('c goes')
})

test('one that leaves while it waits never goes', () => {
  const { uploads, told, come } = open(2)
  const a = come('a')
  const b = come('b')
  uploads.leave(b)
  uploads.leave(a)
  expect(told).toEqual(['a goes'])
})

test('where nobody waits, an upload may be silent as long as it likes', () => {
  const { clock, load, told, come } = open(2)
  load.carried = 1
  come('a')
  clock.pass(3_600_000)
  expect(told).toEqual(['a goes'])
})

test('one that was silent for five seconds gives way to another upload that waits, the oldest first', () => {
  const { clock, told, come } = open(4)
  come('a')
  clock.pass(2000)
  come('b')
  clock.pass(4000)
  come('c')
  expect(told).toEqual(['a goes', 'b goes'])
  clock.pass(1000)
  expect(told).toEqual(['a goes', 'b goes', 'a gives way', 'c goes'])
  clock.pass(60_000)
  expect(told).toEqual(['a goes', 'b goes', 'a gives way', 'c goes'])
})

test('it gives way to any request that waits while all connections are held', () => {
  const { clock, load, told, come } = open(4)
  come('a')
  come('b')
  clock.pass(10_000)
  load.waiting = 1
  load.carried = 3
  clock.pass(10_000)
  expect(told).toEqual(['a goes', 'b goes'])
  load.carried = 4
  clock.pass(1000)
  expect(told).toEqual(['a goes', 'b goes', 'a gives way'])
})

test.each([
  ['gives a kilobyte in five seconds', (one: TestUpload) => void (one.sent += 250), false],
  ['gives octet by octet', (one: TestUpload) => void (one.sent += 100), true],
])('one that %s while another waits: gives way is %s', (_, each, expected) => {
  const { clock, told, come } = open(2)
  const a = come('a')
  come('b')
  for (let second = 0; second < 30 && !told.includes('a gives way'); second += 1) {
    each(a)
    clock.pass(1000)
  }
  expect(told.includes('a gives way')).toBe(expected)
})

test('one that waits for its upstream does not give way', () => {
  const { clock, told, come } = open(2)
  const a = come('a')
  a.hungry = false
  come('b')
  clock.pass(60_000)
  expect(told).toEqual(['a goes'])
  a.hungry = true
  clock.pass(6000)
  expect(told).toEqual(['a goes', 'a gives way', 'b goes'])
})

test('ten thousand that fail as they go do not use up the stack', () => {
  const { uploads, told, come } = open(2)
  const first = come('a')
  for (let index = 0; index < 10_000; index += 1) {
    const one: TestUpload = come(`${index}`, () => uploads.leave(one))
  }
  uploads.leave(first)
  expect(told.length).toBe(10_001)
})

test('a destination that is left lets everyone go, and keeps no timer', () => {
  const { clock, uploads, told, come } = open(2)
  come('a')
  come('b')
  uploads.letAll()
  come('c')
  expect({ told, timers: clock.waiting() }).toEqual({ told: ['a goes', 'b goes', 'c goes'], timers: 0 })
})

test('without uploads there is no timer', () => {
  const { clock, uploads, come } = open(2)
  const a = come('a')
  expect(clock.waiting()).toBe(1)
  uploads.leave(a)
  expect(clock.waiting()).toBe(0)
})
