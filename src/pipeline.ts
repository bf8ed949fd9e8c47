/**
 * The life of a request, on one page.
 *
 * Every request walks it, public ones and WebSocket handshakes too: anonymous is a principal, not a second path. Each step
 * takes what the step before proved, so that none can be left out.
 *
 * @module
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { AnswerMessage, RequestMessage } from './exchange/exchange.ts'
import type {
  Admitted,
  Arrived,
  Authenticated,
  Counted,
  Entered,
  Paced,
  Permitted,
  Routed,
  Unrevoked,
} from './exchange/exchange.ts'
import type { Place } from './overload/overload.ts'
import { Problem } from './problem/problem.ts'
import type { RequestRecord } from './telemetry/telemetry.ts'

/** What the pipeline asks of the rooms. */
export interface Rooms {
  readonly listener: {
    read(req: RequestMessage): { readonly arrived: Arrived; readonly fault: Problem | undefined }
    refuse(res: AnswerMessage, problem: Problem, requestId: string, announced: RequestRecord['announced']): void
    refuseSocket(socket: Duplex, problem: Problem, requestId: string): void
    discardRest(req: RequestMessage): void
  }
  readonly router: { match(exchange: Arrived): Routed }
  readonly cors: { announce(exchange: Routed, res: AnswerMessage): void }
  readonly networks: { admit(exchange: Routed): Entered }
  readonly overload: {
    place(): Place
    enter(place: Place, exchange: Routed): void
    claim(place: Place, exchange: Authenticated): void
    leave(place: Place): void
  }
  readonly quota: {
    arrive(exchange: Entered, reply?: Pick<RequestRecord, 'announced'>): Paced | Promise<Paced>
    spend(exchange: Permitted, reply?: Pick<RequestRecord, 'announced'>): Counted | Promise<Counted>
  }
  readonly authenticator: { authenticate(exchange: Paced): Authenticated | Promise<Authenticated> }
  readonly revocation: { check(exchange: Authenticated): Unrevoked | Promise<Unrevoked> }
  readonly policy: { admit(exchange: Unrevoked): Permitted }
  readonly replay: { spend(exchange: Counted): Admitted | Promise<Admitted> }
  readonly targets: {
    serve(exchange: Admitted, req: RequestMessage, res: AnswerMessage, record: RequestRecord): Promise<void>
    tunnel(exchange: Admitted, req: IncomingMessage, socket: Duplex, head: Buffer, record: RequestRecord): Promise<void>
  }
  readonly telemetry: { open(arrived: Arrived): RequestRecord; close(record: RequestRecord): void }
}

export interface Pipeline {
  handle(req: RequestMessage, res: AnswerMessage): Promise<void>
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>
}

export function createPipeline(rooms: Rooms): Pipeline {
  const { listener, overload, targets, telemetry } = rooms
  const walk = createWalk(rooms)
  return { handle, upgrade }

  async function handle(req: RequestMessage, res: AnswerMessage): Promise<void> {
    const { arrived, fault } = listener.read(req)
    const record = telemetry.open(arrived)
    const place = overload.place()
    try {
      if (fault !== undefined) throw fault
      await targets.serve(await walk(arrived, record, place, res), req, res, record)
    } catch (error) {
      listener.refuse(res, note(error, record), arrived.id, record.announced)
    } finally {
      listener.discardRest(req)
      overload.leave(place)
      telemetry.close(record) // Every request ends here, once.
    }
  }

  async function upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { arrived, fault } = listener.read(req)
    const record = telemetry.open(arrived)
    const place = overload.place()
    try {
      if (fault !== undefined) throw fault
      const admitted = await walk(arrived, record, place)
      overload.leave(place) // What a WebSocket takes up from here on is its connection.
      await targets.tunnel(admitted, req, socket, head, record)
    } catch (error) {
      listener.refuseSocket(socket, note(error, record), arrived.id)
    } finally {
      overload.leave(place)
      telemetry.close(record)
    }
  }

  function note(error: unknown, record: RequestRecord): Problem {
    const problem = Problem.from(error)
    record.problem = problem
    record.status = problem.status
    return problem
  }
}

/** The steps between the listener and the targets. */
export type Steps = Omit<Rooms, 'listener' | 'targets' | 'telemetry'>

/** @throws Problem of the step that refuses; `record.exchange` is how far it got */
export type Walk = (
  arrived: Arrived,
  record: Pick<RequestRecord, 'exchange' | 'announced'>,
  place: Place,
  res?: AnswerMessage,
) => Promise<Admitted>

/** What every request walks, in this order. Only a step that has to wait is waited for: each `await` costs as much as a step. */
export function createWalk(steps: Steps): Walk {
  const { router, cors, networks, overload, quota, authenticator, revocation, policy, replay } = steps
  return async function walk(arrived, record, place, res) {
    const routed = router.match(arrived)
    record.exchange = routed
    if (res !== undefined) cors.announce(routed, res)
    overload.enter(place, routed)
    const entered = networks.admit(routed)
    const pacing = quota.arrive(entered, record)
    const paced = isPending(pacing) ? await pacing : pacing
    const authenticating = authenticator.authenticate(paced)
    const authenticated = isPending(authenticating) ? await authenticating : authenticating
    record.exchange = authenticated
    overload.claim(place, authenticated)
    const checking = revocation.check(authenticated)
    const unrevoked = isPending(checking) ? await checking : checking
    record.exchange = unrevoked
    const permitted = policy.admit(unrevoked)
    record.exchange = permitted
    const counting = quota.spend(permitted, record)
    const counted = isPending(counting) ? await counting : counting
    const spending = replay.spend(counted)
    const admitted = isPending(spending) ? await spending : spending
    record.exchange = admitted
    return admitted
  }
}

/** By a type of its own, since `instanceof` alone would let anything through that is no step's result. */
function isPending<T>(result: T | Promise<T>): result is Promise<T> {
  return result instanceof Promise
}
