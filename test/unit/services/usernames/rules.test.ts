import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { fc } from '../../../support/properties.ts'
import { skeletonOf } from '../../../../src/services/usernames/names.ts'
import { createRulesOf, hashOfSkeleton, isUsername, parseReserved } from '../../../../src/services/usernames/rules.ts'

const LIST = readFileSync(new URL('../../../../config/reserved-usernames.txt', import.meta.url), 'utf8')
const WORDS = parseReserved(LIST)

describe('a username', () => {
  test.each([
    ['abc', true],
    ['ab', false],
    ['', false],
    ['a'.repeat(30), true],
    ['a'.repeat(31), false],
    ['A-z_0', true],
    ['---', true],
    ['123', true],
    ['a b', false],
    ['a.b', false],
    ['änn', false],
    ['ann\n', false],
    ['ann\0', false],
    ['\u0430nn', false],
    ['ann\u200ba', false],
    ["ann'--", false],
    ['😀😀😀', false],
  ])('%j: %s', (name, expected) => {
    expect(isUsername(name)).toBe(expected)
  })
})

describe('the list that comes with the gateway', () => {
  test('has several hundred words, each once', () => {
    expect(WORDS.length).toBeGreaterThan(500)
    expect(WORDS.filter((word, index) => WORDS.indexOf(word) !== index)).toEqual([])
  })

  test('has the words without which no list is one', () => {
    expect(
      ['admin', 'root', 'support', 'security', 'www', 'api', 'null', 'postmaster', 'gatehouse', 'abuse'].filter(
        (word) => !WORDS.includes(word),
      ),
    ).toEqual([])
  })

  test('has room for comments and empty lines, and for nothing that is no username', () => {
    expect(parseReserved('# all of it\n\nAdmin # who runs it\n  root\n')).toEqual(['admin', 'root'])
    expect(() => parseReserved('admin\nno good\n')).toThrow('line 2 of the reserved usernames is no username')
  })
})

describe('the rules', () => {
  const rules = createRulesOf(WORDS)({ reserved: ['House_Brand'], protected: ['Ann_Other'] })

  test.each(['admin', 'ADMIN', 'adm1n', 'a-d-m-i-n', 'adrnin', 'r00t', 'vvww', 'housebrand', 'h0use-brand'])('keep %s', (name) =>
    expect(rules.judge(name)).toBe('reserved'),
  )

  test.each(['vvvvvv', 'wvvvv', 'vvwvv'])('see www in %s', (name) => expect(rules.judge(name)).toBe('reserved'))

  test('keep look-alikes of a protected name, and not the name itself', () => {
    expect(['ann_other', 'ANN_OTHER', 'annother', 'ann-0ther', 'Ann_0ther'].map((name) => rules.judge(name))).toEqual([
      'fine',
      'fine',
      'reserved',
      'reserved',
      'reserved',
    ])
  })

  test('leave ordinary names alone', () => {
    const names = ['alice', 'bob_77', 'Grace-Hopper', 'administer', 'xX_user_Xx', 'jenny1999']
    expect(names.filter((name) => rules.judge(name) !== 'fine')).toEqual([])
  })
})

test('a skeleton and every name that it stands for have one hash', () => {
  const letters = fc.constantFrom(...'rnvwml1i0o-_RNVIax9')
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 30 }), (parts) => {
      const name = parts.join('')
      expect(hashOfSkeleton(name)).toBe(hashOfSkeleton(skeletonOf(name)))
      expect(skeletonOf(skeletonOf(name))).toBe(skeletonOf(name))
    }),
    { numRuns: 2_000 },
  )
})

test('different skeletons of a long list have different hashes', () => {
  const skeletons = new Set([...WORDS, ...Array.from({ length: 20_000 }, (_, index) => `name${index * 7}x`)].map(skeletonOf))
  expect(new Set([...skeletons].map(hashOfSkeleton)).size).toBeGreaterThan(skeletons.size * 0.999)
})
