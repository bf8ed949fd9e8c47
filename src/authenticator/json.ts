/** JSON as the JOSE standards want it: UTF-8, an object, no member twice (RFC 7515 §4, RFC 7519 §4). */

export type JsonObject = Readonly<Record<string, unknown>>

// A byte order mark is kept, for JSON.parse to refuse.
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object that a base64url segment encodes, or undefined when it is anything else. */
export function parseSegment(segment: string): JsonObject | undefined {
  const bytes = Buffer.from(segment, 'base64url')
  const octets = bytes.toString('latin1')
  const counted = countMembers(octets)
  // ASCII is UTF-8 as it is, and nearly all there is.
  const value = counted < 0 ? parseJson(bytes) : parseText(octets)
  if (!isJsonObject(value)) return undefined
  // JSON.parse keeps the last of two members with one name, other readers the first.
  return Object.keys(value).length === (counted < 0 ? -counted - 1 : counted) ? value : undefined
}

/** What the bytes say as JSON in UTF-8; undefined when they are something else. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(bytes))
  } catch {
    // What is wrong with the text is of no use to anyone, and the message of the error quotes it.
    return undefined
  }
}

/** The same of a text. */
function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // As above.
    return undefined
  }
}

/**
 * Members of the outermost object, repeated ones counted each time; less than zero where the text is not all ASCII, `-1` for none.
 *
 * @param octets UTF-8, a character for each; what JSON is written with are characters of one octet
 */
function countMembers(octets: string): number {
  let count = 0
  let depth = 0
  let quoted = false
  let all = 0
  for (let index = 0; index < octets.length; index += 1) {
    const code = octets.charCodeAt(index)
    all |= code
    if (quoted) {
      // What comes next is escaped, and looked at for nothing else.
      if (code === BACKSLASH) all |= octets.charCodeAt((index += 1))
      if (code === QUOTE) quoted = false
      continue
    }
    if (code === QUOTE) quoted = true
    if (code === COLON && depth === 1) count += 1
    if (code === 0x7b || code === 0x5b) depth += 1
    if (code === 0x7d || code === 0x5d) depth -= 1
  }
  return all < 0x80 ? count : -count - 1
}
