import { expect, it } from 'vitest'
import { createOwnWaits } from '../../../bench/support/own-waits.ts'

it('takes the moments in which the sender did not run off the times that they fall into', () => {
  const waits = createOwnWaits(0)
  for (const nowMs of [0.1, 0.2, 2.2, 2.3, 2.4, 5.4, 5.5]) waits.turn(nowMs)
  const times = [
    { fromMs: 2.25, toMs: 2.35 },
    { fromMs: 1.2, toMs: 6.4 },
    { fromMs: 3, toMs: 4 },
    { fromMs: 0, toMs: 0.2 },
  ]
  // In the order in which they began.
  expect([...waits.without(times)].map((ms) => Math.round(ms * 100) / 100)).toEqual([0.2, 1.2, 0.1, 0])
})
