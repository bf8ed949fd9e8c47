/** Upstreams that speak HTTP/2: one of a library, and one that says frame by frame what it is told to. */
import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { FLAGS, FRAMES, frameOf, PREFACE, settingsOf, type Frame } from './http2-frames.ts'

export interface Http2Upstream {
  readonly port: number
  readonly sessions: ReadonlySet<ServerHttp2Session>
  /** Connections so far. */
  opened(): number
  close(): Promise<void>
}

export interface Http2UpstreamOptions {
  /** Streams of a connection at once. */
  readonly streams?: number
  /** With TLS, and whether HTTP/1.1 is spoken too. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string; readonly requestCert?: boolean }
}

export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

export async function http2Upstream(handle: StreamHandler, { streams, tls }: Http2UpstreamOptions = {}): Promise<Http2Upstream> {
  const settings = streams === undefined ? {} : { maxConcurrentStreams: streams }
  const server =
    tls === undefined
      ? createServer({ settings })
      : createSecureServer({ settings, ...tls, rejectUnauthorized: tls.requestCert === true })
  const sessions = new Set<ServerHttp2Session>()
  let opened = 0
  server.on('session', (session) => {
    opened += 1
    sessions.add(session)
    session.on('error', () => undefined)
    session.on('close', () => sessions.delete(session))
  })
  server.on('sessionError', () => undefined)
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined)
    handle(stream, headers)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve())
  })
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    opened: () => opened,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const session of sessions) session.destroy()
      }),
  }
}

/** What both kinds of answers of `node:http` and `node:http2` can do. */
export interface EitherAnswer {
  /** Absent: it is of HTTP/1.1. */
  readonly stream?: ServerHttp2Stream
  readonly writableEnded: boolean
  readonly destroyed?: boolean
  setHeader(name: string, value: string | readonly string[] | number): unknown
  writeHead(status: number, fields?: Record<string, string>): unknown
  writeEarlyHints(hints: Record<string, string>): unknown
  addTrailers(fields: Record<string, string>): unknown
  write(chunk: string | Uint8Array): boolean
  end(chunk?: string | Uint8Array): unknown
  on(event: 'close' | 'drain', run: () => void): unknown
}

/** Breaks an answer off, so that it is not whole. */
export function breakOff(answer: EitherAnswer): void {
  if (answer.stream !== undefined) answer.stream.close(2)
  else if ('destroy' in answer && typeof answer.destroy === 'function') answer.destroy()
}

export interface FrameConnection {
  readonly socket: Socket
  /** From 0. */
  readonly number: number
  send(type: number, flags: number, stream: number, payload?: Buffer): void
}

export interface FrameUpstream {
  readonly port: number
  readonly frames: readonly (Frame & { readonly connection: number })[]
  opened(): number
  close(): Promise<void>
}

export interface FrameUpstreamOptions {
  /** SETTINGS as pairs of identifier and value; false for none at all. */
  readonly settings?: readonly (readonly [number, number])[] | false
  /** Without an acknowledgement of PING. */
  readonly mute?: boolean
}

/** Reads frames without looking into them, and calls `onFrame` for each but SETTINGS and WINDOW_UPDATE. */
export async function frameUpstream(
  onFrame: (frame: Frame, connection: FrameConnection) => void,
  { settings = [], mute = false }: FrameUpstreamOptions = {},
): Promise<FrameUpstream> {
  const frames: (Frame & { readonly connection: number })[] = []
  const sockets = new Set<Socket>()
  let opened = 0
  const server: Server = createTcpServer({ noDelay: true }, (socket) => {
    const connection: FrameConnection = { socket, number: opened, send }
    opened += 1
    let rest = Buffer.alloc(0)
    let isGreeted = false
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      if (!isGreeted) {
        if (rest.length < PREFACE.length) return
        rest = rest.subarray(PREFACE.length)
        isGreeted = true
        if (settings !== false) send(FRAMES.settings, FLAGS.none, 0, settingsOf(settings))
      }
      while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
        const length = rest.readUIntBE(0, 3)
        const frame = {
          type: rest.readUInt8(3),
          flags: rest.readUInt8(4),
          stream: rest.readUInt32BE(5) & 0x7fffffff,
          payload: rest.subarray(9, 9 + length),
        }
        rest = rest.subarray(9 + length)
        frames.push({ ...frame, connection: connection.number })
        react(frame)
      }
    })

    function react(frame: Frame): void {
      if (frame.type === FRAMES.settings) {
        if (frame.flags === 0 && settings !== false) send(FRAMES.settings, FLAGS.ack, 0)
      } else if (frame.type === FRAMES.ping) {
        if (frame.flags === 0 && !mute) send(FRAMES.ping, FLAGS.ack, 0, frame.payload)
      } else if (frame.type !== FRAMES.windowUpdate) onFrame(frame, connection)
    }

    function send(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): void {
      if (!socket.destroyed) socket.write(frameOf({ type, flags, stream, payload }))
    }
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    frames,
    opened: () => opened,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** The payload of an RST_STREAM. */
export function codeOf(code: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(code)
  return payload
}

/** The payload of a GOAWAY. */
export function goawayOf(last: number, code: number): Buffer {
  const payload = Buffer.alloc(8)
  payload.writeUInt32BE(last, 0)
  payload.writeUInt32BE(code, 4)
  return payload
}
