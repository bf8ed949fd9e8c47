/** Heads that come in pieces: what is waited for, and what another reader gets at once. */
import { expect, it, test } from 'vitest'
import { createHeadReader } from '../../../src/listener/http1-head.ts'
import { BEGINNING, follow, NOT_SIMPLE, WHOLE } from '../../../src/listener/http1-outline.ts'
import { HEAD } from '../../support/heads.ts'
import { fc } from '../../support/properties.ts'

test.each([
  'G',
  'GET ',
  'OPTIONS /a?b=%20',
  'DELETE / HTTP/1.',
  'HEAD / HTTP/1.1\r',
  'GET / HTTP/1.1\r\nHos',
  'GET / HTTP/1.1\r\nHost: a b',
  'GET / HTTP/1.1\r\nHost:\r\n',
  'GET / HTTP/1.1\r\nHost:\r\n\r',
])('%j is waited for', (text) => {
  expect([NOT_SIMPLE, WHOLE]).not.toContain(follow(BEGINNING, text))
})

test.each([
  '\x16',
  '\r',
  'P',
  'GEX',
  'GETS',
  'GET  ',
  'GET x',
  'GET *',
  'GET /#',
  'GET /\xe4',
  'GET /\x00',
  'GET /\r',
  'GET / HTTP/2',
  'GET / HTTP/1.0',
  'GET / HTTP/1.1\n',
  'GET / HTTP/1.1\r\r',
  'GET / HTTP/1.1\r\n ',
  'GET / HTTP/1.1\r\n:',
  'GET / HTTP/1.1\r\nHost ',
  'GET / HTTP/1.1\r\nHost\r',
  'GET / HTTP/1.1\r\nHost: \t',
  'GET / HTTP/1.1\r\nHost: a\n',
  'GET / HTTP/1.1\r\nHost: a\rb',
  'GET / HTTP/1.1\r\n\r\nG',
])('%j is for another reader, with all that came before it', (text) => {
  expect(follow(BEGINNING, text)).toBe(NOT_SIMPLE)
  expect(follow(BEGINNING, text.slice(0, -1))).not.toBe(NOT_SIMPLE)
})

it('is whole with the last octet of whatever is read as a simple head, and never before', () => {
  const reader = createHeadReader()
  let read = 0
  fc.assert(
    fc.property(HEAD, (text) => {
      if (reader.read(text) === undefined) return
      read += 1
      const states = Array.from({ length: text.length + 1 }, (_, end) => follow(BEGINNING, text.slice(0, end)))
      expect(states.indexOf(WHOLE)).toBe(text.length)
      expect(states).not.toContain(NOT_SIMPLE)
    }),
    { numRuns: 5000 },
  )
  expect(read).toBeGreaterThan(50)
})

it('comes to the same wherever it is cut', () => {
  fc.assert(
    fc.property(HEAD, fc.nat(), (text, at) => {
      const cut = at % (text.length + 1)
      expect(follow(follow(BEGINNING, text.slice(0, cut)), text.slice(cut))).toBe(follow(BEGINNING, text))
    }),
    { numRuns: 5000 },
  )
})
