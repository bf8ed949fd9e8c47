/** What an octet may be part of. */
const TOKEN = 1
const FIELD = 2

const KINDS = new Uint8Array(256)
for (let octet = 0; octet < 256; octet += 1) {
  const isVisible = octet > 0x20 && octet !== 0x7f
  // RFC 9110 §5.5: HTAB, SP, VCHAR, obs-text.
  if (isVisible || octet === 0x20 || octet === 0x09) KINDS[octet] = FIELD
}
// RFC 9110 §5.6.2.
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  KINDS[char.charCodeAt(0)] = FIELD | TOKEN
}

/** @param octet what is above 255, or none at all, is never part of one */
export function isTokenOctet(octet: number): boolean {
  return octet < 256 && ((KINDS[octet] ?? 0) & TOKEN) !== 0
}

/** Part of the value of a field: no control character but the tab. */
export function isFieldOctet(octet: number): boolean {
  return octet < 256 && ((KINDS[octet] ?? 0) & FIELD) !== 0
}

// Whole texts are left to the engine of regular expressions: it takes a third of the time of a loop over characters.
const NOT_IN_TOKEN = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/
const NOT_IN_FIELD = /[^\t\x20-\x7e\x80-\xff]/
const NOT_IN_TARGET = /[^\x21-\x7e\x80-\xff]/

export function isToken(text: string): boolean {
  return text.length > 0 && !NOT_IN_TOKEN.test(text)
}

/** A character above U+00FF would be cut to one octet, which may be any. */
export function isFieldText(text: string): boolean {
  return !NOT_IN_FIELD.test(text)
}

/** Whether it ends no request line: octets without spaces and controls. */
export function isTargetText(text: string): boolean {
  return text.length > 0 && !NOT_IN_TARGET.test(text)
}
