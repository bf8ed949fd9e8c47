/**
 * The request target (RFC 9112 §3.2): which of its forms are taken, and what of it is path and query.
 */
import { Problem } from '../problem/problem.ts'

const SLASH_CODE = 0x2f
const HASH_CODE = 0x23
const ABSOLUTE_FORM = /^https?:\/\/([\w.~:[\]-]+)(?=[/?]|$)/i

/**
 * The target in origin-form: itself, or the path and query of an absolute-form whose authority is the Host's. What the
 * authority-form, the asterisk-form and opaque URIs would mean to a reader behind us is not guessed.
 *
 * @param authority The Host header as received.
 * @throws {Problem} `invalid_request` for every other form.
 */
export function originForm(target: string, authority: string): string {
  if (target.charCodeAt(0) === SLASH_CODE) return target
  const [start, named] = ABSOLUTE_FORM.exec(target) ?? []
  if (start === undefined || named === undefined) throw new Problem('invalid_request')
  // The second test refuses what no URL parser behind us would take: `http://[::1`, `http://h:x`, `http://256.0.0.1`.
  if (foldAuthority(named) !== foldAuthority(authority) || !URL.canParse(target)) throw new Problem('invalid_request')
  const rest = target.slice(start.length)
  return rest.startsWith('/') ? rest : `/${rest}`
}

/**
 * The query as received, with its `?`. It is forwarded untouched, so it must be something that no reader can take for the end
 * of the request line or for a fragment.
 *
 * @throws {Problem} `invalid_request` for anything but visible ASCII, and for `#`.
 */
export function queryFrom(target: string, at: number): string {
  for (let index = at; index < target.length; index++) {
    const code = target.charCodeAt(index)
    if (code < 0x21 || code > 0x7e || code === HASH_CODE) throw new Problem('invalid_request')
  }
  return target.slice(at)
}

/** Host in lower case without its trailing dot; the port as written. */
function foldAuthority(authority: string): string {
  const folded = authority.toLowerCase()
  const colon = folded.lastIndexOf(':')
  const hostEnd = colon > folded.lastIndexOf(']') ? colon : folded.length
  return folded.charAt(hostEnd - 1) === '.' ? folded.slice(0, hostEnd - 1) + folded.slice(hostEnd) : folded
}
