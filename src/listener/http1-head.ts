import { ownText } from '../exchange/exchange.ts'
import { NOT_IN_TOKEN } from './http1-lines.ts'
import { STARTS, VERSION } from './http1-outline.ts'

/** The head of a request that every reader reads alike, and behind which there is no body. */
export interface SimpleHead {
  readonly method: string
  readonly target: string
  /** Name, value, name, value … as received. */
  readonly fields: string[]
}

export interface HeadReader {
  /**
   * @param text octets, a character each
   * @param isPlain whether all of them are; absent: it is looked at here
   * @returns undefined where it is anything but one whole simple head
   */
  read(text: string, isPlain?: boolean): SimpleHead | undefined
}

const METHODS = STARTS.map((start) => ({ method: start.slice(0, -2), start }))
const END = '\r\n\r\n'
/** What a strict reader and a lenient one may take for different things: tabs, controls, obs-text (RFC 9112 §2.2, RFC 9110 §5.5). */
const NOT_PLAIN = /[^\r\n\x20-\x7e]/
/** Fields that say how a message is framed, what its connection becomes, or what is to be said before its answer. */
const NOT_SIMPLE: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'trailer',
  'upgrade',
  'http2-settings',
  'expect',
  'proxy-connection',
])
const MAX_FIELDS = 100
const LF = 0x0a
const SP = 0x20

/** The name of a field at its place, and what it is. */
interface Known {
  /** With its colon. */
  readonly spelt: string
  readonly name: string
  readonly kind: 'plain' | 'connection' | 'other'
}

/**
 * Reads what most requests are. It is stricter than any parser, so that nothing can be taken for something else: what it does not
 * know is left to one that knows all of HTTP/1.1. Clients send the same fields in the same order again and again: a name that was
 * read at its place is only compared.
 */
export function createHeadReader(): HeadReader {
  const known: Known[] = []
  return { read }

  function read(text: string, isPlain = !NOT_PLAIN.test(text)): SimpleHead | undefined {
    const last = text.length - END.length
    if (last < 0 || text.indexOf(END) !== last) return undefined
    const line = METHODS.find(({ start }) => text.startsWith(start))
    if (line === undefined || !isPlain) return undefined
    const from = line.method.length + 1
    const to = text.indexOf(' ', from)
    if (!text.startsWith(VERSION, to)) return undefined
    const target = text.slice(from, to)
    // A line end cannot be in it: the first one stands behind the version, or the version would not be there.
    if (target.includes('#') || target.includes('\r') || target.includes('\n')) return undefined
    const fields = readFields(text, to + VERSION.length, last + 2)
    return fields === undefined ? undefined : { method: line.method, target, fields }
  }

  function readFields(text: string, from: number, end: number): string[] | undefined {
    const fields: string[] = []
    let at = from
    for (let place = 0; at < end; place += 1) {
      const one = nameAt(text, at, place)
      if (one === undefined || one.kind === 'other') return undefined
      const start = at + one.spelt.length
      const cr = text.indexOf('\r', start)
      // Neither a CR nor an LF stands alone (RFC 9112 §2.2).
      if (text.charCodeAt(cr + 1) !== LF || text.indexOf('\n', start) !== cr + 1) return undefined
      const value = trimmed(text, start, cr)
      if (one.kind === 'connection' && !keepsAlive(value)) return undefined
      fields.push(one.name, value)
      at = cr + 2
    }
    return fields
  }

  function nameAt(text: string, at: number, place: number): Known | undefined {
    const one = known[place]
    if (one !== undefined && text.startsWith(one.spelt, at)) return one
    const colon = text.indexOf(':', at)
    const name = text.slice(at, colon)
    if (place >= MAX_FIELDS || colon === -1 || name === '' || NOT_IN_TOKEN.test(name)) return undefined
    return (known[place] = { spelt: ownText(`${name}:`), name: ownText(name), kind: kindOf(name.toLowerCase()) })
  }
}

function kindOf(name: string): Known['kind'] {
  if (name === 'connection') return 'connection'
  return NOT_SIMPLE.has(name) ? 'other' : 'plain'
}

function keepsAlive(value: string): boolean {
  return value === 'keep-alive' || value === 'Keep-Alive'
}

/** Without the spaces around it (RFC 9110 §5.5). */
function trimmed(text: string, from: number, to: number): string {
  let start = from
  let end = to
  while (start < end && text.charCodeAt(start) === SP) start += 1
  while (end > start && text.charCodeAt(end - 1) === SP) end -= 1
  return text.slice(start, end)
}
