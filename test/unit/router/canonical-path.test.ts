import { describe, expect, it } from 'vitest'
import { canonicalPath, looseReading, stripPrefix } from '../../../src/router/canonical-path.ts'
import { Problem } from '../../../src/problem/problem.ts'

function reading(run: () => string): string {
  try {
    return run()
  } catch (error) {
    if (error instanceof Problem) return error.kind
    throw error
  }
}

describe('the canonical path', () => {
  it.each([
    ['/', '/', 'the root'],
    ['/a/b', '/a/b', 'plain'],
    ['/a/', '/a/', 'a trailing slash is part of the path'],
    ['/.well-known/jwks.json', '/.well-known/jwks.json', 'a dot that is no dot segment'],
    ['/...', '/...', 'three dots are a name'],
    ['/a..b/..c/d..', '/a..b/..c/d..', 'dots within a name'],
    ["/!$&'()*+,=:@[]-._~", "/!$&'()*+,=:@[]-._~", 'characters that may stand bare'],
    ['/ADMIN', '/ADMIN', 'case is kept'],
    ['/%41DMIN', '/ADMIN', 'a letter encoded'],
    ['/%61%64%6d%69%6E', '/admin', 'a word encoded'],
    ['/%7Euser', '/~user', 'a tilde encoded'],
    ['/caf%c3%a9', '/caf%C3%A9', 'hex in upper case'],
    ['/a%20b', '/a%20b', 'a space stays encoded'],
    ['/a%3ab', '/a%3Ab', 'an encoded delimiter stays so'],
    ['/a%7Bb%7d', '/a%7Bb%7D', 'braces stay encoded'],
    ['//admin', '/admin', 'slashes merge'],
    ['/a///b//', '/a/b/', 'runs of slashes merge'],
    ['//', '/', 'nothing but slashes'],
    ['/./admin', '/admin', 'a dot segment'],
    ['/.//admin', '/admin', 'a dot segment and a run of slashes'],
    ['/%2e/admin', '/admin', 'a dot segment encoded'],
    ['/public/../admin', '/admin', 'a double dot segment'],
    ['/public/%2E%2e/admin', '/admin', 'a double dot segment encoded'],
    ['/public/.%2e/admin', '/admin', 'a double dot segment half encoded'],
    ['/a/b/c/../../d', '/a/d', 'two of them'],
    ['/a/.', '/a/', 'a trailing dot segment leaves its slash'],
    ['/a/b/..', '/a/', 'a trailing double dot segment leaves its slash'],
    ['/a/..', '/', 'back to the root'],
    ['/a/../', '/', 'back to the root with a slash'],
    ['/.', '/', 'a dot at the root'],
    ['/a%2fb', '/a%2Fb', 'an encoded slash is left to the route'],
    ['/a%2Fb/./c', '/a%2Fb/c', 'an encoded slash and a dot segment'],
    ['/a%2F', '/a%2F', 'an encoded slash at the end'],
  ])('reads %s as %s: %s', (raw, canonical) => {
    expect(canonicalPath(raw)).toBe(canonical)
    expect(canonicalPath(canonical)).toBe(canonical)
  })

  it.each([
    ['', 'nothing'],
    ['a', 'no slash in front'],
    ['*', 'no path'],
    ['/a b', 'space'],
    ['/a\tb', 'tab'],
    ['/a\u0000', 'NUL'],
    ['/a\u007f', 'DEL'],
    ['/caf\u00e9', 'a byte above ASCII'],
    ['/a\u2215b', 'a character that looks like a slash'],
    ['/admin#x', 'a fragment'],
    ['/#/../admin', 'a fragment in front'],
    ['/a\\b', 'a backslash'],
    ['/api/..\\..\\admin', 'backslash dot segments'],
    ['/a;b=c/d', 'a path parameter'],
    ['/public;/../admin', 'a path parameter and a dot segment'],
    ['/a"b', 'a quote'],
    ['/<a>', 'angle brackets'],
    ['/a^b', 'a caret'],
    ['/a`b', 'a backtick'],
    ['/{a}', 'braces'],
    ['/a|b', 'a bar'],
    ['/%', 'a lone percent'],
    ['/a%2', 'half an encoding'],
    ['/%zz', 'no hex'],
    ['/%+1', 'a sign in place of hex'],
    ['/%u0061', 'the encoding of another age'],
    ['/%25', 'an encoded percent'],
    ['/%252e%252e/admin', 'encoded twice'],
    ['/a%5Cb', 'an encoded backslash'],
    ['/a%3bb', 'an encoded semicolon'],
    ['/a%3Fb', 'an encoded question mark'],
    ['/a%23b', 'an encoded hash'],
    ['/a%00', 'an encoded NUL'],
    ['/a%0d%0aX', 'an encoded line break'],
    ['/a%1f', 'an encoded control character'],
    ['/a%7F', 'an encoded DEL'],
    ['/..', 'above the root'],
    ['/a/../../b', 'above the root on the way'],
    ['/%2e%2e/b', 'above the root, encoded'],
    ['/public//../admin', 'an empty segment and a double dot segment'],
    ['/a/..//b', 'a double dot segment and an empty one'],
    ['/a%2Fb/../c', 'an encoded slash that a double dot segment takes away'],
    ['/a%2F..%2Fb', 'double dots between encoded slashes'],
    ['/a%2f%2fb', 'an empty segment between encoded slashes'],
    ['/a/%2Fb', 'an empty segment between a slash and an encoded one'],
    ['/a%2F.', 'a dot segment after an encoded slash'],
    ['/a%2F/b', 'an encoded slash before a slash'],
    ['/..%2fadmin', 'double dots before an encoded slash'],
  ])('refuses %j: %s', (raw) => {
    expect(reading(() => canonicalPath(raw))).toBe('ambiguous_path')
  })

  it('gives a plain path back as it is, whatever its length', () => {
    const path = `/${'segment/'.repeat(1000)}end`
    expect(canonicalPath(path)).toBe(path)
  })
})

describe('the loose reading', () => {
  it.each([
    ['/me%3Adelete', '/me:delete'],
    ['/%21%24%26%27%28%29%2A%2B%2C%3D%40%5B%5D', "/!$&'()*+,=@[]"],
    ['/a%2Fb', '/a/b'],
    ['/caf%C3%A9%20%22%7C', '/caf%C3%A9%20%22%7C'],
  ])('of %s is %s', (path, loose) => {
    expect(looseReading(path)).toBe(loose)
  })
})

describe('stripPrefix', () => {
  it.each([
    ['/api/x', '/api', '/x'],
    ['/api', '/api', '/'],
    ['/api/', '/api', '/'],
    ['/api/x/', '/api/', '/x/'],
    ['/apix', '/api', '/apix'],
    ['/api../admin', '/api', '/api../admin'],
    ['/a/b/c', '/a/b', '/c'],
    ['/other/x', '/api', '/other/x'],
    ['/api/api/x', '/api', '/api/x'],
    ['/api/a%2Fb', '/api', '/a%2Fb'],
    ['/x', '/', '/x'],
    ['/api//x', '/api', 'ambiguous_path'],
    ['/api/../x', '/api', 'ambiguous_path'],
    ['/api/./x', '/api', 'ambiguous_path'],
    ['/api/%61', '/api', 'ambiguous_path'],
    ['/api/%2Fx', '/api', 'ambiguous_path'],
  ])('of %s and %s is %s', (path, prefix, rest) => {
    expect(reading(() => stripPrefix(path, prefix))).toBe(rest)
  })
})
