/** Both ends of the wire, octet by octet: a client, an upstream that reads strictly, and a gateway between them. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { startGateway, type GatewayOptions, type TestGateway } from './gateway.ts'
import { Ambiguity, readAnswers, readRequests, statusCode, type AnswersOptions, type Message } from './strict-http.ts'

/** Only a fault takes longer, on a machine that has other work too. */
const PATIENCE_MS = 15_000

/** One client connection, kept open. */
export interface Client {
  readonly socket: Socket
  send(octets: string | Buffer): void
  /** Everything received so far. */
  received(): Buffer
  /** Final answers so far, read strictly. */
  answers(options?: AnswersOptions): readonly Message[]
  /** Settles when `ready` says so, when the connection is closed, or after `limitMs`. */
  until(ready: (received: Buffer) => boolean, limitMs?: number): Promise<void>
  /** Waits for this many final answers, or the end of the connection; gives all that came. */
  answered(count: number, options?: AnswersOptions & { readonly limitMs?: number }): Promise<readonly Message[]>
  /** Settles when the other side has closed; false after `limitMs`. */
  ended(limitMs?: number): Promise<boolean>
  isClosed(): boolean
  close(): void
}

export async function openClient(port: number): Promise<Client> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const chunks: Buffer[] = []
  let closed = false
  const wake = new Set<() => void>()
  const tell = (): void => {
    for (const one of wake) one()
  }
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    tell()
  })
  for (const event of ['end', 'close'] as const) {
    socket.on(event, () => {
      closed = true
      tell()
    })
  }
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })

  const received = (): Buffer => Buffer.concat(chunks)
  const answers = (options: AnswersOptions = {}): readonly Message[] =>
    finals(readAnswers(received(), { closed, ...options }).messages)
  function until(ready: (octets: Buffer) => boolean, limitMs = PATIENCE_MS): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, limitMs)
      wake.add(check)
      check()
      function check(): void {
        if (closed || ready(received())) done()
      }
      function done(): void {
        clearTimeout(timer)
        wake.delete(check)
        resolve()
      }
    })
  }
  return {
    socket,
    send: (octets) => void socket.write(octets, 'latin1'),
    received,
    answers,
    until,
    async answered(count, { limitMs, ...options } = {}) {
      await until((octets) => finals(readAnswers(octets, options).messages).length >= count, limitMs)
      return answers(options)
    },
    async ended(limitMs = PATIENCE_MS) {
      await until(() => false, limitMs)
      return closed
    },
    isClosed: () => closed,
    close: () => void socket.destroy(),
  }
}

function finals(messages: readonly Message[]): readonly Message[] {
  return messages.filter((message) => statusCode(message) >= 200)
}

export interface TalkOptions extends AnswersOptions {
  /** How many final answers to wait for. Default 1. */
  readonly count?: number
  /** Longest wait for them. Default 15 s. */
  readonly quietMs?: number
}

/** Sends octets on a connection of their own and waits for final answers, garbage, the end of the connection, or the limit. */
export async function talk(
  port: number,
  octets: string | Buffer,
  { count = 1, quietMs = PATIENCE_MS, ...reading }: TalkOptions = {},
): Promise<{ readonly octets: Buffer; readonly closed: boolean }> {
  const client = await openClient(port)
  client.send(octets)
  await client.until((received) => {
    try {
      return finals(readAnswers(received, reading).messages).length >= count
    } catch {
      return true
    }
  }, quietMs)
  const result = { octets: client.received(), closed: client.isClosed() }
  client.close()
  return result
}

export interface StrictUpstream {
  readonly port: number
  /** Whole requests, in the order they were read. */
  readonly requests: Message[]
  /** What could not be read strictly. */
  readonly faults: string[]
  /** Octets that are not part of a whole request, by connection. */
  rests(): readonly string[]
  /** Forgets what was seen so far. */
  clear(): void
  /** Settles when `ready` holds or after `limitMs`. */
  until(ready: () => boolean, limitMs?: number): Promise<void>
  /** Open connections. */
  connections(): number
  close(): Promise<void>
}

/** What an upstream answers with: octets, or whatever it does with the socket. */
export type Reply = string | Buffer | ((socket: Socket, request: Message) => void)

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

/** Reads every request strictly and writes `reply` for each whole one. `onHead` runs when the first octets of a request came. */
export async function strictUpstream(
  reply: Reply = OK,
  onData?: (socket: Socket, octets: Buffer) => void,
): Promise<StrictUpstream> {
  const requests: Message[] = []
  const faults: string[] = []
  const open = new Map<Socket, Buffer>()
  const wake = new Set<() => void>()
  const server = createServer({ noDelay: true }, (socket) => {
    open.set(socket, Buffer.alloc(0))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      open.delete(socket)
      for (const one of wake) one()
    })
    socket.on('data', (chunk: Buffer) => {
      const octets = Buffer.concat([open.get(socket) ?? Buffer.alloc(0), chunk])
      open.set(socket, octets)
      onData?.(socket, octets)
      try {
        const { messages, rest } = readRequests(octets)
        open.set(socket, Buffer.from(rest))
        for (const message of messages) {
          requests.push(message)
          if (typeof reply === 'function') reply(socket, message)
          else socket.write(reply)
        }
      } catch (error) {
        if (!(error instanceof Ambiguity)) throw error
        faults.push(error.message)
        socket.destroy()
      }
      for (const one of wake) one()
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    faults,
    rests: () => [...open.values()].flatMap((rest) => (rest.length > 0 ? [rest.toString('latin1')] : [])),
    clear() {
      requests.length = 0
      faults.length = 0
      for (const socket of open.keys()) open.set(socket, Buffer.alloc(0))
    },
    until: (ready, limitMs = PATIENCE_MS) =>
      new Promise((resolve) => {
        const timer = setTimeout(done, limitMs)
        wake.add(check)
        check()
        function check(): void {
          if (ready()) done()
        }
        function done(): void {
          clearTimeout(timer)
          wake.delete(check)
          resolve()
        }
      }),
    connections: () => open.size,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open.keys()) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

export interface WireOptions extends GatewayOptions {
  /** Keys of the public listener, each as a line of YAML such as `limits: { headers: 5 }`. */
  readonly listener?: readonly string[]
  /** Keys of the upstream beside its target. */
  readonly upstream?: readonly string[]
  /** Keys of the one route beside `auth: public` and `upstream: main`. */
  readonly route?: readonly string[]
  /** Further top-level YAML. */
  readonly more?: string
  /** Path of the target, with its slash. */
  readonly basePath?: string
}

/** A gateway that passes everything to `port` by one public route `/*`. */
export function openWire(port: number, options: WireOptions = {}): Promise<TestGateway> {
  return startGateway(wireText(port, options), options)
}

/** The configuration of {@link openWire}. */
export function wireText(port: number, options: WireOptions): string {
  const { listener = [], upstream = [], route = [], more = '', basePath = '' } = options
  const lines = [
    'listeners:',
    '  public:',
    '    {{public}}',
    ...listener.map((line) => `    ${line}`),
    '  admin: { address: 127.0.0.1:0 }',
    'tenants: { default: { signing: ES256 } }',
    'upstreams:',
    '  main:',
    `    targets: ["http://127.0.0.1:${port}${basePath}"]`,
    ...upstream.map((line) => `    ${line}`),
    'routes:',
    '  - name: all',
    '    match: { path: /* }',
    '    auth: public',
    '    upstream: main',
    ...route.map((line) => `    ${line}`),
    more,
  ]
  return lines.join('\n')
}

/** A request line and fields as octets; a Host field is added unless one is there. */
export function head(start: string, ...lines: readonly string[]): string {
  const host = lines.some((line) => /^host:/i.test(line)) ? [] : ['Host: gateway.test']
  return `${[start, ...host, ...lines].join('\r\n')}\r\n\r\n`
}
