import { createHash } from 'node:crypto'

/** How long a name is kept for whoever has the ticket, seconds. */
export const HOLD_SECONDS = 300

const TICKET = 'gwh_'
const TICKET_BYTES = 24
const TICKET_CHARACTERS = TICKET.length + 32
/** Tickets that this gateway remembers having given out. */
const TICKETS = 50_000
const EVICTED = TICKETS / 10

export interface Tickets {
  /**
   * A new one, or this one again where it is one of ours and lives: for what is left of its time, so that nobody keeps names by
   * asking again and again.
   */
  issue(known: string | undefined): Ticket
  /** Hash of a ticket that this gateway gave out and that lives; undefined of anything else. */
  find(ticket: string | undefined): string | undefined
}

export interface Ticket {
  readonly ticket: string
  /** Until it ends, whole seconds. */
  readonly seconds: number
}

export interface TicketsNeeds {
  monotonicMs(): number
  randomBytes(size: number): Buffer
}

/** Tickets of holds. Only their hashes are kept. */
export function createTickets(needs: TicketsNeeds): Tickets {
  const untilMs = new Map<string, number>()
  return { issue, find }

  function issue(known: string | undefined): Ticket {
    const hash = find(known)
    const leftMs = (untilMs.get(hash ?? '') ?? 0) - needs.monotonicMs()
    if (known !== undefined && leftMs >= 1_000) return { ticket: known, seconds: Math.floor(leftMs / 1_000) }
    const ticket = `${TICKET}${needs.randomBytes(TICKET_BYTES).toString('base64url')}`
    untilMs.set(hashOf(ticket), needs.monotonicMs() + HOLD_SECONDS * 1_000)
    if (untilMs.size > TICKETS) for (const oldest of untilMs.keys().take(EVICTED)) untilMs.delete(oldest)
    return { ticket, seconds: HOLD_SECONDS }
  }

  function find(ticket: string | undefined): string | undefined {
    if (ticket?.length !== TICKET_CHARACTERS || !ticket.startsWith(TICKET)) return undefined
    const hash = hashOf(ticket)
    const end = untilMs.get(hash)
    return end !== undefined && needs.monotonicMs() < end ? hash : undefined
  }
}

/** What the store knows of a ticket. Of any text: a ticket that nobody gave out redeems nothing. */
export function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64url')
}
