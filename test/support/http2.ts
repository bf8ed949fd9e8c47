/** A client of HTTP/2 that trusts any certificate, and the usual scene of an attack behind TLS. */
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { openScene, type Scene, type SceneOptions } from './attack.ts'
import { createAuthority, type Authority } from './authority.ts'

export interface Http2Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
  readonly trailers: Readonly<Record<string, string | string[] | undefined>>
  /** Statuses of the answers before the final one. */
  readonly interim: readonly number[]
  /** Code of the reset that ended the stream; 0 where it ended in order. */
  readonly code: number
  json(): Record<string, unknown>
}

export interface Http2Ask {
  readonly method?: string
  readonly path: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer
}

export interface Http2Client {
  readonly session: ClientHttp2Session
  ask(ask: Http2Ask): Promise<Http2Answer>
  close(): void
}

export async function openHttp2(
  port: number,
  options: { readonly certificate?: string; readonly key?: string } = {},
): Promise<Http2Client> {
  const session = connect(`https://127.0.0.1:${port}`, {
    servername: 'gateway.test',
    rejectUnauthorized: false,
    ...(options.certificate === undefined ? {} : { cert: options.certificate }),
    ...(options.key === undefined ? {} : { key: options.key }),
  })
  session.on('error', () => undefined)
  await new Promise<void>((resolve, reject) => {
    session.once('connect', () => resolve())
    session.once('error', reject)
  })
  return {
    session,
    ask({ method = 'GET', path, headers = {}, body }) {
      const head = { ':method': method, ':path': path, ':authority': 'gateway.test', ...headers }
      const stream = session.request(head, { endStream: body === undefined })
      if (body !== undefined) stream.end(body)
      return outcomeOf(stream)
    },
    close: () => session.destroy(),
  }
}

/** What came of a stream, once it is over. */
export function outcomeOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  return new Promise((resolve) => {
    let head: Http2Answer['headers'] = {}
    let trailers: Http2Answer['trailers'] = {}
    const interim: number[] = []
    const chunks: Buffer[] = []
    stream.on('headers', (fields) => interim.push(Number(fields[':status'])))
    stream.on('response', (fields) => {
      head = fields
    })
    stream.on('trailers', (fields) => {
      trailers = fields
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', () => undefined)
    stream.on('close', () => {
      const body = Buffer.concat(chunks).toString('utf8')
      resolve({
        status: Number(head[':status'] ?? 0),
        headers: head,
        body,
        trailers,
        interim,
        code: stream.rstCode ?? 0,
        json: () => JSON.parse(body) as Record<string, unknown>,
      })
    })
  })
}

export interface TlsScene extends Scene {
  readonly authority: Authority
}

/** As `openScene`, with TLS for `gateway.test`. `tls` are further keys of it, as YAML in a flow mapping. */
export async function openTlsScene({ tls = '', ...options }: SceneOptions & { readonly tls?: string } = {}): Promise<TlsScene> {
  const authority = createAuthority()
  const { certificate, key } = authority.server(['gateway.test'])
  const scene = await openScene({
    ...options,
    listener: `    tls: { certificate: cert.pem, key: key.pem${tls === '' ? '' : `, ${tls}`} }\n${options.listener ?? ''}`,
    files: { 'cert.pem': certificate, 'key.pem': key, 'ca.pem': authority.certificate, ...options.files },
  })
  return { ...scene, authority }
}

/** A TLS connection that speaks HTTP/1.1 and sends these octets; everything that comes back until it is closed. */
export function sendTls(
  port: number,
  octets: string,
  options: { readonly servername?: string; readonly certificate?: string; readonly key?: string; readonly port?: number } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket: TLSSocket = connectTls(
      {
        port,
        host: '127.0.0.1',
        servername: options.servername ?? 'gateway.test',
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
        ...(options.certificate === undefined ? {} : { cert: options.certificate }),
        ...(options.key === undefined ? {} : { key: options.key }),
      },
      () => socket.write(octets, 'latin1'),
    )
    socket.setTimeout(8000, () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    socket.on('close', () => resolve(received))
  })
}
