/** The access token of a browser's session. Its prefix keeps other hosts, plain http and other paths from setting it. */
export const ACCESS_COOKIE = '__Host-gw_at'
/** The refresh token. It is for one path, which the prefix `__Host-` does not allow. */
export const REFRESH_COOKIE = '__Secure-gw_rt'
/** Says that a user has logged in from this browser before. It is for the login alone. */
export const DEVICE_COOKIE = '__Secure-gw_dev'

/** All of them, by name: cookies of the gateway alone, which no upstream reads or sets. */
export const OUR_COOKIES: ReadonlySet<string> = new Set([ACCESS_COOKIE, REFRESH_COOKIE, DEVICE_COOKIE])

const NONE: readonly string[] = Object.freeze([])

/**
 * Values of every cookie of this name (RFC 6265 §4.2.1), in whatever number of Cookie fields (RFC 9113 §8.2.3). More than one
 * means that somebody else has set one, and nobody can tell which is ours.
 */
export function cookieValues(rawHeaders: readonly string[], name: string): readonly string[] {
  let found: string[] | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const field = rawHeaders[index]
    const value = rawHeaders[index + 1]
    if (field === undefined || value === undefined || field.length !== 6 || field.toLowerCase() !== 'cookie') continue
    if (!value.includes(name)) continue
    for (const pair of value.split(';')) {
      const equals = pair.indexOf('=')
      if (equals === -1 || trimmed(pair.slice(0, equals)) !== name) continue
      found ??= []
      found.push(trimmed(pair.slice(equals + 1)))
    }
  }
  return found ?? NONE
}

/** Without spaces and tabs at its ends. Not `trim`, which takes characters away that are part of a name to a browser. */
function trimmed(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
