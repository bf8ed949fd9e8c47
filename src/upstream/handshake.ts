import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { ServerOptions } from 'http-proxy-3'
import type { Admitted } from '../exchange/exchange.ts'
import { answerFields } from './answer-headers.ts'
import { linesOf } from './dispatch-foreign.ts'
import type { Destination } from './destination.ts'
import type { ForwardRecord } from './upstream.ts'

type OutgoingFields = Record<string, string | string[]>

const DEFAULT_PORTS = { http: 80, https: 443 } as const

/** How the library reaches an upstream. */
export function tunnelOptions(to: Destination): ServerOptions {
  const { tls, timeouts } = to.upstream
  const { url } = to
  return {
    target: {
      protocol: url.protocol,
      host: url.host,
      hostname: to.address ?? url.hostname,
      port: url.port === '' ? DEFAULT_PORTS[url.protocol === 'https:' ? 'https' : 'http'] : Number(url.port),
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
    },
    secure: tls.verify,
    // Otherwise the name would be taken from the Host field, which is the client's under `host: preserve`.
    ssl: { servername: to.tlsName },
    connectTimeout: timeouts.connectMs,
    // The path is canonical already and must arrive to the letter: the library would parse and print it once more.
    toProxy: true,
    prependPath: false,
  }
}

export function requestHeaders(fields: readonly string[], to: Destination, exchange: Admitted): OutgoingFields {
  const headers = asObject(fields)
  const { host, hostName } = exchange.route
  headers['host'] = hostName ?? (host === 'preserve' ? exchange.authority : to.url.host)
  headers['connection'] = 'Upgrade'
  headers['upgrade'] = 'websocket'
  return headers
}

/** Fields as the library takes them: lower-case names; repeated fields stay repeated. */
function asObject(fields: readonly string[]): OutgoingFields {
  const headers: OutgoingFields = Object.create(null)
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase()
    const value = fields[index + 1] ?? ''
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  return headers
}

/** The fields that the client gets (RFC 9110 §7.6.1); `connection` and `upgrade` are ours. */
export function cleanAnswer(answer: IncomingMessage, exchange: Admitted, connection: 'Upgrade' | 'close'): void {
  const head = { status: answer.statusCode ?? 502, headers: linesOf(answer.headers) }
  const headers = asObject(answerFields(head, exchange.route.responseHeaders, exchange.id).fields)
  if (connection === 'Upgrade') headers['upgrade'] = 'websocket'
  headers['connection'] = connection
  answer.headers = headers
}

/** The library neither waits for a slow client nor notices an answer that is cut short. */
export function paceAnswer(answer: IncomingMessage, client: Socket, stallMs: number, record: ForwardRecord): void {
  answer.on('data', (chunk: Buffer) => {
    record.bytesOut += chunk.length
    if (client.writableNeedDrain) answer.pause()
  })
  client.on('drain', () => answer.resume())
  client.on('close', () => answer.destroy())
  client.setTimeout(stallMs, () => client.destroy())
  answer.on('close', () => {
    if (answer.complete) return
    record.aborted = true
    client.destroy()
  })
}
