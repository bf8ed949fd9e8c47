import { expect, test } from 'vitest'
import { fc } from '../../support/properties.ts'
import { createPlainCheck } from '../../../src/listener/http1-plain.ts'

const SHARED = Buffer.allocUnsafeSlow(4096)
const isPlain = createPlainCheck(SHARED)
const PLAIN = /^[\r\n\x20-\x7e]*$/

/** As it is said of octets where they are read into, and of a copy of them. */
function said(text: string): boolean[] {
  // What stands behind them is no part of them.
  SHARED.fill(0)
  SHARED.write(text, 'latin1')
  return [isPlain(SHARED, text.length), isPlain(Buffer.from(text, 'latin1'), text.length)]
}

test('each octet is told from all others at each place of a word, between any neighbours', () => {
  for (let octet = 0; octet < 256; octet += 1) {
    for (const neighbour of ['\x20', '~', '\r', '\n', 'a']) {
      for (let at = 0; at < 9; at += 1) {
        const text = neighbour.repeat(at) + String.fromCharCode(octet) + neighbour.repeat(8 - at)
        expect([text, ...said(text)]).toEqual([text, PLAIN.test(text), PLAIN.test(text)])
      }
    }
  }
})

test('texts are plain where a regular expression says so', () => {
  const octet = fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
    { weight: 2, arbitrary: fc.constantFrom(0x0d, 0x0a) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
  )
  fc.assert(
    fc.property(fc.array(octet, { maxLength: 64 }), (octets) => {
      const text = String.fromCharCode(...octets)
      expect(said(text)).toEqual([PLAIN.test(text), PLAIN.test(text)])
    }),
  )
})

test('a head that ends behind no whole word is looked at to its end', () => {
  for (let length = 0; length < 12; length += 1) {
    expect([said('a'.repeat(length)), said(`${'a'.repeat(length)}\0`)]).toEqual([
      [true, true],
      [false, false],
    ])
  }
})
