import { fieldOf, ownText, type Admitted } from '../exchange/exchange.ts'
import { asLines, type FieldLines } from './lines.ts'

export interface Forwarding {
  /** Adds what a request came over, and under which id. */
  add(exchange: Admitted, out: string[]): void
  /** The same as lines; undefined where it is not for us alone to say: behind a trusted proxy, and where traces are kept. */
  wayOf(exchange: Admitted): Way | undefined
}

/** What the requests of a client come over that ask for one host. */
export interface Way {
  linesFor(id: string): string
  /** Adds the same as name, value, name, value … */
  addTo(out: string[], id: string): void
}

interface KnownWay extends Way {
  readonly host: string
  readonly proto: string
  readonly made: FieldLines
}

/** A `forwarded` field that was made before: most requests come the same way. */
interface Last {
  peer: string
  host: string
  proto: string
  text: string
}

/** Clients whose way is kept as text. */
const MOST_KNOWN = 1024

/** Whoever says what a request came over. A client mostly asks for one host, over and over. */
export function createForwarding(): Forwarding {
  const last: Last = { peer: '', host: '', proto: '', text: '' }
  const known = new Map<string, KnownWay>()
  return { add: (exchange, out) => forwardingHeaders(exchange, out, last), wayOf }

  function wayOf(exchange: Admitted): Way | undefined {
    const { peer, authority, scheme, trace } = exchange
    if (exchange.trusted || trace !== undefined || !isUuid(exchange.id)) return undefined
    const way = known.get(peer)
    if (way !== undefined && way.host === authority && way.proto === scheme) return way
    if (known.size >= MOST_KNOWN) known.clear()
    const made = newWay(ownText(peer), ownText(authority), scheme)
    known.set(ownText(peer), made)
    return made
  }
}

function newWay(peer: string, host: string, proto: string): KnownWay {
  const named = host === '' ? [] : ['x-forwarded-host', host]
  const fields = ['x-forwarded-for', peer, 'x-forwarded-proto', proto, ...named, 'forwarded', elementOf(peer, host, proto)]
  return { host, proto, made: asLines(fields), linesFor, addTo }
}

function linesFor(this: KnownWay, id: string): string {
  return 'x-request-id: ' + id + '\r\n' + this.made.lines + 'traceparent: ' + traceParentOf(id) + '\r\n'
}

function addTo(this: KnownWay, out: string[], id: string): void {
  out.push('x-request-id', id)
  for (const text of this.made.fields) out.push(text)
  out.push('traceparent', traceParentOf(id))
}

/** Of an id of our own: 128 random bits, so it serves as the trace id, its second half as the id of our span. */
function traceParentOf(id: string): string {
  const half = id.slice(19, 23) + id.slice(24)
  return '00-' + id.slice(0, 8) + id.slice(9, 13) + id.slice(14, 18) + half + '-' + half + '-01'
}

/** Whether an id that is no client's has the form of RFC 9562 §4. */
function isUuid(id: string): boolean {
  if (id.length !== 36) return false
  return id[8] === '-' && id[13] === '-' && id[18] === '-' && id[23] === '-'
}

/**
 * Adds who asked, over what, and under which id: `x-request-id`, `x-forwarded-for/-proto/-host`, `forwarded` (RFC 7239) and,
 * where no trusted proxy gave one or traces are kept, `traceparent` (W3C Trace Context). From a peer that is not trusted nothing
 * is taken over.
 */
function forwardingHeaders(exchange: Admitted, out: string[], last: Last): void {
  const chain = exchange.trusted ? fieldOf(exchange, 'x-forwarded-for') : undefined
  const proto = (exchange.trusted ? fieldOf(exchange, 'x-forwarded-proto') : undefined) ?? exchange.scheme
  const host = (exchange.trusted ? fieldOf(exchange, 'x-forwarded-host') : undefined) ?? exchange.authority
  out.push('x-request-id', exchange.id)
  out.push('x-forwarded-for', chain === undefined ? exchange.peer : `${chain}, ${exchange.peer}`)
  out.push('x-forwarded-proto', proto)
  if (host !== '') out.push('x-forwarded-host', host)
  out.push('forwarded', forwarded(exchange, { host, proto, last }))
  if (exchange.trace !== undefined) {
    out.push('traceparent', exchange.trace.parent)
    if (exchange.trace.state !== undefined) out.push('tracestate', exchange.trace.state)
    return
  }
  if (exchange.trusted && fieldOf(exchange, 'traceparent') !== undefined) return
  const hex = exchange.id.replaceAll('-', '')
  if (isTraceId(hex)) out.push('traceparent', `00-${hex}-${hex.slice(16)}-01`)
}

function forwarded(exchange: Admitted, { host, proto, last }: Pick<Last, 'host' | 'proto'> & { readonly last: Last }): string {
  if (last.peer !== exchange.peer || last.host !== host || last.proto !== proto) {
    last.text = elementOf(exchange.peer, host, proto)
    last.peer = exchange.peer
    last.host = host
    last.proto = proto
  }
  const ours = last.text
  const before = exchange.trusted ? fieldOf(exchange, 'forwarded') : undefined
  return before === undefined ? ours : `${before}, ${ours}`
}

/** RFC 7239 §4. */
function elementOf(address: string, host: string, proto: string): string {
  const peer = address.includes(':') ? `"[${address}]"` : address
  return host === '' ? `for=${peer};proto=${proto}` : `for=${peer};host="${host}";proto=${proto}`
}

function isTraceId(hex: string): boolean {
  return hex.length === 32 && /^[0-9a-f]{32}$/.test(hex) && !hex.endsWith('0000000000000000')
}
