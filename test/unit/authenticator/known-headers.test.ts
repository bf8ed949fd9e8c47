import { describe, expect, it } from 'vitest'
import { readCompact, type KnownHeaders } from '../../../src/authenticator/token.ts'
import { encode } from './world.ts'

/** A token whose parts have the right form. */
function tokenOf(header: unknown, subject = 'ada'): string {
  return `${encode(header)}.${encode({ sub: subject })}.${'A'.repeat(342)}`
}

const HEADER = { alg: 'RS256', kid: 'k-1', typ: 'application/AT+JWT' }

describe('a header that another token had', () => {
  it('says the same as when it was read, and the rest is of each token', () => {
    const known: KnownHeaders = new Map()
    const first = readCompact(tokenOf(HEADER), known)
    const second = readCompact(tokenOf(HEADER, 'bob'), known)
    expect(known.size).toBe(1)
    expect(first).toEqual(readCompact(tokenOf(HEADER)))
    expect(second).toEqual(readCompact(tokenOf(HEADER, 'bob')))
    expect(second).toMatchObject({ algorithm: 'RS256', kid: 'k-1', type: 'at+jwt', payload: encode({ sub: 'bob' }) })
  })

  it('does not make a token of what is none', () => {
    const known: KnownHeaders = new Map()
    readCompact(tokenOf(HEADER), known)
    expect(readCompact(`${encode(HEADER)}.!.${'A'.repeat(342)}`, known)).toBe('malformed')
    expect(readCompact(`${encode(HEADER)}..${'A'.repeat(342)}`, known)).toBe('malformed')
    expect(readCompact(`${encode(HEADER)}.${encode({})}`, known)).toBe('malformed')
  })

  it('is not known where it was refused', () => {
    const known: KnownHeaders = new Map()
    expect(readCompact(tokenOf({ ...HEADER, alg: 'none' }), known)).toBe('algorithm')
    expect(readCompact(tokenOf({ ...HEADER, crit: ['exp'] }), known)).toBe('critical')
    expect(known.size).toBe(0)
  })

  it('is one of a few, however many others somebody makes up', () => {
    const known: KnownHeaders = new Map()
    for (let number = 0; number < 1_000; number += 1) readCompact(tokenOf({ ...HEADER, kid: `k-${number}` }), known)
    expect(known.size).toBeLessThanOrEqual(64)
    expect(readCompact(tokenOf({ ...HEADER, kid: 'k-0' }), known)).toMatchObject({ kid: 'k-0' })
  })
})
