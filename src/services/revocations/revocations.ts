/**
 * Tells services what was revoked, so that they can refuse tokens themselves and need no access to the storage.
 *
 * A client gets the whole first, and from then on what came after the position that it was given; it may wait for news, and every
 * answer says how old it is. A client learns of its own tenant alone. This service reads and never writes, says of nobody more than an
 * id, and never takes what it does not know for «nothing was revoked».
 *
 * @module
 */
import type { Admitted } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import type { Client, Clients } from '../clients/clients.ts'
import type { Answer, Service } from '../services.ts'
import { bodyOf, linesOf, positionIn, type Lines, type RevokedFact } from './lines.ts'
import { createTail } from './tail.ts'

export type { FeedHeading } from './lines.ts'

/** A stretch of the log, as storage reads it. */
export interface RevokedSlice {
  /** Where to read on from; any gateway on the same storage knows it. */
  readonly position: string
  readonly revocations: readonly RevokedFact[]
  /** Whether the end of the log was reached. */
  readonly complete: boolean
  /** The log cannot go on from the position that was asked for: the whole has to be read again. */
  readonly isRestart?: true
  /** How old the answer was when it was given. */
  readonly lagMs?: number
}

/** What this gateway knows of the revocations, and the log behind it. */
export interface RevokedSource {
  /** Where this gateway is in the log; undefined before it has read anything. */
  position(): string | undefined
  /** Age of what is known here; infinite before anything is. */
  stalenessMs(): number
  /** All that is alive, page by page; others may have their turn in between. */
  pages(): Iterable<readonly RevokedFact[]>
  /** Rejects when the log cannot be read. */
  readAfter(position: string): Promise<RevokedSlice>
  /** Tells of each that is new here; returns the way to stop that. */
  onRevoked(listener: (revocation: RevokedFact) => void): () => void
}

export interface RevocationsNeeds {
  readonly clients: Pick<Clients, 'authenticate'>
  readonly source: RevokedSource
  /** Monotonic, milliseconds. */
  nowMs(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
}

const READ = 'revocations:read'
const LONGEST_POSITION = 4_096
const LONGEST_WAIT_MS = 5_000
const TYPE = { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' } as const
/** Work on one answer stops so often for others. */
const TURN_MS = 10

export function createRevocationFeed(needs: RevocationsNeeds): Service<'revocations'> {
  const tail = createTail(needs)
  const { source, nowMs } = needs
  /** Whole answers that are being made, by tenant: who comes meanwhile gets the same. */
  const making = new Map<string, Promise<Answer>>()
  return { name: 'revocations', endpoints: { read: { handle: ({ admitted }) => read(admitted) } } }

  async function read(admitted: Admitted): Promise<Answer> {
    const client = await needs.clients.authenticate(admitted)
    if (!client.scopes.includes(READ)) throw new Problem('insufficient_scope', { scope: READ })
    const asked = askedIn(admitted.query)
    return asked.after === undefined ? whole(client) : since(client, asked.after, asked.waitMs)
  }

  async function since({ tenant }: Client, after: string, waitMs: number): Promise<Answer> {
    const slice = await tail.read({ tenant, after, waitMs })
    const kind = slice.isRestart === true ? 'restart' : 'tail'
    const { position, complete, lagMs = 0 } = slice
    return { status: 200, headers: TYPE, body: bodyOf({ kind, tenant, position, complete, lagMs }, [linesOf(slice.revocations)]) }
  }

  function whole({ tenant }: Client): Promise<Answer> {
    const known = making.get(tenant)
    if (known !== undefined) return known
    const made = makeWhole(tenant)
    making.set(tenant, made)
    const forget = (): void => void making.delete(tenant)
    made.then(forget, forget)
    return made
  }

  /** One body for all who wait for it: there may be many, each of them slow, and of a million revocations it is 60 MB. */
  async function makeWhole(tenant: string): Promise<Answer> {
    const startedMs = nowMs()
    // The position first: what is told while the pages are read is told again from there.
    const [position, lagMs] = [source.position(), source.stalenessMs()]
    if (position === undefined || !Number.isFinite(lagMs)) throw new Problem('revocation_unavailable', RETRY_SOON)
    const pages: Lines[] = []
    let turnMs = nowMs()
    for (const page of source.pages()) {
      const own = page.filter((one) => one.tenant === tenant)
      if (own.length > 0) pages.push(linesOf(own))
      if (nowMs() - turnMs < TURN_MS) continue
      await new Promise<void>((resolve) => void needs.schedule(0, resolve))
      turnMs = nowMs()
    }
    // As old as it is to who came last.
    const facts = { kind: 'whole', tenant, position, complete: true, lagMs: lagMs + nowMs() - startedMs } as const
    return { status: 200, headers: TYPE, body: bodyOf(facts, pages) }
  }
}

const RETRY_SOON = { headers: { 'retry-after': '1' } } as const

interface Asked {
  readonly after: string | undefined
  readonly waitMs: number
}

/** @throws Problem `invalid_request` for what is not understood: a reader that is misunderstood would miss revocations */
function askedIn(query: string): Asked {
  const parameters = new URLSearchParams(query)
  const names = [...parameters.keys()]
  const [after, wait] = [parameters.get('after') ?? undefined, parameters.get('wait_ms') ?? undefined]
  const isKnown = names.every((name) => name === 'after' || name === 'wait_ms') && new Set(names).size === names.length
  const isGood = (after === undefined || isPosition(after)) && (wait === undefined || /^\d{1,4}$/.test(wait))
  if (!isKnown || !isGood || (after === undefined && wait !== undefined)) {
    throw new Problem('invalid_request', {
      description: `Send nothing, or after, a position that you were given, and wait_ms, up to ${LONGEST_WAIT_MS}.`,
    })
  }
  return { after: after === undefined ? undefined : positionIn(after), waitMs: Math.min(Number(wait ?? 0), LONGEST_WAIT_MS) }
}

function isPosition(text: string): boolean {
  return text !== '' && text.length <= LONGEST_POSITION
}
