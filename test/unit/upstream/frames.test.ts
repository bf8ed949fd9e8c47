import { describe, expect, test } from 'vitest'
import { fc } from '../../support/properties.ts'
import { closeFrameForClient, closeFrameForUpstream, createFrameFollower } from '../../../src/upstream/frames.ts'
import { maskedFrame, readFrames } from '../../support/websocket.ts'

const frames = fc.array(
  fc.record({
    opcode: fc.constantFrom(0, 1, 2, 8, 9, 10),
    fin: fc.boolean(),
    size: fc.oneof(fc.integer({ min: 0, max: 130 }), fc.constantFrom(125, 126, 127, 65535, 65536, 70_000)),
  }),
  { minLength: 1, maxLength: 6 },
)

describe('following frames', () => {
  test('knows each boundary, however the octets are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 20 }), (wanted, cuts) => {
        const octets = wanted.map(({ opcode, fin, size }) => maskedFrame({ opcode, fin, payload: Buffer.alloc(size) }))
        const all = Buffer.concat(octets)
        const boundaries = new Set([0])
        let end = 0
        for (const one of octets) boundaries.add((end += one.length))
        const follower = createFrameFollower()
        for (let at = 0, turn = 0; at < all.length; turn += 1) {
          const next = Math.min(at + (cuts[turn % cuts.length] ?? 1), all.length)
          follower.follow(all.subarray(at, next))
          at = next
          expect(follower.betweenFrames()).toBe(boundaries.has(at))
        }
      }),
      { numRuns: 200 },
    )
  })

  test('a length of 64 bits is read whole', () => {
    const follower = createFrameFollower()
    follower.follow(Buffer.from([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 1]))
    for (let left = 2 ** 32 + 1; left > 0; left -= 2 ** 28) {
      expect(follower.betweenFrames()).toBe(false)
      follower.follow(Buffer.allocUnsafe(Math.min(left, 2 ** 28)))
    }
    expect(follower.betweenFrames()).toBe(true)
  })
})

test('close frames are whole frames with the code of their reason', () => {
  const { frames: read, rest } = readFrames(
    Buffer.concat([closeFrameForClient('goingAway'), closeFrameForClient('policyViolation')]),
  )
  expect([read.map(({ opcode, fin, payload }) => [opcode, fin, payload.readUInt16BE(0)]), rest.length]).toEqual([
    [
      [8, true, 1001],
      [8, true, 1008],
    ],
    0,
  ])
})

test('the one for the upstream is masked (RFC 6455 §5.3)', () => {
  const frame = closeFrameForUpstream('policyViolation')
  expect([frame[0], frame[1], frame.readUInt16BE(6), frame.length]).toEqual([0x88, 0x82, 1008, 8])
})
