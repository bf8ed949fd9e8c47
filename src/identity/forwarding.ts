import { fieldOf, type Admitted } from '../exchange/exchange.ts'

/** A `forwarded` field that was made before: most requests come the same way. */
interface Last {
  peer: string
  host: string
  proto: string
  text: string
}

/** Whoever adds what a request came over to its fields. */
export function createForwarding(): (exchange: Admitted, out: string[]) => void {
  const last: Last = { peer: '', host: '', proto: '', text: '' }
  return (exchange, out) => forwardingHeaders(exchange, out, last)
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
  // The request id is 128 random bits, so it serves as the trace id; its second half as the id of our span.
  if (isTraceId(hex)) out.push('traceparent', `00-${hex}-${hex.slice(16)}-01`)
}

function forwarded(exchange: Admitted, { host, proto, last }: Pick<Last, 'host' | 'proto'> & { readonly last: Last }): string {
  if (last.peer !== exchange.peer || last.host !== host || last.proto !== proto) {
    const peer = exchange.peer.includes(':') ? `"[${exchange.peer}]"` : exchange.peer
    last.text = host === '' ? `for=${peer};proto=${proto}` : `for=${peer};host="${host}";proto=${proto}`
    last.peer = exchange.peer
    last.host = host
    last.proto = proto
  }
  const ours = last.text
  const before = exchange.trusted ? fieldOf(exchange, 'forwarded') : undefined
  return before === undefined ? ours : `${before}, ${ours}`
}

function isTraceId(hex: string): boolean {
  return hex.length === 32 && /^[0-9a-f]{32}$/.test(hex) && !hex.endsWith('0000000000000000')
}
