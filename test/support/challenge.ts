/** Reads a WWW-Authenticate field as strictly as RFC 9110 §11.6.1 and RFC 6750 §3 let it be written. */

export interface Challenge {
  readonly scheme: string
  readonly parameters: Readonly<Record<string, string>>
}

const TCHAR = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]"
const PARAMETER = new RegExp(`^(${TCHAR}+)=(?:(${TCHAR}+)|"((?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\[\\t \\x21-\\x7e])*)")$`)

/** @throws Error for anything that is not exactly one challenge with parameters, each once */
export function readChallenge(field: string): Challenge {
  const space = field.indexOf(' ')
  const scheme = space === -1 ? field : field.slice(0, space)
  if (!new RegExp(`^${TCHAR}+$`).test(scheme)) throw new Error(`not a scheme: ${scheme}`)
  const parameters: Record<string, string> = {}
  if (space === -1) return { scheme, parameters }
  for (const text of splitOutsideQuotes(field.slice(space + 1))) {
    const [, name, token, quoted] = PARAMETER.exec(text) ?? []
    if (name === undefined) throw new Error(`not a parameter: ${text}`)
    const key = name.toLowerCase()
    if (Object.hasOwn(parameters, key)) throw new Error(`twice: ${key}`)
    parameters[key] = token ?? (quoted ?? '').replace(/\\(.)/g, '$1')
  }
  // RFC 6750 §3: these are of a smaller alphabet than any quoted string.
  for (const key of ['error', 'error_description', 'scope']) {
    const value = parameters[key]
    if (value !== undefined && !/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(value))
      throw new Error(`not in the alphabet of ${key}: ${value}`)
  }
  return { scheme, parameters }
}

function splitOutsideQuotes(text: string): readonly string[] {
  const parts: string[] = []
  let from = 0
  let quoted = false
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\' && quoted) at += 1
    else if (text[at] === '"') quoted = !quoted
    else if (text[at] === ',' && !quoted) {
      parts.push(text.slice(from, at).trim())
      from = at + 1
    }
  }
  return [...parts, text.slice(from).trim()]
}
