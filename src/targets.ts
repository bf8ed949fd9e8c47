/**
 * The last step of the path: hands an admitted request to what its route names, an upstream or a built-in service.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Cors } from './cors/cors.ts'
import type { Admitted, AnswerMessage, RequestMessage } from './exchange/exchange.ts'
import type { Identity } from './identity/identity.ts'
import { isHandshake, readBody, refuseSocket, writeAnswer } from './listener/listener.ts'
import { Problem } from './problem/problem.ts'
import type { Services } from './services/services.ts'
import type { Split } from './split/split.ts'
import type { ForwardRecord, Upstreams } from './upstream/upstream.ts'

export interface TargetRooms {
  readonly cors: Pick<Cors, 'preflight'>
  readonly split: Split
  readonly identity: Identity
  readonly upstreams: Upstreams
  readonly services: Services
}

export interface Targets {
  /** @throws Problem while nothing was answered, or rejects with one */
  serve(exchange: Admitted, req: RequestMessage, res: AnswerMessage, record: ForwardRecord): Promise<void>
  /** @throws Problem before the handshake is answered */
  tunnel(exchange: Admitted, req: IncomingMessage, socket: Duplex, head: Buffer, record: ForwardRecord): Promise<void>
}

const NO_BODY = Promise.resolve(Buffer.alloc(0))

export function createTargets({ cors, split, identity, upstreams, services }: TargetRooms): Targets {
  return { serve, tunnel }

  function serve(admitted: Admitted, req: RequestMessage, res: AnswerMessage, record: ForwardRecord): Promise<void> {
    const exchange = split.choose(admitted)
    const { route, bodyLength } = exchange
    if (bodyLength !== undefined && bodyLength > route.bodyBytes) throw new Problem('payload_too_large')
    if (exchange.expectsContinue && bodyLength !== 0) res.writeContinue()
    if (route.target.kind !== 'upstream') return answer(exchange, req, res, record)
    return upstreams.forward(exchange, identity.forwarded(exchange), { req, res }, record)
  }

  /** What the gateway itself answers. */
  async function answer(exchange: Admitted, req: RequestMessage, res: AnswerMessage, record: ForwardRecord): Promise<void> {
    const { route, bodyLength } = exchange
    if (route.target.kind === 'preflight') {
      const permissions = cors.preflight(exchange)
      record.status = permissions.status
      writeAnswer(res, permissions, exchange.id, record.announced)
      return
    }
    const given = await services.serve(exchange, {
      readBody: (limit) => (bodyLength === 0 ? NO_BODY : readBody(req, limit, record)),
      forwardedHeaders: () => identity.outgoing(exchange),
    })
    record.status = given.status
    record.bytesOut = given.body === undefined ? 0 : Buffer.byteLength(given.body)
    writeAnswer(res, given, exchange.id, record.announced)
  }

  async function tunnel(
    admitted: Admitted,
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    record: ForwardRecord,
  ): Promise<void> {
    const exchange = split.choose(admitted)
    const { route } = exchange
    if (!route.websocket || route.target.kind !== 'upstream' || exchange.bodyLength !== 0) {
      throw new Problem('invalid_request', { description: 'This resource takes no WebSocket.' })
    }
    if (!isHandshake(req))
      throw new Problem('upgrade_refused', { headers: { 'sec-websocket-version': '13', upgrade: 'websocket' } })
    const refuse = (problem: Problem): void => refuseSocket(socket, problem, exchange.id)
    await upstreams.tunnel(exchange, identity.outgoing(exchange), { req, socket, head, refuse }, record)
  }
}
