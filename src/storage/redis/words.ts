/**
 * Texts that sessions hold, with the pieces that nearly all of them share written as one control character each, which
 * neither a header nor a scope can hold. A user agent would be a third of a session's record otherwise.
 */

export function packDevice(device: string): string {
  return pack(device, DEVICE_WORDS)
}

export function unpackDevice(packed: string): string {
  return unpack(packed, DEVICE_WORDS)
}

export function packScope(scope: string): string {
  return pack(scope, SCOPE_WORDS)
}

export function unpackScope(packed: string): string {
  return unpack(packed, SCOPE_WORDS)
}

/** Stored records depend on the order: only ever append. */
const DEVICE_WORDS = [
  'Mozilla/5.0 (',
  ') AppleWebKit/537.36 (KHTML, like Gecko) Chrome/',
  ' Safari/537.36',
  'Windows NT 10.0; Win64; x64',
  'Macintosh; Intel Mac OS X 10_15_7',
  'Macintosh; Intel Mac OS X 10.15; rv:',
  'X11; Linux x86_64',
  'Linux; Android 10; K',
  '.0.0.0',
  ' Mobile',
  'iPhone; CPU iPhone OS ',
  'iPad; CPU OS ',
  ' like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)',
  ') AppleWebKit/605.1.15 (KHTML, like Gecko)',
  ' Version/',
  ' Safari/604.1',
  ' Safari/605.1.15',
  ') Gecko/20100101 Firefox/',
  '; rv:',
  ' Edg/',
] as const

/** Likewise only ever appended to; a word stands before those that it begins with. */
const SCOPE_WORDS = [
  ':read ',
  ':write ',
  ':read',
  ':write',
  ':delete',
  ':admin',
  'offline_access',
  'openid',
  ' profile',
  ' email',
  'https://',
] as const

// oxlint-disable-next-line no-control-regex -- control characters are what the words are written as
const CONTROL = /[\u0001-\u001f]/g
/** A text that holds control characters itself stands behind this mark as it is. */
const PLAIN = '\u007f'

function pack(text: string, words: readonly string[]): string {
  if (text.startsWith(PLAIN) || text.search(CONTROL) >= 0) return PLAIN + text
  let packed = text
  for (const [index, word] of words.entries()) packed = packed.replaceAll(word, String.fromCharCode(index + 1))
  return packed
}

function unpack(packed: string, words: readonly string[]): string {
  if (packed.startsWith(PLAIN)) return packed.slice(1)
  return packed.replace(CONTROL, (mark) => words[mark.charCodeAt(0) - 1] ?? mark)
}
