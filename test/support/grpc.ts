/** A service of gRPC that speaks octets, and a client of it. */
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type CallOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type StatusObject,
  type sendUnaryData,
} from '@grpc/grpc-js'

const plain = (value: Buffer): Buffer => value

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/test.Octets/${name}`,
    requestStream,
    responseStream,
    requestSerialize: plain,
    requestDeserialize: plain,
    responseSerialize: plain,
    responseDeserialize: plain,
  }
}

export const OCTETS = {
  echo: method('Echo', false, false),
  fail: method('Fail', false, false),
  wait: method('Wait', false, false),
  count: method('Count', false, true),
  sum: method('Sum', true, false),
  chat: method('Chat', true, true),
  missing: method('Missing', false, false),
} satisfies ServiceDefinition

export interface GrpcUpstream {
  readonly port: number
  /** Metadata of the last call. */
  metadata(): Record<string, unknown>
  /** Forgets it. */
  forget(): void
  /** Milliseconds that the last call still had, as its server knows; Infinity: no deadline. */
  leftMs(): number
  /** Calls that were cancelled before they were answered. */
  cancelled(): number
  /** Ends all connections as soon as their calls are over. */
  drain(): Promise<void>
  close(): void
}

/** Speaks HTTP/2 without TLS. */
export async function grpcUpstream(wanted = 0): Promise<GrpcUpstream> {
  const server = new Server()
  let last = new Metadata()
  let leftMs = Number.POSITIVE_INFINITY
  let cancelled = 0
  const note = (call: {
    readonly metadata: Metadata
    getDeadline(): Date | number
    on(event: 'cancelled', run: () => void): unknown
  }): void => {
    last = call.metadata
    const deadline = call.getDeadline()
    leftMs = Number(deadline) - Date.now()
    call.on('cancelled', () => void (cancelled += 1))
  }
  const { missing: _, ...served } = OCTETS
  server.addService(served, {
    echo(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      note(call)
      const head = new Metadata()
      head.set('x-initial', 'first')
      head.set('x-octets-bin', Buffer.from([0, 255]))
      call.sendMetadata(head)
      const trailer = new Metadata()
      trailer.set('x-final', 'last')
      done(null, call.request, trailer)
    },
    fail(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      note(call)
      const metadata = new Metadata()
      metadata.set('x-reason', 'taken')
      done({ code: status.ALREADY_EXISTS, details: 'schon da: gr\u00fcn', metadata })
    },
    wait: (call: ServerUnaryCall<Buffer, Buffer>) => note(call),
    count(call: ServerWritableStream<Buffer, Buffer>) {
      note(call)
      const most = call.request.readUInt32BE(0)
      let next = 0
      const more = (): void => {
        while (next < most) {
          const message = Buffer.alloc(1024)
          message.writeUInt32BE(next)
          next += 1
          if (!call.write(message)) {
            call.once('drain', more)
            return
          }
        }
        call.end()
      }
      more()
    },
    sum(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      note(call)
      let octets = 0
      call.on('data', (message: Buffer) => void (octets += message.length))
      call.on('end', () => done(null, Buffer.from(String(octets))))
    },
    chat(call: ServerDuplexStream<Buffer, Buffer>) {
      note(call)
      call.on('data', (message: Buffer) => void call.write(Buffer.concat([Buffer.from('re: '), message])))
      call.on('end', () => call.end())
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${wanted}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  return {
    port,
    metadata: () => last.getMap(),
    forget: () => void (last = new Metadata()),
    leftMs: () => leftMs,
    cancelled: () => cancelled,
    drain: () =>
      new Promise((resolve) => {
        server.tryShutdown(() => resolve())
      }),
    close: () => server.forceShutdown(),
  }
}

/** What came of a call. */
export interface Called {
  readonly messages: readonly Buffer[]
  readonly code: number
  readonly details: string
  /** Metadata before the messages and after them. */
  readonly head: Record<string, unknown>
  readonly tail: Record<string, unknown>
}

export interface OctetsClient {
  readonly client: Client
  unary(name: keyof typeof OCTETS, message: Buffer, metadata?: Record<string, string | Buffer>, options?: CallOptions): Unary
  /** Messages of a server as they come. */
  stream(name: 'count', message: Buffer): ClientReadableStream<Buffer>
  sum(messages: Iterable<Buffer>): Promise<Called>
  chat(): ClientDuplexStream<Buffer, Buffer>
  close(): void
}

export interface Unary {
  readonly call: ClientUnaryCall
  readonly outcome: Promise<Called>
}

/** Speaks to `localhost` with TLS, and believes this certificate alone. */
export function grpcClient(port: number, certificate: string): OctetsClient {
  const client = new Client(`localhost:${port}`, credentials.createSsl(Buffer.from(certificate)), {
    'grpc.enable_retries': 0,
    'grpc.max_receive_message_length': -1,
  })
  return {
    client,
    unary(name, message, metadata = {}, options = {}) {
      let done: (error: ServiceError | null, value?: Buffer) => void = () => undefined
      const call = client.makeUnaryRequest(
        OCTETS[name].path,
        plain,
        plain,
        message,
        asMetadata(metadata),
        options,
        (error, value) => done(error, value),
      )
      return { call, outcome: outcomeOf(call, (run) => void (done = run)) }
    },
    stream: (name, message) => client.makeServerStreamRequest(OCTETS[name].path, plain, plain, message),
    sum(messages) {
      let done: (error: ServiceError | null, value?: Buffer) => void = () => undefined
      const call = client.makeClientStreamRequest(OCTETS.sum.path, plain, plain, (error, value) => done(error, value))
      const outcome = outcomeOf(call, (run) => void (done = run))
      for (const message of messages) call.write(message)
      call.end()
      return outcome
    },
    chat: () => client.makeBidiStreamRequest(OCTETS.chat.path, plain, plain),
    close: () => client.close(),
  }
}

interface Watched {
  on(event: 'metadata', run: (metadata: Metadata) => void): unknown
  on(event: 'status', run: (given: StatusObject) => void): unknown
}

function outcomeOf(call: Watched, take: (run: (error: ServiceError | null, value?: Buffer) => void) => void): Promise<Called> {
  return new Promise((resolve) => {
    let head: Record<string, unknown> = {}
    let message: Buffer | undefined
    let ended: StatusObject | undefined
    let isAnswered = false
    const settle = (): void => {
      if (ended === undefined || !isAnswered) return
      const { code, details, metadata } = ended
      resolve({ messages: message === undefined ? [] : [message], code, details, head, tail: metadata.getMap() })
    }
    call.on('metadata', (metadata) => void (head = metadata.getMap()))
    call.on('status', (given) => {
      ended = given
      settle()
    })
    take((_, value) => {
      message = value
      isAnswered = true
      settle()
    })
  })
}

function asMetadata(fields: Record<string, string | Buffer>): Metadata {
  const metadata = new Metadata()
  for (const name in fields) metadata.set(name, fields[name] ?? '')
  return metadata
}
