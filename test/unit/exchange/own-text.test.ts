import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { ownText } from '../../../src/exchange/exchange.ts'
import { createHeadReader } from '../../../src/listener/http1-head.ts'

const HEADS = 500
const HEAD_BYTES = 32 * 1024

describe('a text of its own', () => {
  it('is the same text', () => {
    const octets = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
    expect(ownText(octets.slice(1, 200))).toBe(octets.slice(1, 200))
    expect(ownText('')).toBe('')
  })

  it('keeps nothing of the head that it was read from, which a part of it does', () => {
    const parts = heldBytes((value) => value)
    const own = heldBytes(ownText)
    expect(parts).toBeGreaterThan((HEADS * HEAD_BYTES) / 2)
    expect(own).toBeLessThan((HEADS * HEAD_BYTES) / 8)
  })
})

/** Octets of the heap behind the first field of so many heads. */
function heldBytes(keep: (value: string) => string): number {
  const reader = createHeadReader()
  const kept: string[] = []
  const before = usedBytes()
  for (let number = 0; number < HEADS; number += 1) {
    const octets = Buffer.from(
      `GET /${number} HTTP/1.1\r\nhost: number-${number}.example.com\r\nx: ${'a'.repeat(HEAD_BYTES)}\r\n\r\n`,
    )
    kept.push(keep(reader.read(octets.toString('latin1'))?.fields[1] ?? ''))
  }
  const held = usedBytes() - before
  expect(kept.at(-1)).toBe(`number-${HEADS - 1}.example.com`)
  return held
}

function usedBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect !== 'function') throw new Error('there is no way to collect garbage')
  collect()
  return process.memoryUsage().heapUsed
}
