/**
 * The one spelling of a path: what is matched is what is logged and forwarded, so no reader behind us sees another path than
 * the one whose route was checked. What two readers would read differently is refused instead of repaired.
 */
import { Problem } from '../problem/problem.ts'

const PLAIN = 1
const SLASH = 2

const SLASH_CODE = 0x2f
const DOT_CODE = 0x2e
const PERCENT_CODE = 0x25
const LAST_VISIBLE = 0x7e

/** RFC 3986 §2.3. */
const UNRESERVED = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~'

/**
 * What else may stand in a path as it is: sub-delims, `:` and `@` (RFC 3986 §3.3), and brackets, which clients send bare.
 * Not `;`: half of all servers cut a segment there.
 */
const BARE = "!$&'()*+,=:@[]"

/** Never taken in encoded form: a second reader would find a separator, another encoding or a line break. */
const REFUSED_WHEN_ENCODED = '\\;%?#'

const KIND = kindsOfCharacters()
const DECODED = spellingsOfBytes()

/** A character in more bytes than it needs (RFC 3629 §3): lenient decoders find a dot or a slash in it. */
const OVERLONG = /%(?:C[01]|E0%[89]|F0%8)/

/** Those of {@link BARE} and the slash, encoded: the only characters that can reach us in two spellings. */
const OTHER_SPELLING = /%(?:2[146-9A-CF]|3[AD]|40|5[BD])/g

/**
 * The canonical form of a path: unreserved characters decoded, other encodings in upper-case hex, runs of slashes merged,
 * dot segments resolved (RFC 3986 §6.2.2, §5.2.4). A fixed point. An encoded slash stays, as `%2F`: only the route can say
 * whether it is welcome.
 *
 * @throws {Problem} `ambiguous_path` for everything that has no single reading.
 */
export function canonicalPath(raw: string): string {
  // One scan without an allocation; nearly every path ends here.
  if (isPlain(raw)) return raw
  if (raw.charCodeAt(0) !== SLASH_CODE) throw new Problem('ambiguous_path')
  const decoded = decode(raw)
  if (OVERLONG.test(decoded)) throw new Problem('ambiguous_path')
  const path = resolveSegments(decoded)
  if (!path.includes('%2F')) return path
  const split = path.replaceAll('%2F', '/')
  if (resolveSegments(split) !== split) throw new Problem('ambiguous_path')
  return path
}

/**
 * The path as a reader sees it who decodes everything that may also stand bare, the slash included. Takes a canonical path;
 * where the result is another one, both must lead to the same route.
 */
export function looseReading(path: string): string {
  return path.replace(OTHER_SPELLING, decodeOne)
}

/**
 * Takes `prefix` off the front of a canonical path, by whole segments: `/api` off `/api/x` leaves `/x`, off `/api` leaves
 * `/`, and does not touch `/apix`.
 *
 * @throws {Problem} `ambiguous_path` where what is left is not its own canonical form.
 */
export function stripPrefix(path: string, prefix: string): string {
  const length = prefix.endsWith('/') ? prefix.length - 1 : prefix.length
  if (!path.startsWith(prefix.slice(0, length))) return path
  if (path.length === length) return '/'
  if (path.charCodeAt(length) !== SLASH_CODE) return path
  const rest = path.slice(length)
  if (canonicalPath(rest) !== rest) throw new Problem('ambiguous_path')
  return rest
}

function isPlain(raw: string): boolean {
  if (raw.charCodeAt(0) !== SLASH_CODE) return false
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at)
    if (code > LAST_VISIBLE) return false
    const kind = KIND[code]
    if (kind === PLAIN) continue
    if (kind !== SLASH || startsOddSegment(raw, at + 1)) return false
  }
  return true
}

/** Whether the segment that starts here is `.`, `..`, or empty and not the last. */
function startsOddSegment(raw: string, at: number): boolean {
  const first = raw.charCodeAt(at)
  if (first === SLASH_CODE) return true
  if (first !== DOT_CODE) return false
  const next = raw.charCodeAt(at + 1) === DOT_CODE ? at + 2 : at + 1
  return next === raw.length || raw.charCodeAt(next) === SLASH_CODE
}

function decode(raw: string): string {
  let decoded = ''
  let from = 0
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at)
    if (code === PERCENT_CODE) {
      const spelling = DECODED[byteAt(raw, at + 1)]
      if (spelling === undefined) throw new Problem('ambiguous_path')
      decoded += raw.slice(from, at) + spelling
      at += 2
      from = at + 1
      continue
    }
    if (code > LAST_VISIBLE || KIND[code] === 0) throw new Problem('ambiguous_path')
  }
  return decoded + raw.slice(from)
}

function resolveSegments(path: string): string {
  const segments = path.split('/')
  const kept: string[] = []
  const last = segments.length - 1
  let merged = path.includes('%2F')
  let climbed = false
  for (let at = 1; at <= last; at++) {
    const segment = segments[at] ?? ''
    if (segment === '') merged ||= at < last
    else if (segment === '..') {
      climbed = true
      if (kept.pop() === undefined) throw new Problem('ambiguous_path')
    } else if (segment !== '.') kept.push(segment)
  }
  // `/a//../b` is `/a/b` to one reader and `/b` to the next, and so is `/a%2F/../b`.
  if (merged && climbed) throw new Problem('ambiguous_path')
  const open = isOpen(segments[last]) && kept.length > 0
  return `/${kept.join('/')}${open ? '/' : ''}`
}

/** A trailing dot segment leaves its slash behind (RFC 3986 §5.2.4, 2B and 2C). */
function isOpen(last: string | undefined): boolean {
  return last === '' || last === '.' || last === '..'
}

/** The byte that two hex digits spell, or −1. */
function byteAt(raw: string, at: number): number {
  const high = hexDigit(raw.charCodeAt(at))
  const low = hexDigit(raw.charCodeAt(at + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function decodeOne(encoded: string): string {
  return String.fromCharCode(byteAt(encoded, 1))
}

function kindsOfCharacters(): Uint8Array {
  const kinds = new Uint8Array(128)
  for (const character of UNRESERVED + BARE) kinds[character.charCodeAt(0)] = PLAIN
  kinds[SLASH_CODE] = SLASH
  return kinds
}

/** For each byte what its percent-encoding becomes; undefined: refused. */
function spellingsOfBytes(): readonly (string | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => {
    const character = String.fromCharCode(byte)
    if (UNRESERVED.includes(character)) return character
    if (byte < 0x20 || byte === 0x7f || REFUSED_WHEN_ENCODED.includes(character)) return undefined
    return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  })
}
