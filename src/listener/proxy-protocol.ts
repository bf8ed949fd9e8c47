import { isIPv4, isIPv6, SocketAddress, type Socket } from 'node:net'

/** What the first octets of a connection are, read as a PROXY header. */
export type ProxyHeader =
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'malformed' }
  /** `source`: address of the client; absent where the proxy speaks for itself or of something that has none. */
  | { readonly kind: 'whole'; readonly length: number; readonly source?: string }

const V1 = Buffer.from('PROXY ')
/** Longest line, its end included. */
const V1_BYTES = 107
const V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V2_HEAD_BYTES = 16
/** Addresses and the extensions behind them; no proxy that we know of sends more than some hundred octets. */
const V2_BODY_BYTES = 4096
const UNFINISHED: ProxyHeader = { kind: 'unfinished' }
const MALFORMED: ProxyHeader = { kind: 'malformed' }
const PORT = /^(?:0|[1-9][0-9]{0,4})$/

/** Reads a header of the PROXY protocol, version 1 or 2 (haproxy.org/download/3.2/doc/proxy-protocol.txt, §2). */
export function readProxyHeader(octets: Buffer): ProxyHeader {
  if (begins(octets, V2)) return octets.length < V2_HEAD_BYTES ? UNFINISHED : readV2(octets)
  if (begins(octets, V1)) return readV1(octets)
  return MALFORMED
}

/** Whether the octets are those of `signature`, as far as there are any. */
function begins(octets: Buffer, signature: Buffer): boolean {
  const length = Math.min(octets.length, signature.length)
  return octets.compare(signature, 0, length, 0, length) === 0
}

function readV1(octets: Buffer): ProxyHeader {
  const end = octets.subarray(0, V1_BYTES).indexOf('\r\n')
  if (end === -1) return octets.length < V1_BYTES ? UNFINISHED : MALFORMED
  const length = end + 2
  const [, family, source = '', target = '', ...ports] = octets.toString('latin1', 0, end).split(' ')
  if (family === 'UNKNOWN') return { kind: 'whole', length }
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6
  if (family !== 'TCP4' && family !== 'TCP6') return MALFORMED
  if (!isAddress(source) || !isAddress(target) || source.includes('%') || ports.length !== 2) return MALFORMED
  return ports.every(isPort) ? { kind: 'whole', length, source } : MALFORMED
}

function isPort(text: string): boolean {
  return PORT.test(text) && Number(text) <= 65_535
}

/** Version and command, family and transport, length of what follows. */
function readV2(octets: Buffer): ProxyHeader {
  const command = octets.readUInt8(12)
  const family = octets.readUInt8(13)
  const bodyBytes = octets.readUInt16BE(14)
  if (command >> 4 !== 2 || (command & 0x0f) > 1 || bodyBytes > V2_BODY_BYTES) return MALFORMED
  const length = V2_HEAD_BYTES + bodyBytes
  if (octets.length < length) return UNFINISHED
  // LOCAL: the proxy itself, a health check say. What else it may say of addresses does not count.
  if ((command & 0x0f) === 0) return { kind: 'whole', length }
  if (family === 0x11) return bodyBytes < 12 ? MALFORMED : { kind: 'whole', length, source: octets.subarray(16, 20).join('.') }
  if (family === 0x21) return bodyBytes < 36 ? MALFORMED : { kind: 'whole', length, source: ipv6(octets.subarray(16, 32)) }
  // Datagrams, Unix sockets, and what nobody has specified: taken, and nothing is believed of it.
  return { kind: 'whole', length }
}

function ipv6(octets: Buffer): string {
  const groups: string[] = []
  for (let index = 0; index < 16; index += 2) groups.push(octets.readUInt16BE(index).toString(16))
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address
}

/**
 * Takes the header off a connection that must begin with one. `done` gets the address that it names, once; what stands behind
 * the header is left to be read. A header that is malformed or takes too long ends the connection.
 */
export function takeProxyHeader(
  socket: Socket,
  timeout: { readonly afterMs: number; schedule(delayMs: number, run: () => void): () => void },
  done: (source: string | undefined) => void,
): void {
  let octets = Buffer.alloc(0)
  const cancel = timeout.schedule(timeout.afterMs, () => socket.destroy())
  socket.on('close', cancel)
  socket.on('readable', onReadable)

  function onReadable(): void {
    const chunk: unknown = socket.read()
    if (!Buffer.isBuffer(chunk)) return
    octets = Buffer.concat([octets, chunk])
    const header = readProxyHeader(octets)
    if (header.kind === 'unfinished') return
    cancel()
    socket.off('readable', onReadable)
    if (header.kind === 'malformed') {
      socket.destroy()
      return
    }
    if (octets.length > header.length) socket.unshift(octets.subarray(header.length))
    done(header.source)
  }
}
