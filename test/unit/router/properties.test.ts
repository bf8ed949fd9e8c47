import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { canonicalPath } from '../../../src/router/canonical-path.ts'
import { originForm, queryFrom } from '../../../src/router/request-target.ts'
import { outcomeOf, request, routerOf } from './routes.ts'

const SLASHES_AND_WORDS = ['/', '/', '/', '//', '.', '..', '/../', '/./', 'a', 'A', 'admin', 'public', '~', ':', '@', '*', '+']
const ENCODED = '%2e %2E%2e %2f %2F %5c %25 %252e %252f %3b %3A %40 %61 %c3%a9 %20 %00 % %zz %61dmin %70ublic'.split(' ')
const HOSTILE = ['\\', ';', ';x=y', '#', '?', '{', '|', ' ', '\u00e9', '\u2215', '\u0000', 'http://gateway.test', 'http:']
const PIECES = [...SLASHES_AND_WORDS, ...ENCODED, ...HOSTILE]
const pieced = fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((pieces) => pieces.join(''))
const paths = fc.oneof(
  pieced,
  pieced.map((path) => `/${path}`),
  pieced.map((path) => `/public/${path}`),
  fc.string({ unit: 'binary' }),
)

/** What `run` gives, or undefined where it refuses; anything but a Problem is a fault. */
function accepted<Value>(run: () => Value): Value | undefined {
  try {
    return run()
  } catch (error) {
    if (error instanceof Problem) return undefined
    throw error
  }
}

/** One percent-decoding, leaving alone what is no encoding. */
function decodeOnce(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

function resolve(segments: readonly string[]): readonly string[] {
  const kept: string[] = []
  for (const segment of segments) {
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
  }
  return kept
}

/** First segments that careless readers see: decoding 0 to 3 times, with `\` as `/` or not, cutting at `;`, merging before or after. */
function careless(path: string): ReadonlySet<string> {
  const firsts = new Set<string>()
  let text = path
  for (let depth = 0; depth < 4; depth++) {
    for (const slashed of [text, text.replaceAll('\\', '/')]) {
      for (const cut of [slashed, slashed.replace(/;[^/]*/g, ''), slashed.replaceAll('\u0000', '#').replace(/[?#].*/s, '')]) {
        const segments = cut.split('/').slice(1)
        const merged = segments.filter((segment) => segment !== '')
        firsts.add(resolve(merged)[0] ?? '')
        firsts.add(resolve(segments).find((segment) => segment !== '') ?? '')
      }
    }
    text = decodeOnce(text)
  }
  return firsts
}

describe('for any path', () => {
  it('the canonical form is a fixed point, and nothing but a Problem is thrown', () => {
    fc.assert(
      fc.property(paths, (raw) => {
        const path = accepted(() => canonicalPath(raw))
        if (path !== undefined) expect(canonicalPath(path)).toBe(path)
      }),
      { numRuns: 20_000 },
    )
  })

  it('a canonical path has no empty and no dot segment, decoded or not', () => {
    fc.assert(
      fc.property(paths, (raw) => {
        const path = accepted(() => canonicalPath(raw))
        if (path === undefined) return
        for (const text of [path, decodeOnce(path)]) {
          expect(text).not.toMatch(/\/\/|\/\.\.?(\/|$)|\\|;/)
          expect(text.startsWith('/')).toBe(true)
        }
      }),
      { numRuns: 20_000 },
    )
  })

  it('targets and queries are taken or refused, and a query is never changed', () => {
    fc.assert(
      fc.property(paths, fc.string(), (target, query) => {
        accepted(() => originForm(target, 'gateway.test'))
        const taken = accepted(() => queryFrom(`/?${query}`, 1))
        if (taken !== undefined) expect(taken).toBe(`?${query}`)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('whatever any reader takes for /admin', () => {
  for (const encodedSlash of ['reject', 'keep'] as const) {
    const router = routerOf(
      { name: 'public', path: '/public/*', auth: 'public', encodedSlash },
      { name: 'admin', path: '/admin/*', auth: 'required', encodedSlash },
      { name: 'rest', path: '/*', auth: 'required', encodedSlash },
    )

    it(`never matches /public/* where encoded slashes are ${encodedSlash === 'keep' ? 'kept' : 'refused'}`, () => {
      let taken = 0
      fc.assert(
        fc.property(paths, (target) => {
          const { route, path } = outcomeOf(router, request({ target }))
          if (route?.name !== 'public' || path === undefined) return
          taken++
          expect([...careless(path)]).toEqual(['public'])
          expect(careless(target.replace(/\?.*/s, '').replace('http://gateway.test/', '/')).has('admin')).toBe(false)
        }),
        { numRuns: 30_000 },
      )
      expect(taken).toBeGreaterThan(100)
    })
  }

  it('never matches /public/*, however the word is encoded', () => {
    const router = routerOf({ name: 'public', path: '/public/*', auth: 'public' }, { name: 'admin', path: '/admin/*' })
    const encodings = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 25, maxLength: 25 })
    const ways = fc.constantFrom(
      '/admin',
      '/public/../admin',
      '/public/./../admin',
      '//admin',
      '/public/x/../../admin',
      '/admin/',
    )
    fc.assert(
      fc.property(ways, encodings, (way, depths) => {
        const target = Array.from(way, (character, at) => encode(character, at === 0 ? 0 : (depths[at] ?? 0))).join('')
        const { route, problem } = outcomeOf(router, request({ target }))
        expect(problem?.kind ?? route?.name).toMatch(/^(ambiguous_path|admin)$/)
      }),
      { numRuns: 5_000 },
    )
  })
})

/** Percent-encoded so many times. */
function encode(character: string, times: number): string {
  if (times === 0) return character
  return `%${'25'.repeat(times - 1)}${character.charCodeAt(0).toString(16)}`
}
