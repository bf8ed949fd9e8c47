/** A JSON string literal of printable ASCII only: nothing in it can end a line, move a cursor or reorder text on a terminal. */
export function quote(text: string): string {
  if (!NEEDS_ESCAPE.test(text)) return `"${text}"`
  return JSON.stringify(text).replace(BEYOND_ASCII, escapeUnit)
}

// JSON.stringify leaves DEL, C1 controls, U+2028 and the bidirectional marks as they are.
const NEEDS_ESCAPE = /[^\x20-\x21\x23-\x5b\x5d-\x7e]/
const BEYOND_ASCII = /[\x7f-\uffff]/g

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
