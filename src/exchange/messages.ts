/**
 * The two messages of an exchange with a client, as far as the path knows them: the same whichever version of HTTP brought
 * them. Those of `node:http` fit as they are.
 */

/** The connection that a message came over. */
export interface Connection {
  readonly remoteAddress?: string | undefined
  /** Whether it is TLS. */
  readonly encrypted?: boolean
  /** Address of the other end, where a trusted proxy said it before the first octet (PROXY protocol). */
  readonly proxiedFrom?: string
  /** A trusted proxy has said that it speaks for itself, or did not say for whom: what comes is not believed to be its word. */
  readonly isUnsaid?: true
  /** Requests come over it before those in front of them are answered: what stands behind an answer waits for it. */
  readonly isPipelined?: true
  /** Absent: the client showed none that our authorities vouch for. */
  readonly clientCertificate?: ClientCertificate
}

/** A certificate that a client proved itself by, verified against the authorities of the configuration. */
export interface ClientCertificate {
  /** RFC 4514: the most specific part first, such as `CN=billing,O=Example`. */
  readonly subject: string
  /** The certificate itself as a field value: base64 of its DER between colons (RFC 9440 §2.1, RFC 8941 §3.3.5). */
  readonly field: string
  /** Seconds since 1970. */
  readonly expiresAt: number
}

/** A request as it comes in. */
export interface RequestMessage {
  readonly method?: string | undefined
  readonly url?: string | undefined
  /** `1.0`, `1.1` or `2.0`. */
  readonly httpVersion: string
  /** Name, value, name, value … as received; over HTTP/2 without pseudo-header fields, with `host` in place of `:authority`. */
  readonly rawHeaders: readonly string[]
  readonly socket: Connection
  /** Whether it was received to its end. */
  readonly complete: boolean
  readonly destroyed: boolean
  /** Its reader has seen that no field holds anything but visible ASCII and spaces. */
  readonly isPlain?: true
  /** What HTTP/2 says in its frames; absent on a message of HTTP/1. */
  readonly framed?: Framed
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end' | 'close', listener: () => void): unknown
  off(event: 'data', listener: (chunk: Buffer) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'end' | 'close', listener: () => void): unknown
  pause(): unknown
  resume(): unknown
  /** Takes nothing more of it: what carries it is cut, the stream of HTTP/2, the connection of HTTP/1. */
  destroy(): unknown
}

/** What a message says under a name in lower case: all lines of it as one value (RFC 9110 §5.3), undefined where there is none. */
export function fieldOf({ rawHeaders }: Pick<RequestMessage, 'rawHeaders'>, name: string): string | undefined {
  let value: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index] ?? ''
    if (given.length !== name.length || given.toLowerCase() !== name) continue
    const line = rawHeaders[index + 1] ?? ''
    value = value === undefined ? line : `${value}, ${line}`
  }
  return value
}

/** What the frames of an HTTP/2 request say. */
export interface Framed {
  /** The stream ended with the header fields: there is no body (RFC 9113 §8.1). */
  readonly bodyless: boolean
  /** Octets of the header fields, names and values. */
  readonly headBytes: number
  /** Why it cannot be read in one way only; for the log. Absent: it can. */
  readonly fault?: string
}

type Values = string | number | readonly string[]

/** An answer as it goes out. */
export interface AnswerMessage {
  readonly req: RequestMessage
  readonly headersSent: boolean
  readonly destroyed: boolean
  readonly writableEnded: boolean
  readonly writableFinished: boolean
  hasHeader(name: string): boolean
  /** Names in lower case of what was set. */
  getHeaderNames(): string[]
  /** What was set under a name. */
  getHeader(name: string): Values | undefined
  /** A field that the answer will have, whoever writes its head. */
  setHeader(name: string, value: Values): unknown
  /** The head, with what was set before; of a name that stands in both, `fields` counts. */
  writeHead(status: number, fields: string[] | Record<string, string | string[]>): unknown
  /** Passes an answer on that is not the final one (RFC 9110 §15.2). */
  writeInformation(status: number, fields: string[]): unknown
  writeContinue(): unknown
  addTrailers(fields: readonly [string, string][]): unknown
  write(chunk: string | Uint8Array, encoding: 'latin1'): boolean
  write(chunk: Uint8Array): boolean
  end(chunk?: string | Uint8Array): unknown
  end(chunk: string, encoding: 'latin1' | 'utf8'): unknown
  /** Cuts it, so that nobody takes it for whole. */
  destroy(): unknown
  on(event: 'close' | 'drain' | 'finish', listener: () => void): unknown
  once(event: 'close' | 'drain' | 'finish', listener: () => void): unknown
  off(event: 'close' | 'drain' | 'finish', listener: () => void): unknown
}
