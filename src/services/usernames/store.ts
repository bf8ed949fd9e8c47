/** What the usernames service asks of whoever keeps names. Storage implements it. */

/** A name within a tenant, in the forms in which it is compared. Usernames are ASCII, so folding is lower case. */
export interface UsernameKey {
  readonly tenant: string
  /** Lower case: unique within the tenant. */
  readonly folded: string
}

/**
 * Why a name cannot be had now. `held`: somebody has a ticket for it; `quarantined`: given up lately, only its former owner may
 * have it back.
 */
export type NameState = 'taken' | 'held' | 'quarantined'

/** Something that happened to a name, in the order in which it was recorded. */
export interface NameEvent {
  /** Grows with each event. Events become visible in this order: who has seen one has seen all before it. */
  readonly id: number
  readonly tenant: string
  readonly folded: string
  readonly event: 'claimed' | 'released' | 'held'
  /** Whole seconds since 1970. */
  readonly at: number
}

/** A place for a name, until it expires or is redeemed. */
export interface Hold extends UsernameKey {
  /** SHA-256 of the ticket, base64url: the store cannot redeem it. */
  readonly ticketHash: string
  /** Whole seconds since 1970. */
  readonly expiresAt: number
}

/** Each method does all or nothing, or rejects with `storage_unavailable`. Times are whole seconds since 1970. */
export interface UsernameStore {
  /** States of those of the names that cannot be had by just anyone; the others are absent. One query for all of them. */
  statesOf(tenant: string, folded: readonly string[], now: number): Promise<ReadonlyMap<string, NameState>>
  /**
   * Holds a name that is neither taken, held by another ticket nor quarantined; of several at once one wins. A ticket that is
   * there already moves to the new name.
   */
  hold(hold: Hold, now: number): Promise<'granted' | NameState>
  /**
   * Every name of all tenants that is taken, held or quarantined, what is over and not swept yet included, in pages, for a filter;
   * at least one page. `tail`: the last event as of the beginning, the same on every page.
   */
  allNames(): AsyncIterable<{ readonly tail: number; readonly names: readonly UsernameKey[] }>
  /** Events after `id`, oldest first, at most `limit`. */
  eventsAfter(id: number, limit: number): Promise<readonly NameEvent[]>
  /** Takes away holds and quarantines that are over. Returns the names that are free again by it. */
  sweep(now: number, limit: number): Promise<readonly UsernameKey[]>
}
