/** The token of a request in its one `Authorization` header (RFC 6750 §2.1, §5.3). */

const NAME = 'authorization'
const SCHEME = 'bearer'
const SPACE = 0x20

export const NO_AUTHORIZATION = -1
export const REPEATED_AUTHORIZATION = -2

/** Index in `rawHeaders` of the value of the only `Authorization` header, or one of the two negative answers above. */
export function findAuthorization(rawHeaders: readonly string[]): number {
  let found = NO_AUTHORIZATION
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    if (name === undefined || name.length !== NAME.length || name.toLowerCase() !== NAME) continue
    if (found !== NO_AUTHORIZATION) return REPEATED_AUTHORIZATION
    found = index + 1
  }
  return found
}

/**
 * What follows the scheme `Bearer`; undefined when the scheme is another one. Whatever follows is taken as the token, so
 * that a second token, a tab or nothing at all is refused as malformed rather than passed over.
 */
export function bearerToken(value: string): string | undefined {
  const length = SCHEME.length
  if (value.length < length || value.slice(0, length).toLowerCase() !== SCHEME) return undefined
  if (value.length > length && isTokenCharacter(value.charCodeAt(length))) return undefined
  let start = length
  while (value.charCodeAt(start) === SPACE) start += 1
  let end = value.length
  while (end > start && value.charCodeAt(end - 1) === SPACE) end -= 1
  return value.slice(start, end)
}

/** A character that makes the scheme a longer word: `BearerX` (tchar, RFC 9110 §5.6.2). */
function isTokenCharacter(code: number): boolean {
  return code > SPACE && code < 0x7f && !'"(),/:;<=>?@[\\]{}'.includes(String.fromCharCode(code))
}
