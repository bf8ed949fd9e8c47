/** A receiver of traces: OTLP over HTTP in its binary form, read by a decoder of its own. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  /** Empty: it has none. */
  readonly parentId: string
  readonly state: string
  readonly name: string
  readonly kind: 'internal' | 'server' | 'client' | 'other'
  readonly startNano: bigint
  readonly endNano: bigint
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly events: readonly string[]
  readonly isError: boolean
  readonly isParentRemote: boolean
  readonly resource: Readonly<Record<string, string | number | boolean>>
}

export interface Receiver {
  readonly url: string
  readonly spans: ReceivedSpan[]
  /** What came with each export. */
  readonly exports: { readonly path: string; readonly headers: IncomingMessage['headers']; readonly body: Buffer }[]
  /** What it answers from now on; `hang`: nothing. */
  answer: number | 'hang'
  close(): Promise<void>
}

/**
 * @param port default: any that is free
 * @param tls with it, the receiver is one of HTTPS
 */
export async function startReceiver(port = 0, tls?: ServerOptions): Promise<Receiver> {
  const receiver: { -readonly [Key in keyof Receiver]: Receiver[Key] } = {
    url: '',
    spans: [],
    exports: [],
    answer: 200,
    close: () => Promise.resolve(),
  }
  const answer = (req: IncomingMessage, res: ServerResponse) => void take(receiver, req, res)
  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const { port: own } = server.address() as AddressInfo
  receiver.url = tls === undefined ? `http://127.0.0.1:${own}` : `https://localhost:${own}`
  receiver.close = () =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return receiver
}

async function take(receiver: Receiver, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  receiver.exports.push({ path: req.url ?? '', headers: req.headers, body })
  if (receiver.answer === 'hang') return
  if (receiver.answer === 200) receiver.spans.push(...readExport(body))
  res.writeHead(receiver.answer, { 'content-type': 'application/x-protobuf' }).end()
}

/** Field number → its values in order: octets of a message or text, or a number. */
type Message = ReadonlyMap<number, readonly (Buffer | bigint)[]>

function readExport(body: Buffer): ReceivedSpan[] {
  return messages(readMessage(body), 1).flatMap((resourceSpans) => {
    const resource = attributesOf(messages(resourceSpans, 1)[0] ?? new Map(), 1)
    return messages(resourceSpans, 2).flatMap((scoped) => messages(scoped, 2).map((span) => readSpan(span, resource)))
  })
}

const KINDS = ['other', 'internal', 'server', 'client'] as const

function readSpan(span: Message, resource: ReceivedSpan['resource']): ReceivedSpan {
  const status = messages(span, 15)[0]
  return {
    traceId: octets(span, 1).toString('hex'),
    spanId: octets(span, 2).toString('hex'),
    state: octets(span, 3).toString(),
    parentId: octets(span, 4).toString('hex'),
    name: octets(span, 5).toString(),
    kind: KINDS[Number(number(span, 6))] ?? 'other',
    startNano: number(span, 7),
    endNano: number(span, 8),
    attributes: attributesOf(span, 9),
    events: messages(span, 11).map((event) => octets(event, 2).toString()),
    isError: status !== undefined && number(status, 3) === 2n,
    isParentRemote: (number(span, 16) & 512n) !== 0n,
    resource,
  }
}

function attributesOf(message: Message, field: number): Record<string, string | number | boolean> {
  return Object.fromEntries(
    messages(message, field).map((pair) => {
      const value = messages(pair, 2)[0] ?? new Map()
      const text = value.get(1)?.[0]
      const flag = value.get(2)?.[0]
      return [
        octets(pair, 1).toString(),
        Buffer.isBuffer(text) ? text.toString() : flag === undefined ? Number(number(value, 3)) : flag === 1n,
      ]
    }),
  )
}

function messages(message: Message, field: number): Message[] {
  return (message.get(field) ?? []).flatMap((value) => (Buffer.isBuffer(value) ? [readMessage(value)] : []))
}

function octets(message: Message, field: number): Buffer {
  const value = message.get(field)?.[0]
  return Buffer.isBuffer(value) ? value : Buffer.alloc(0)
}

function number(message: Message, field: number): bigint {
  const value = message.get(field)?.[0]
  return typeof value === 'bigint' ? value : 0n
}

/** The wire format of protocol buffers. */
function readMessage(buffer: Buffer): Message {
  const fields = new Map<number, (Buffer | bigint)[]>()
  let at = 0
  while (at < buffer.length) {
    const key = varint()
    const field = Number(key >> 3n)
    const value = readValue(Number(key & 7n))
    fields.set(field, [...(fields.get(field) ?? []), value])
  }
  return fields

  function readValue(type: number): Buffer | bigint {
    if (type === 0) return varint()
    if (type === 1) return buffer.readBigUInt64LE((at += 8) - 8)
    if (type === 5) return BigInt(buffer.readUInt32LE((at += 4) - 4))
    if (type !== 2) throw new Error(`wire type ${type}`)
    const length = Number(varint())
    return buffer.subarray(at, (at += length))
  }

  function varint(): bigint {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const octet = buffer[at++]
      if (octet === undefined) throw new Error('the message ends too soon')
      value |= BigInt(octet & 127) << shift
      if (octet < 128) return value
    }
  }
}
