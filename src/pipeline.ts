/**
 * The life of a request, on one page.
 *
 * Every request walks it, public ones and WebSocket handshakes too: anonymous is a principal, not a second path. Each step
 * takes what the step before proved, so that none can be left out.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Admitted, Arrived, Authenticated, Permitted, Routed, Unrevoked } from './exchange/exchange.ts'
import { Problem } from './problem/problem.ts'
import type { RequestRecord } from './telemetry/telemetry.ts'

/** What the pipeline asks of the rooms. */
export interface Rooms {
  readonly listener: {
    read(req: IncomingMessage): { readonly arrived: Arrived; readonly fault: Problem | undefined }
    refuse(res: ServerResponse, problem: Problem, requestId: string): void
    refuseSocket(socket: Duplex, problem: Problem, requestId: string): void
    discardRest(req: IncomingMessage): void
  }
  readonly router: { match(exchange: Arrived): Routed }
  readonly authenticator: { authenticate(exchange: Routed): Authenticated | Promise<Authenticated> }
  readonly revocation: { check(exchange: Authenticated): Unrevoked | Promise<Unrevoked> }
  readonly policy: { admit(exchange: Unrevoked): Permitted }
  readonly replay: { spend(exchange: Permitted): Admitted | Promise<Admitted> }
  readonly targets: {
    serve(exchange: Admitted, req: IncomingMessage, res: ServerResponse, record: RequestRecord): Promise<void>
    tunnel(exchange: Admitted, req: IncomingMessage, socket: Duplex, head: Buffer, record: RequestRecord): Promise<void>
  }
  readonly telemetry: { open(arrived: Arrived): RequestRecord; close(record: RequestRecord): void }
}

export interface Pipeline {
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
}

export function createPipeline(rooms: Rooms): Pipeline {
  const { listener, router, authenticator, revocation, policy, replay, targets, telemetry } = rooms
  return { handle, upgrade }

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { arrived, fault } = listener.read(req)
    const record = telemetry.open(arrived)
    try {
      if (fault !== undefined) throw fault
      await targets.serve(await walk(arrived, record), req, res, record)
    } catch (error) {
      listener.refuse(res, note(error, record), arrived.id)
    } finally {
      listener.discardRest(req)
      telemetry.close(record) // Every request ends here, once.
    }
  }

  async function upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { arrived, fault } = listener.read(req)
    const record = telemetry.open(arrived)
    try {
      if (fault !== undefined) throw fault
      await targets.tunnel(await walk(arrived, record), req, socket, head, record)
    } catch (error) {
      listener.refuseSocket(socket, note(error, record), arrived.id)
    } finally {
      telemetry.close(record)
    }
  }

  async function walk(arrived: Arrived, record: RequestRecord): Promise<Admitted> {
    const routed = router.match(arrived)
    record.exchange = routed
    const authenticated = await authenticator.authenticate(routed)
    record.exchange = authenticated
    const unrevoked = await revocation.check(authenticated)
    record.exchange = unrevoked
    const permitted = policy.admit(unrevoked)
    record.exchange = permitted
    const admitted = await replay.spend(permitted)
    record.exchange = admitted
    return admitted
  }

  function note(error: unknown, record: RequestRecord): Problem {
    const problem = Problem.from(error)
    record.problem = problem
    record.status = problem.status
    return problem
  }
}
