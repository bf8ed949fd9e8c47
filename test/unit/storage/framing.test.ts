import { array, assert, constantFrom, integer, letrec, oneof, property, string, uint8Array } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createFraming } from '../../../src/storage/redis/framing.ts'

/** How much of it may be decoded, where that is not all. */
const soundOf = (text: string): string | undefined => {
  const octets = Buffer.from(text, 'latin1')
  const sound = createFraming().sound(octets)
  return sound === octets.length ? undefined : text.slice(0, sound)
}

/** An answer as Redis writes it. */
const { answer } = letrec<{ answer: string; list: string }>((tie) => ({
  answer: oneof(
    { depthSize: 'small' },
    constantFrom('+OK\r\n', '-ERR no such thing\r\n', '$-1\r\n', '*-1\r\n', '*0\r\n', '$0\r\n\r\n', ':-1\r\n'),
    integer().map((number) => `:${number}\r\n`),
    string({ unit: 'binary' }).map((text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`),
    tie('list'),
  ),
  list: array(tie('answer'), { maxLength: 5 }).map((items) => `*${items.length}\r\n${items.join('')}`),
}))

/** Cut into pieces at these places. */
function pieces(octets: Buffer, places: readonly number[]): readonly Buffer[] {
  const cuts = [0, ...places.map((place) => place % (octets.length + 1)).toSorted((one, other) => one - other), octets.length]
  return cuts.slice(1).map((end, number) => octets.subarray(cuts[number], end))
}

describe('what Redis answers', () => {
  it('is taken, in whatever pieces it comes', () => {
    assert(
      property(array(answer), array(integer({ min: 0, max: 10_000 }), { maxLength: 20 }), (answers, places) => {
        const framing = createFraming()
        return pieces(Buffer.from(answers.join('')), places).every((piece) => framing.sound(piece) === piece.length)
      }),
    )
  })

  it('may be as long as Redis lets it be', () => {
    expect(soundOf('$536870912\r\n')).toBeUndefined()
    expect(soundOf('*1000000\r\n')).toBeUndefined()
    expect(soundOf(`-${'e'.repeat(65_536)}\r\n`)).toBeUndefined()
    expect(soundOf(':-9223372036854775808\r\n')).toBeUndefined()
  })

  it('may have any octets in a text', () => {
    expect(soundOf('$10\r\n\r\n*9\r\n$-1\u00ff\r\n:1\r\n')).toBeUndefined()
  })
})

describe('what is no answer', () => {
  it.each([
    ['octets that begin none', '\u0001'],
    ['one of another protocol', '_\r\n'],
    ['a map of another protocol', '%1\r\n'],
    ['a request of HTTP', 'HTTP/1.1 400 Bad Request\r\n'],
    ['a list whose length is no number', '*\u00f1\u00d3a-1\r\n'],
    ['a list of more than anybody asks for', '*1000001\r\n'],
    ['a list of fewer than none', '*-2\r\n'],
    ['a list of no items, written as below zero', '*-0\r\n'],
    ['a text whose length is no number', '$*\r\n'],
    ['a text that is shorter than none', '$-2\r\n'],
    ['a text that is longer than Redis lets it be', '$536870913\r\n'],
    ['a text without length', '$\r\n'],
    ['a length with a sign for itself', '$-\r\n'],
    ['a length with two signs', '$--1\r\n'],
    ['a length with a sign in it', '$1-\r\n'],
    ['a number without digits', ':\r\n'],
    ['a number with more digits than one has', `:${'1'.repeat(20)}\r\n`],
    ['a number that is none', ':1.5\r\n'],
    ['a line that ends with half of its end', '+OK\n'],
    ['a line with something within its end', '+OK\r\r\n'],
    ['a line that never ends', `+${'O'.repeat(65_537)}`],
    ['a text that goes on past its end', '$2\r\nabc\r\n'],
    ['a text that ends before', '$4\r\nab\r\n:1\r\n'],
    ['a text with half of its end', '$2\r\nab\r.'],
  ])('%s', (_, octets) => {
    expect(soundOf(octets)).toBe('')
    const framing = createFraming()
    expect([...Buffer.from(octets, 'latin1')].every((octet) => framing.sound(Uint8Array.of(octet)) === 1)).toBe(false)
  })

  it('is found behind answers, which are whole', () => {
    const noise = uint8Array({ minLength: 1 }).filter(([first = 0]) => !'+-:$*'.includes(String.fromCharCode(first)))
    assert(
      property(array(answer), noise, (answers, octets) => {
        const before = Buffer.from(answers.join(''))
        return createFraming().sound(Buffer.concat([before, octets])) === before.length
      }),
    )
  })

  it('is found within an answer, of which nothing is whole', () => {
    expect(soundOf(':1\r\n*2\r\n:2\r\n?')).toBe(':1\r\n')
    expect(soundOf('*2\r\n*1\r\n:1\r\n:2\r\n?')).toBe('*2\r\n*1\r\n:1\r\n:2\r\n')
    expect(soundOf('*2\r\n*1\r\n:1\r\n?')).toBe('')
    expect(soundOf('*2\r\n*0\r\n*-1\r\n?')).toBe('*2\r\n*0\r\n*-1\r\n')
  })
})
