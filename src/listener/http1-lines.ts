import { STATUS_CODES } from 'node:http'

/** A field of an answer as a line. */
interface Line {
  readonly name: string
  readonly kind: 'plain' | 'date' | 'length' | 'connection' | 'coding'
  value: string
  /** With its end. */
  text: string
}

/** Writes the lines of the heads of answers. */
export interface Lines {
  /** The status line (RFC 9112 §4). @throws RangeError where it is none */
  status(status: number): string
  /**
   * One field, nothing in which could end its line too early.
   *
   * @param place its number in the head
   * @throws TypeError where there is
   */
  field(place: number, name: string, value: string): Line
  /** The time at which the answer was made (RFC 9110 §6.6.1). */
  date(): string
}

/** RFC 9110 §5.6.2. */
export const NOT_IN_TOKEN = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/
/** RFC 9110 §5.5: HTAB, SP, VCHAR, obs-text. */
const NOT_IN_FIELD = /[^\t\x20-\x7e\x80-\xff]/
const KINDS: ReadonlyMap<string, Line['kind']> = new Map([
  ['date', 'date'],
  ['content-length', 'length'],
  ['connection', 'connection'],
  ['keep-alive', 'connection'],
  ['transfer-encoding', 'coding'],
])
const MAX_KNOWN = 64

/** Answers have the same fields in the same order again and again: what was found good at its place is only compared. */
export function createLines(needs: { nowMs(): number }): Lines {
  const known: Line[] = []
  const statuses: string[] = []
  let second = -1
  let dateLine = ''
  return { status, field, date }

  function status(code: number): string {
    const line = statuses[code]
    if (line !== undefined) return line
    if (!Number.isInteger(code) || code < 100 || code > 999) throw new RangeError('a status that is none')
    return (statuses[code] = `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? 'unknown'}\r\n`)
  }

  function field(place: number, name: string, value: string): Line {
    const line = known[place]
    if (line === undefined || line.name !== name) return newLine(place, name, value)
    if (line.value === value) return line
    checkValue(value)
    line.value = value
    line.text = name + ': ' + value + '\r\n'
    return line
  }

  function newLine(place: number, name: string, value: string): Line {
    if (name === '' || NOT_IN_TOKEN.test(name)) throw new TypeError('the name of a field')
    checkValue(value)
    const line = { name, kind: KINDS.get(name.toLowerCase()) ?? 'plain', value, text: `${name}: ${value}\r\n` }
    if (place < MAX_KNOWN) known[place] = line
    return line
  }

  function date(): string {
    const now = Math.floor(needs.nowMs() / 1000)
    if (now !== second) {
      second = now
      dateLine = `Date: ${new Date(now * 1000).toUTCString()}\r\n`
    }
    return dateLine
  }
}

function checkValue(value: string): void {
  if (NOT_IN_FIELD.test(value)) throw new TypeError('a control character in a field')
}
