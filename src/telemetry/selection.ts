import type { Config } from '../config/config.ts'

/** Which requests are logged, and what of them. */
export interface Selection {
  /** @param route name of the route, with its endpoint where it has several */
  isLogged(route: string, status: number): boolean
  /** The line without what is not wanted. */
  trim(line: string): string
}

export function createSelection(random: () => number, { telemetry }: Pick<Config, 'telemetry'>): Selection {
  const { sample, omit, quiet } = telemetry.accessLog
  return { isLogged, trim: omit === undefined ? (line) => line : (line) => withoutFields(line, omit) }

  function isLogged(route: string, status: number): boolean {
    if (status >= 500) return true
    if (quiet !== undefined && status < 400 && quiet.has(nameOf(route))) return false
    return sample >= 1 || random() < sample
  }
}

/** Of `auth.login` the route, `auth`. */
function nameOf(route: string): string {
  const dot = route.indexOf('.')
  return dot === -1 ? route : route.slice(0, dot)
}

/**
 * A flat JSON object as we write it, without some of its members. Most gateways leave nothing out, so that what takes time is
 * the leaving out and not the line.
 */
function withoutFields(line: string, omit: ReadonlySet<string>): string {
  let kept = ''
  let at = 1
  while (at < line.length - 1) {
    const nameEnd = line.indexOf('"', at + 1)
    const end = endOfValue(line, nameEnd + 2)
    if (!omit.has(line.slice(at + 1, nameEnd))) kept += kept === '' ? line.slice(at, end) : `,${line.slice(at, end)}`
    at = end + 1
  }
  return `{${kept}}`
}

/** Where the comma or the brace behind a value is. */
function endOfValue(line: string, from: number): number {
  let depth = 0
  let at = from
  for (; at < line.length; at += 1) {
    const character = line[at]
    if (character === '"') at = endOfText(line, at)
    else if (character === '{' || character === '[') depth += 1
    else if (depth > 0 && (character === '}' || character === ']')) depth -= 1
    else if (depth === 0 && (character === ',' || character === '}')) return at
  }
  return at
}

/** Where the quotation mark is that ends a text. */
function endOfText(line: string, from: number): number {
  let at = from + 1
  while (at < line.length && line[at] !== '"') at += line[at] === '\\' ? 2 : 1
  return at
}
