/** An HTTP/2 client that writes its frames octet by octet, for what a library would refuse to send (RFC 9113, RFC 7541). */
import { connect, type TLSSocket } from 'node:tls'

export const FRAMES = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const
export const FLAGS = { none: 0, endStream: 0x1, ack: 0x1, endHeaders: 0x4 } as const
/** RFC 9113 §7. */
export const CODES = { none: 0, protocol: 1, internal: 2, flowControl: 3, cancel: 8, enhanceYourCalm: 11 } as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** What came of one request. */
export interface Http2Outcome {
  /** Of the final answer; 0 when there was none. */
  readonly status: number
  readonly body: string
  /** Code of the RST_STREAM, if one came. */
  readonly reset: number | undefined
  /** The stream was ended in order. */
  readonly ended: boolean
}

export interface FrameClient {
  readonly socket: TLSSocket
  send(type: number, flags: number, stream: number, payload?: Buffer): void
  /** HEADERS with these fields, in this order. */
  head(stream: number, fields: readonly Field[], flags?: number): void
  frames(): readonly Frame[]
  outcome(stream: number): Http2Outcome
  /** Waits until the stream is over, the connection is closed, or `limitMs`. */
  over(stream: number, limitMs?: number): Promise<Http2Outcome>
  until(isSo: () => boolean, limitMs?: number): Promise<boolean>
  isClosed(): boolean
  close(): void
}

export type Field = readonly [name: string, value: string]

export interface FrameClientOptions {
  /** The preface and the first SETTINGS are sent by the caller. Default: sent here. */
  readonly silent?: boolean
  /** SETTINGS as pairs of identifier and value. */
  readonly settings?: readonly (readonly [number, number])[]
}

const HEADER_TABLE_SIZE = 1

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export async function openFrames(port: number, options: FrameClientOptions = {}): Promise<FrameClient> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'gateway.test',
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
  })
  const frames: Frame[] = []
  const wake = new Set<() => void>()
  let rest = Buffer.alloc(0)
  let closed = false
  socket.on('error', () => undefined)
  for (const event of ['end', 'close'] as const) {
    socket.on(event, () => {
      closed = true
      for (const one of wake) one()
    })
  }
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3)
      const frame = {
        type: rest.readUInt8(3),
        flags: rest.readUInt8(4),
        stream: rest.readUInt32BE(5) & 0x7fffffff,
        payload: rest.subarray(9, 9 + length),
      }
      frames.push(frame)
      rest = rest.subarray(9 + length)
      if (frame.type === FRAMES.settings && frame.flags === 0) send(FRAMES.settings, FLAGS.ack, 0)
    }
    for (const one of wake) one()
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  if (options.silent !== true) {
    socket.write(PREFACE)
    // No table of header fields: a status is then always said in full.
    send(FRAMES.settings, FLAGS.none, 0, settingsOf([[HEADER_TABLE_SIZE, 0], ...(options.settings ?? [])]))
  }
  return {
    socket,
    send,
    head: (stream, fields, flags = FLAGS.endStream | FLAGS.endHeaders) =>
      send(FRAMES.headers, flags, stream, encodeFields(fields)),
    frames: () => frames,
    outcome,
    async over(stream, limitMs = 8000) {
      await until(() => outcome(stream).ended || outcome(stream).reset !== undefined, limitMs)
      return outcome(stream)
    },
    until,
    isClosed: () => closed,
    close: () => void socket.destroy(),
  }

  function send(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): void {
    if (!socket.destroyed) socket.write(frameOf({ type, flags, stream, payload }))
  }

  function until(isSo: () => boolean, limitMs = 8000): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, limitMs)
      wake.add(check)
      check()
      function check(): void {
        if (closed || isSo()) done()
      }
      function done(): void {
        clearTimeout(timer)
        wake.delete(check)
        resolve(isSo())
      }
    })
  }

  function outcome(stream: number): Http2Outcome {
    const own = frames.filter((frame) => frame.stream === stream)
    const heads = own.filter(({ type }) => type === FRAMES.headers)
    return {
      status: heads.map(({ payload }) => statusOf(payload)).find((status) => status >= 200) ?? 0,
      body: Buffer.concat(own.flatMap(({ type, payload }) => (type === FRAMES.data ? [payload] : []))).toString('latin1'),
      reset: own.find(({ type }) => type === FRAMES.reset)?.payload.readUInt32BE(0),
      ended: own.some(({ type, flags }) => (type === FRAMES.data || type === FRAMES.headers) && (flags & FLAGS.endStream) !== 0),
    }
  }
}

export function frameOf({ type, flags, stream, payload }: Frame): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export function settingsOf(settings: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6)
  for (const [index, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, index * 6)
    payload.writeUInt32BE(value, index * 6 + 2)
  }
  return payload
}

/** A request with the usual pseudo-header fields; those of `more` with the same name take their place. */
export function requestFields(path: string, more: readonly Field[] = [], method = 'GET'): Field[] {
  const usual: Field[] = [
    [':method', method],
    [':scheme', 'https'],
    [':authority', 'gateway.test'],
    [':path', path],
  ]
  const pseudo = usual.map(([name, value]): Field => more.find(([other]) => other === name) ?? [name, value])
  return [...pseudo, ...more.filter(([name]) => !usual.some(([other]) => other === name))]
}

/** RFC 7541 §6.2.2: literals without indexing and without Huffman coding, so that every octet can be said. */
export function encodeFields(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

function text(value: string): Buffer {
  const octets = Buffer.from(value, 'latin1')
  return Buffer.concat([integer(octets.length), octets])
}

/** RFC 7541 §5.1 with a prefix of seven bits. */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value])
  const octets = [127]
  let left = value - 127
  while (left >= 128) {
    octets.push((left % 128) + 128)
    left = Math.floor(left / 128)
  }
  return Buffer.from([...octets, left])
}

/** `:status` in the static table (RFC 7541, appendix A). */
const INDEXED = new Map([200, 204, 206, 304, 400, 404, 500].map((status, index) => [0x88 + index, status]))

/** Status of a header block that begins with it, as it must (RFC 9113 §8.3); 0 for trailers. */
function statusOf(block: Buffer): number {
  let at = 0
  // Dynamic table size updates (RFC 7541 §6.3) come first.
  while (((block[at] ?? 0) & 0xe0) === 0x20) at += ((block[at] ?? 0) & 0x1f) === 0x1f ? 4 : 1
  const first = block[at] ?? 0
  const indexed = INDEXED.get(first)
  if (indexed !== undefined) return indexed
  const isLiteralStatus = [0x48, 0x08, 0x18].includes(first)
  if (!isLiteralStatus) return 0
  const length = block[at + 1] ?? 0
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f))
  return Number((length & 0x80) === 0 ? value.toString('latin1') : huffmanDigits(value))
}

/** Digits alone: 0 to 2 have five bits, the others six (RFC 7541, appendix B). */
function huffmanDigits(octets: Buffer): string {
  const bits = [...octets].map((octet) => octet.toString(2).padStart(8, '0')).join('')
  let digits = ''
  let at = 0
  while (at + 5 <= bits.length && digits.length < 3) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2)
    if (five <= 2) {
      digits += String(five)
      at += 5
      continue
    }
    digits += String(Number.parseInt(bits.slice(at, at + 6), 2) - 0b011001 + 3)
    at += 6
  }
  return digits
}
