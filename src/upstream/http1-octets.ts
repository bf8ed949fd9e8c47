/** What an octet may be part of. */
const TOKEN = 1
const FIELD = 2
const TARGET = 4

const KINDS = new Uint8Array(256)
for (let octet = 0; octet < 256; octet += 1) {
  const isVisible = octet > 0x20 && octet !== 0x7f
  // RFC 9110 §5.5: HTAB, SP, VCHAR, obs-text.
  if (isVisible || octet === 0x20 || octet === 0x09) KINDS[octet] = FIELD
  if (isVisible) KINDS[octet] = FIELD | TARGET
}
// RFC 9110 §5.6.2.
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  KINDS[char.charCodeAt(0)] = FIELD | TARGET | TOKEN
}

/** @param octet what is above 255, or none at all, is never part of one */
export function isTokenOctet(octet: number): boolean {
  return octet < 256 && ((KINDS[octet] ?? 0) & TOKEN) !== 0
}

/** Part of the value of a field: no control character but the tab. */
export function isFieldOctet(octet: number): boolean {
  return octet < 256 && ((KINDS[octet] ?? 0) & FIELD) !== 0
}

export function isToken(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (!isTokenOctet(text.charCodeAt(index))) return false
  return text.length > 0
}

/** A character above U+00FF would be cut to one octet, which may be any. */
export function isFieldText(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (!isFieldOctet(text.charCodeAt(index))) return false
  return true
}

/** Whether it ends no request line: octets without spaces and controls. */
export function isTargetText(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const octet = text.charCodeAt(index)
    if (octet > 255 || ((KINDS[octet] ?? 0) & TARGET) === 0) return false
  }
  return text.length > 0
}
