import { Duplex } from 'node:stream'
import { expect, it } from 'vitest'
import { createLateHeads } from '../../../src/listener/late-heads.ts'

function scene() {
  const timers = new Map<() => void, number>()
  const late: Duplex[] = []
  const heads = createLateHeads(
    {
      schedule(delayMs, run) {
        timers.set(run, delayMs)
        return () => void timers.delete(run)
      },
    },
    (socket) => void late.push(socket),
  )
  return { timers, late, heads }
}

it('tells of a head that is not here in what is left of its time', () => {
  const { timers, late, heads } = scene()
  const socket = new Duplex()
  heads.watch(socket, 700)
  expect([...timers.values()]).toEqual([700])
  for (const run of timers.keys()) run()
  expect(late).toEqual([socket])
})

it('has no time left for a head whose time is over', () => {
  const { timers, heads } = scene()
  heads.watch(new Duplex(), -1)
  expect([...timers.values()]).toEqual([0])
})

it('forgets a head that is here, and no other', () => {
  const { timers, late, heads } = scene()
  const [first, second] = [new Duplex(), new Duplex()]
  heads.watch(first, 1)
  heads.watch(second, 2)
  heads.settle(first)
  heads.settle(new Duplex())
  expect([...timers.values()]).toEqual([2])
  for (const run of timers.keys()) run()
  expect(late).toEqual([second])
})
