import { tenantOf } from './access-line.ts'
import { PROBLEMS } from '../problem/problem.ts'
import type { ProblemKind } from '../problem/problem.ts'
import { NONE } from './names.ts'
import type { RequestRecord } from './record.ts'
import { redact } from './redact.ts'

/** A request that was refused, for operators: nothing of its token, its query or its headers. */
export interface Refusal {
  /** One more than that of the refusal before it in this process. */
  readonly seq: number
  /** Milliseconds since 1970. */
  readonly at: number
  readonly request_id: string
  readonly method: string
  readonly host: string
  /** Without its query; at most 256 characters. */
  readonly path: string
  /** `none` where none was found. */
  readonly route: string
  readonly tenant?: string
  readonly user?: string
  /** Address of the client. */
  readonly client: string
  readonly status: number
  /** Stable code of the answer. */
  readonly error: string
  /** Row of the table of problems. */
  readonly problem: string
  /** What the client was told; at most 256 characters. */
  readonly description: string
  /** Why, as in the log; at most 256 characters. */
  readonly detail?: string
}

export interface Refusals {
  /** Overwrites the oldest one; makes no object. A record without a problem is left alone. */
  add(record: RequestRecord, status: number, nowMs: number): void
  /** Those that were not taken before, oldest first: of the last ones. */
  take(): readonly Refusal[]
}

/** As many as an operator looks through. */
const KEPT = 200
const CHARACTERS = 256

interface Slot {
  seq: number
  at: number
  requestId: string
  method: string
  host: string
  path: string
  route: string
  tenant: string | undefined
  user: string | undefined
  client: string
  status: number
  error: string
  problem: ProblemKind
  description: string | undefined
  detail: string | undefined
}

/** The last refusals, in places that are made once: a flood of them costs a few writes each. */
export function createRefusals(): Refusals {
  const slots = Array.from({ length: KEPT }, emptySlot)
  let last = 0
  let taken = 0
  return { add, take }

  function add(record: RequestRecord, status: number, nowMs: number): void {
    const slot = slots[last % KEPT]
    if (slot === undefined || record.problem === undefined) return
    const { exchange } = record
    last += 1
    slot.seq = last
    slot.at = nowMs
    slot.requestId = exchange.id
    slot.method = exchange.method
    slot.host = exchange.host
    slot.path = 'path' in exchange ? exchange.path : exchange.target
    slot.route = 'route' in exchange ? exchange.route.name : NONE
    slot.tenant = tenantOf(exchange)
    slot.user = 'principal' in exchange && exchange.principal.kind === 'identified' ? exchange.principal.user : undefined
    slot.client = exchange.client
    slot.status = status
    slot.error = record.problem.error
    slot.problem = record.problem.kind
    slot.description = record.problem.facts.description
    // Not the problem itself: its cause may hold a whole connection.
    slot.detail = record.problem.facts.detail
  }

  function take(): readonly Refusal[] {
    const found: Refusal[] = []
    for (let number = Math.max(taken, last - KEPT); number < last; number += 1) {
      const slot = slots[number % KEPT]
      if (slot !== undefined) found.push(shown(slot))
    }
    taken = last
    return found
  }
}

function emptySlot(): Slot {
  return {
    seq: 0,
    at: 0,
    requestId: '',
    method: '',
    host: '',
    path: '',
    route: NONE,
    tenant: undefined,
    user: undefined,
    client: '',
    status: 0,
    error: '',
    problem: 'internal_error',
    description: undefined,
    detail: undefined,
  }
}

function shown({ requestId, description, detail, tenant, user, path, host, ...rest }: Slot): Refusal {
  return {
    ...rest,
    request_id: requestId,
    host: short(host),
    path: short(withoutQuery(path)),
    // Those of the table are ours: `Bearer <token>` in one of them is no token.
    description: description === undefined ? PROBLEMS[rest.problem].description : short(description),
    ...(tenant !== undefined && { tenant }),
    ...(user !== undefined && { user: short(user) }),
    ...(detail !== undefined && { detail: short(detail) }),
  }
}

/** Tokens hide in queries and fragments, and one that is cut in two may not be known as one. */
function short(text: string): string {
  return redact(text.slice(0, CHARACTERS * 8)).slice(0, CHARACTERS)
}

function withoutQuery(target: string): string {
  const end = target.search(/[?#]/)
  return end === -1 ? target : target.slice(0, end)
}
