/** Targets of the web platform's URL tests: what the URL standard and the gateway read differently is refused. */
import { describe, expect, it } from 'vitest'
import { canonicalPath } from '../../../src/router/canonical-path.ts'
import { readVectors } from '../../support/vectors.ts'
import { outcomeOf, request, routerOf } from './routes.ts'

const MERGED = 'the URL standard takes what follows two slashes for a host; in origin-form it is a path (RFC 9112 §3.2.1), merged'
const UNRESERVED = 'unreserved characters are one with their encoding (RFC 3986 §6.2.2.2)'
const QUERY = 'a query goes on as received and chooses no route; the URL standard encodes some characters'

/** Targets that are taken although the URL standard spells them in another way. */
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  ['//foo/bar', MERGED],
  ['//www.example2.com', MERGED],
  ['///test', MERGED],
  ['///example.org/path', MERGED],
  ['http://example.com/foo%41%7a', UNRESERVED],
  ['http://www/foo%2Ehtml', UNRESERVED],
  ['http://example.com/%3A%3a%3C%3c', 'hex digits in upper case (RFC 3986 §6.2.2.1)'],
  ["http://host/?'", QUERY],
  ['http://example.org/test?"', QUERY],
  ['http://example.org/test?<', QUERY],
  ['http://example.org/test?>', QUERY],
  ['/?', 'a query goes on as received; the URL standard drops an empty one'],
])

const router = routerOf({ name: 'all', path: '/*' })
const vectors = readVectors('routing/wpt_urltestdata_http.json')

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function inputsOf(data: unknown): { readonly count: unknown; readonly inputs: readonly string[] } {
  if (!isRecord(data) || !Array.isArray(data['cases'])) return { count: undefined, inputs: [] }
  const inputs = data['cases'].flatMap((row: unknown) =>
    isRecord(row) && typeof row['input'] === 'string' ? [row['input']] : [],
  )
  return { count: data['count'], inputs }
}

/** Every input as it is, and a relative one also as the path that it would be. */
function targetsOf(input: string): readonly string[] {
  return input.startsWith('/') || /^[a-z]+:/i.test(input) ? [input] : [input, `/${input}`]
}

/** The Host that fits the target, so that no row is refused for its authority alone. */
function hostOf(target: string): string {
  return /^https?:\/\/([^/?#\\]*)/i.exec(target)?.[1] ?? 'h'
}

function standardReading(target: string): string {
  if (!URL.canParse(target, 'http://h')) return 'no URL'
  const { pathname, search } = new URL(target, 'http://h')
  return pathname + search
}

describe('the URL standard', () => {
  const { count, inputs } = inputsOf(vectors.data)

  it('has rows to compare with', ({ skip }) => {
    if (vectors.missing !== undefined) skip(vectors.missing)
    expect(inputs).toHaveLength(Number(count))
    expect(inputs.length).toBeGreaterThan(400)
    for (const target of EXCEPTIONS.keys()) expect(inputs.flatMap(targetsOf)).toContain(target)
  })

  it.each(inputs.map((input, row) => ({ row, input })))('row $row, $input: is read alike or refused', ({ input }) => {
    for (const target of targetsOf(input)) {
      const arrived = request({ target, host: hostOf(target) })
      const { problem } = outcomeOf(router, arrived)
      if (problem !== undefined) {
        expect(['invalid_request', 'ambiguous_path']).toContain(problem.kind)
        continue
      }
      const { path, query } = router.match(arrived)
      expect(canonicalPath(path)).toBe(path)
      if (!EXCEPTIONS.has(target)) expect(path + query).toBe(standardReading(target))
    }
  })

  it('differs where an exception says so, else the exception goes', ({ skip }) => {
    if (vectors.missing !== undefined) skip(vectors.missing)
    for (const target of EXCEPTIONS.keys()) {
      const { path, query } = router.match(request({ target, host: hostOf(target) }))
      expect(path + query).not.toBe(standardReading(target))
    }
  })
})
