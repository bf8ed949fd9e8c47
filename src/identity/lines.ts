/** Header fields, and the same as they go over the wire. */
export interface FieldLines {
  /** Name, value, name, value … */
  readonly fields: readonly string[]
  /** Of HTTP/1.1, each with its end. */
  readonly lines: string
}

/** RFC 9110 §5.6.2. */
const NOT_IN_NAME = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/
const NOT_VISIBLE = /[^\x20-\x7e]/

/**
 * Whoever sends the lines does not look at them again: nothing may stand in them that could end one.
 *
 * @throws Error where something does
 */
export function asLines(fields: readonly string[]): FieldLines {
  const text: string[] = []
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    if (name === '' || NOT_IN_NAME.test(name) || NOT_VISIBLE.test(value)) throw new Error('a field of the identity is none')
    text.push(name, ': ', value, '\r\n')
  }
  return { fields, lines: text.join('') }
}
