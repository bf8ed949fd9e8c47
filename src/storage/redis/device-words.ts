/**
 * Pieces of user agents that nearly all of them share, each written as one control character, which no header can hold.
 * A user agent is a third of a session's record otherwise. Stored records depend on the order: only ever append.
 */
const WORDS = [
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

// oxlint-disable-next-line no-control-regex -- control characters are what the words are written as
const CONTROL = /[\u0001-\u001f]/g
/** A device that holds control characters itself stands behind this mark as it is. */
const PLAIN = '\u007f'

export function packDevice(device: string): string {
  if (device.startsWith(PLAIN) || device.search(CONTROL) >= 0) return PLAIN + device
  let packed = device
  for (const [index, word] of WORDS.entries()) packed = packed.replaceAll(word, String.fromCharCode(index + 1))
  return packed
}

export function unpackDevice(packed: string): string {
  if (packed.startsWith(PLAIN)) return packed.slice(1)
  return packed.replace(CONTROL, (mark) => WORDS[mark.charCodeAt(0) - 1] ?? mark)
}
