/** A WebSocket client that sends exactly the frames of a test (RFC 6455 §5.2) and notes what comes back. */
import { connect, type Socket } from 'node:net'
import { head } from './wire.ts'

export interface Frame {
  readonly opcode: number
  readonly payload?: Buffer
  /** Default true. */
  readonly fin?: boolean
  /** The three reserved bits. Default 0. */
  readonly rsv?: number
}

export const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78])

export function maskedFrame({ opcode, payload = Buffer.alloc(0), fin = true, rsv = 0 }: Frame): Buffer {
  return Buffer.concat([frameHead(opcode, payload.length, fin, rsv), masked(payload, 0)])
}

/** The head of a masked frame whose payload follows by {@link masked}. */
export function frameHead(opcode: number, length: number, fin = true, rsv = 0): Buffer {
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  if (length < 126) return Buffer.concat([Buffer.from([first, 0x80 | length]), MASK])
  const long = Buffer.alloc(length < 65536 ? 4 : 10)
  long[0] = first
  if (length < 65536) {
    long[1] = 0x80 | 126
    long.writeUInt16BE(length, 2)
  } else {
    long[1] = 0x80 | 127
    long.writeBigUInt64BE(BigInt(length), 2)
  }
  return Buffer.concat([long, MASK])
}

/** Payload from octet `from` of its frame on. */
export function masked(payload: Buffer, from: number): Buffer {
  return Buffer.from(payload.map((octet, index) => octet ^ (MASK[(from + index) % 4] ?? 0)))
}

export function closePayload(code: number | undefined, reason: Buffer = Buffer.alloc(0)): Buffer {
  if (code === undefined) return Buffer.alloc(0)
  const octets = Buffer.alloc(2)
  octets.writeUInt16BE(code)
  return Buffer.concat([octets, reason])
}

export interface ReceivedFrame {
  readonly opcode: number
  readonly fin: boolean
  readonly rsv: number
  readonly payload: Buffer
}

/** The whole frames among octets from a server, which must not mask them, and what is left. */
export function readFrames(octets: Buffer): { readonly frames: readonly ReceivedFrame[]; readonly rest: Buffer } {
  const frames: ReceivedFrame[] = []
  let at = 0
  for (;;) {
    if (octets.length < at + 2) break
    const first = octets[at] ?? 0
    const second = octets[at + 1] ?? 0
    if (second >= 0x80) throw new Error('a masked frame from a server')
    let length = second
    let payloadAt = at + 2
    if (second === 126) {
      payloadAt += 2
      if (octets.length < payloadAt) break
      length = octets.readUInt16BE(at + 2)
    } else if (second === 127) {
      payloadAt += 8
      if (octets.length < payloadAt) break
      length = Number(octets.readBigUInt64BE(at + 2))
    }
    if (octets.length < payloadAt + length) break
    frames.push({
      opcode: first & 15,
      fin: first >= 0x80,
      rsv: (first >> 4) & 7,
      payload: octets.subarray(payloadAt, payloadAt + length),
    })
    at = payloadAt + length
  }
  return { frames, rest: octets.subarray(at) }
}

export interface WebSocketClient {
  readonly socket: Socket
  /** Head of the answer to the handshake. */
  readonly answer: string
  readonly status: number
  /** Octets behind the head of the answer. */
  received(): Buffer
  frames(): readonly ReceivedFrame[]
  send(octets: Buffer): void
  isClosed(): boolean
  /** Settles when `ready` holds, when the connection is closed, or after `limitMs`. */
  until(ready: () => boolean, limitMs?: number): Promise<void>
  /** Runs for each packet, and once when the connection is closed. */
  listen(wake: () => void): void
  close(): void
}

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='

/** Fields that make a request a handshake. */
export const HANDSHAKE: readonly string[] = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${KEY}`,
]

export function handshake(path: string, ...lines: readonly string[]): string {
  const named = new Set(lines.map((line) => line.slice(0, line.indexOf(':')).toLowerCase()))
  const kept = HANDSHAKE.filter((line) => !named.has(line.slice(0, line.indexOf(':')).toLowerCase()))
  return head(`GET ${path} HTTP/1.1`, ...kept, ...lines)
}

/** Sends a handshake over a connection, or a new one to a port, and waits for the head of its answer. */
export async function openWebSocket(to: number | Socket, octets: string | Buffer = handshake('/')): Promise<WebSocketClient> {
  const socket = typeof to === 'number' ? connect({ port: to, host: '127.0.0.1', noDelay: true }) : to
  let all = Buffer.alloc(0)
  let closed = false
  const wakes = new Set<() => void>()
  const wake = (): void => {
    for (const one of wakes) one()
  }
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    all = Buffer.concat([all, chunk])
    wake()
  })
  for (const event of ['end', 'close'] as const) {
    socket.on(event, () => {
      if (closed) return
      closed = true
      wake()
      socket.end()
    })
  }
  socket.write(octets, 'latin1')
  const until = (ready: () => boolean, limitMs = 15_000): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(done, limitMs)
      wakes.add(check)
      check()
      function check(): void {
        if (closed || ready()) done()
      }
      function done(): void {
        clearTimeout(timer)
        wakes.delete(check)
        resolve()
      }
    })
  await until(() => all.includes('\r\n\r\n'))
  const end = all.indexOf('\r\n\r\n')
  const answer = all.subarray(0, Math.max(end, 0)).toString('latin1')
  const received = (): Buffer => all.subarray(end === -1 ? all.length : end + 4)
  return {
    socket,
    answer,
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0),
    received,
    frames: () => readFrames(received()).frames,
    send: (data) => void socket.write(data),
    isClosed: () => closed,
    until,
    listen: (run) => void wakes.add(run),
    close: () => void socket.destroy(),
  }
}

/** Code of a close frame; 1005 when it has none (RFC 6455 §7.1.5), undefined when there is no close frame. */
export function closeCode(frames: readonly ReceivedFrame[]): number | undefined {
  const frame = frames.find(({ opcode }) => opcode === OPCODES.close)
  if (frame === undefined) return undefined
  return frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE(0)
}
