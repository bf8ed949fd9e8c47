/**
 * IP addresses as text that compares as numbers do: 16 bits to a code unit, two of them for IPv4 and eight for IPv6. Of two
 * addresses of one family the greater text is the greater address, and an address has one form only.
 */

/** All addresses from the first to the last one, both included; of one family. */
export interface AddressRange {
  readonly first: string
  readonly last: string
}

const ZERO = 0x30
const NINE = 0x39
const DOT = 0x2e
const COLON = 0x3a
/** What stands before an IPv4 address that is written as an IPv6 one (RFC 4291 §2.5.5.2). */
const MAPPED = '\0\0\0\0\0\uffff'
/** Longer than any address with a zone. */
const LONGEST = 64

/**
 * An address as it is written in a log, a header field or a configuration. One of IPv4 that is written as one of IPv6 is that of
 * IPv4, and a zone (`%eth0`, RFC 4007 §11) does not count.
 *
 * @returns undefined for whatever is no address
 */
export function readAddress(text: string): string | undefined {
  if (text.length > LONGEST) return undefined
  if (!text.includes(':')) return readFour(text)
  const six = readSix(text)
  return six?.startsWith(MAPPED) === true ? six.slice(MAPPED.length) : six
}

/**
 * A network in CIDR form (RFC 4632 §3.1), or one address.
 *
 * @returns undefined for whatever is none, and where the address has bits behind the prefix: then one of the two is a mistake
 */
export function readNetwork(text: string): AddressRange | undefined {
  const [, address = '', bits] = /^([0-9A-Fa-f.:]{2,45})(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const first = readAddress(address)
  if (first === undefined) return undefined
  const whole = first.length * 16
  // The prefix of an IPv4 network that is written as an IPv6 one counts the 96 bits before it.
  const before = address.includes(':') && first.length === 2 ? 96 : 0
  const prefix = bits === undefined ? whole : Number(bits) - before
  if (prefix < 0 || prefix > whole) return undefined
  const last = lastOf(first, prefix)
  return last === undefined ? undefined : { first, last }
}

/** The last address of a network; undefined where its first one has bits behind the prefix. */
function lastOf(first: string, prefix: number): string | undefined {
  let last = ''
  for (let at = 0; at < first.length; at++) {
    const free = Math.min(16, Math.max(0, (at + 1) * 16 - prefix))
    const mask = 2 ** free - 1
    const unit = first.charCodeAt(at)
    if ((unit & mask) !== 0) return undefined
    last += String.fromCharCode(unit | mask)
  }
  return last
}

/** Four decimal numbers without leading zeros, which some readers take for octal. */
function readFour(text: string): string | undefined {
  let address = 0
  let parts = 0
  let part = -1
  for (let at = 0; at <= text.length; at++) {
    const code = at === text.length ? DOT : text.charCodeAt(at)
    if (code === DOT) {
      if (part < 0) return undefined
      address = address * 256 + part
      parts += 1
      part = -1
    } else {
      if (code < ZERO || code > NINE || part === 0) return undefined
      part = Math.max(part, 0) * 10 + code - ZERO
      if (part > 255) return undefined
    }
  }
  return parts === 4 ? String.fromCharCode(Math.floor(address / 65_536), address % 65_536) : undefined
}

/** RFC 4291 §2.2: groups in hex, one run of zeros left out, the last two groups perhaps as IPv4. */
function readSix(text: string): string | undefined {
  const zone = text.indexOf('%')
  const plain = zone < 0 ? text : text.slice(0, zone)
  const gap = plain.indexOf('::')
  if (gap < 0) {
    const groups = readGroups(plain, true)
    return groups?.length === 8 ? groups : undefined
  }
  const before = gap === 0 ? '' : readGroups(plain.slice(0, gap), false)
  const after = gap + 2 === plain.length ? '' : readGroups(plain.slice(gap + 2), true)
  if (before === undefined || after === undefined || before.length + after.length > 7) return undefined
  return before + '\0'.repeat(8 - before.length - after.length) + after
}

function readGroups(text: string, isEnd: boolean): string | undefined {
  let groups = ''
  let start = 0
  while (start <= text.length) {
    const colon = text.indexOf(':', start)
    const end = colon < 0 ? text.length : colon
    const group = text.slice(start, end)
    const read = colon < 0 && isEnd && group.includes('.') ? readFour(group) : readGroup(group)
    if (read === undefined) return undefined
    groups += read
    start = end + 1
  }
  return groups.length <= 8 && text.charCodeAt(text.length - 1) !== COLON ? groups : undefined
}

function readGroup(text: string): string | undefined {
  return /^[0-9A-Fa-f]{1,4}$/.test(text) ? String.fromCharCode(Number.parseInt(text, 16)) : undefined
}
