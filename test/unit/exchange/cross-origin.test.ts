import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { isOriginAllowed, type CorsRules } from '../../../src/exchange/exchange.ts'

const RULES: CorsRules = {
  any: false,
  origins: new Set(['https://app.example.com', 'http://localhost:3000']),
  patterns: [
    { start: 'https://', end: '.example.org' },
    { start: 'https://', end: '.example.net:8443' },
  ],
  methods: ['GET'],
  headers: [],
  exposedHeaders: [],
  credentials: false,
  maxAgeSeconds: 600,
  privateNetwork: false,
}

it.each([
  'https://app.example.com',
  'http://localhost:3000',
  'https://a.example.org',
  'https://a.b-1.example.org',
  'https://x.example.net:8443',
])('takes %s', (origin) => {
  expect(isOriginAllowed(RULES, origin)).toBe(true)
})

describe('what only looks like an origin that may call', () => {
  it.each([
    'http://app.example.com',
    'https://app.example.com:444',
    'https://app.example.com.',
    'HTTPS://APP.EXAMPLE.COM',
    'https://app.example.com/',
    'https://app.example.com.evil.test',
    'https://evilapp.example.com',
    'https://evil.test#https://app.example.com',

    'https://example.org',
    'https://.example.org',
    'https://evilexample.org',
    'https://a..example.org',
    'https://a.example.org.evil.test',

    'http://a.example.org',
    'https://a.example.org:443',
    'https://a.example.org:8443',
    'https://x.example.net',
    'https://evil.test/.example.org',

    'https://evil.test?.example.org',
    'https://evil.test#.example.org',
    'https://user@evil.example.org',
    'https://evil.test:80.example.org',

    'https://evil.test\\.example.org',
    'https://a_b%.example.org',
    'https://A.example.org',
    'https://a.example.org https://evil.test',
    'null',
    '',
    '*',
    'file://',
    'localhost:3000',
    'http://localhost:30000',
    'http://localhost:3000.evil.test',
  ])('%j is none', (origin) => {
    expect(isOriginAllowed(RULES, origin)).toBe(false)
  })
})

it('takes nothing that a URL parser reads as another host than the one that is allowed', () => {
  const piece = fc.constantFrom(
    'https://',
    'http://',
    'app',
    'a',
    '.',
    '..',
    '-',
    '_',
    'example.org',
    'example.com',
    '.example.net',
    ':8443',
    ':443',
    '/',
    '@',
    '#',
    '?',
    '\\',
    '%2e',
    'evil.test',
    ' ',
    'A',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const origin = pieces.join('')
      if (!isOriginAllowed(RULES, origin)) return
      const { hostname, port } = new URL(origin)
      const named =
        RULES.origins.has(origin) || hostname.endsWith('.example.org') || (hostname.endsWith('.example.net') && port === '8443')
      expect([origin, new URL(origin).origin, named]).toEqual([origin, origin, true])
    }),
    { numRuns: 20_000 },
  )
})

it('takes every origin where the route says every one', () => {
  const all = { ...RULES, any: true }
  expect(['null', 'https://evil.test', ''].map((origin) => isOriginAllowed(all, origin))).toEqual([true, true, true])
})
