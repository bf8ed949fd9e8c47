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
  const parsed = parseJson(Buffer.from(segment, 'base64url'))
  if (parsed === undefined || !isJsonObject(parsed.value)) return undefined
  // JSON.parse keeps the last of two members with one name, other readers the first.
  return countMembers(parsed.text) === Object.keys(parsed.value).length ? parsed.value : undefined
}

/** JSON in UTF-8, or undefined when the bytes are something else. */
export function parseJson(bytes: Uint8Array): { readonly text: string; readonly value: unknown } | undefined {
  try {
    const text = UTF8.decode(bytes)
    return { text, value: JSON.parse(text) }
  } catch {
    // What is wrong with the text is of no use to anyone, and the message of the error quotes it.
    return undefined
  }
}

/** Members of the outermost object, repeated ones counted each time. The text is known to be valid JSON. */
function countMembers(text: string): number {
  let count = 0
  let depth = 0
  let quoted = false
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (quoted) {
      if (code === BACKSLASH) index += 1
      if (code === QUOTE) quoted = false
      continue
    }
    if (code === QUOTE) quoted = true
    if (code === COLON && depth === 1) count += 1
    if (code === 0x7b || code === 0x5b) depth += 1
    if (code === 0x7d || code === 0x5d) depth -= 1
  }
  return count
}
