/**
 * The text without anything that opens a door: tokens, credentials of an Authorization header, PEM blocks, private
 * members of a JWK, passwords and the like. Text that was cut off in the middle of such a thing is masked too.
 *
 * Callers cut the text first; this function looks at all that it is given.
 */
export function redact(text: string): string {
  if (!TELL.test(text)) return text
  let clean = text
  for (const [pattern, mask] of SECRETS) clean = clean.replace(pattern, mask)
  return clean
}

/** Whether a field of this name holds a secret, whatever its value looks like. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name)
}

// One cheap look for all of them: nearly every text has none. It must hit wherever a pattern of SECRETS hits.
const TELL =
  /e[yw][A-Za-z0-9_-]{6}|gwr_|bearer|basic|dpop|-----BEGIN|passw|passphrase|secret|_token|api[_-]?key|private[_-]?key|cookie|authorization|:\/\/[^\s/@]*@|\b(?:d|p|q|dp|dq|qi|k)\b\\*["']?\s*:\s*\\*["']/i

const NAMES = 'pass(?:word|wd|phrase)|secret|(?:access|refresh|id)_token|api[_-]?key|private[_-]?key|authorization'
const SECRET_NAME = new RegExp(`${NAMES}|cookie|^token$`, 'i')

const SECRETS: readonly (readonly [pattern: RegExp, mask: string])[] = [
  [/-----BEGIN [A-Za-z0-9 ]+-----[^]*?(?:-----END [A-Za-z0-9 ]+-----|$)/g, '[pem]'],
  // `eyJ` is the base64url of `{"`: a JWS or JWE, or what is left of one.
  [/eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,4}/g, '[jwt]'],
  // A header that was written with white space in it.
  [/(?<![A-Za-z0-9_-])e[yw][A-Za-z0-9_-]{14,}(?:\.[A-Za-z0-9_-]*){1,4}/g, '[jwt]'],
  [/gwr_[A-Za-z0-9_-]*/g, '[refresh token]'],
  [/\b((?:set-)?cookie)(\\*["']?\s*[:=])[^\r\n]*/gi, '$1$2 [masked]'],
  [/\b(bearer|basic|dpop)(?:\s|%20)+(?!\[)[^\s,;"']+/gi, '$1 [masked]'],
  // RFC 7518 §6: d, p, q, dp, dq, qi are private, k is the secret itself.
  [/\b(d|p|q|dp|dq|qi|k)\b(\\*["']?\s*:\s*)\\*["'][A-Za-z0-9_+/=-]+\\*["']?/g, '$1$2[masked]'],
  [
    // A value in quotes that are themselves escaped, a value in quotes, a bare value.
    new RegExp(
      String.raw`((?:${NAMES})\w{0,32})(\\*["']?\s*[:=]\s*)(?:\\+"[^]*?(?:\\+"|$)|"(?:[^"\\]|\\[^])*"?|'(?:[^'\\]|\\[^])*'?|[^\s"',;&}\]]+)`,
      'gi',
    ),
    '$1$2[masked]',
  ],
  [/:\/\/[^\s/@]*@/g, '://[masked]@'],
]
