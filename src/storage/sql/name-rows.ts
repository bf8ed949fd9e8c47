/** What a transaction reads and writes about one username. */
import { sql } from 'kysely'
import type { Kysely, Transaction } from 'kysely'
import type { ClaimRefusal } from '../../services/accounts/accounts.ts'
import type { NameEvent, NameState, UsernameKey } from '../../services/usernames/store.ts'
import type { Tables } from './tables.ts'

/** Something that stands in the way of others. */
export interface Standing {
  readonly state: NameState
  /** Id of the account that has or had it; of a hold, the hash of its ticket. */
  readonly holder: string
  /** Absent: does not end by itself. */
  readonly expiresAt?: number
}

/** Whoever wants a name. */
export interface Claimant {
  readonly account: string
  readonly ticketHash?: string
  /** Whole seconds since 1970. */
  readonly now: number
}

/** All that is on record for a name, what is over included, as of one moment. */
export async function standingsOf(db: Kysely<Tables>, { tenant, folded }: UsernameKey): Promise<readonly Standing[]> {
  const rows = await db
    .selectFrom('accounts')
    .where('tenant_id', '=', tenant)
    .where('username_folded', '=', folded)
    .select([sql<NameState>`'taken'`.as('state'), 'id as holder', sql<number>`0`.as('expires_at')])
    .unionAll(
      db
        .selectFrom('username_holds')
        .where('tenant_id', '=', tenant)
        .where('username_folded', '=', folded)
        .select([sql<NameState>`'held'`.as('state'), 'ticket_hash as holder', 'expires_at']),
    )
    .unionAll(
      db
        .selectFrom('username_quarantine')
        .where('tenant_id', '=', tenant)
        .where('username_folded', '=', folded)
        .select([sql<NameState>`'quarantined'`.as('state'), 'former_owner as holder', 'expires_at']),
    )
    .execute()
  return rows.map(({ state, holder, expires_at: expiresAt }) => ({ state, holder, ...(state !== 'taken' && { expiresAt }) }))
}

/** Why the name is not for this claimant; undefined when it is. */
export function refusalOf(standings: readonly Standing[], claimant: Claimant): ClaimRefusal | undefined {
  const others = standings.filter((one) => isInTheWay(one, claimant)).map((one) => one.state)
  if (others.includes('taken')) return 'username_taken'
  if (others.includes('held')) return 'username_held'
  return others.includes('quarantined') ? 'username_quarantined' : undefined
}

function isInTheWay({ state, holder, expiresAt }: Standing, { account, ticketHash, now }: Claimant): boolean {
  if (expiresAt !== undefined && expiresAt <= now) return false
  return holder !== (state === 'held' ? ticketHash : account)
}

/** Takes away what a claim, or a new hold, puts an end to. */
export async function clear(db: Transaction<Tables>, name: UsernameKey, standings: readonly Standing[]): Promise<void> {
  for (const [state, table] of [
    ['held', 'username_holds'],
    ['quarantined', 'username_quarantine'],
  ] as const) {
    if (!standings.some((one) => one.state === state)) continue
    await db.deleteFrom(table).where('tenant_id', '=', name.tenant).where('username_folded', '=', name.folded).execute()
  }
}

export interface NewEvent extends UsernameKey {
  readonly event: NameEvent['event']
  readonly account?: string
  readonly shown?: string
}

/**
 * Appends to the history. The last thing that a transaction does: from here to its end it holds the row that gives out ids, so
 * that they become visible in their order.
 */
export async function record(db: Transaction<Tables>, events: readonly NewEvent[], now: number): Promise<void> {
  await db
    .updateTable('username_feed')
    .set(({ eb }) => ({ last_id: eb('last_id', '+', eb.lit(events.length)) }))
    .where('id', '=', theRow())
    .execute()
  const { last_id: last } = await db
    .selectFrom('username_feed')
    .select('last_id')
    .where('id', '=', theRow())
    .executeTakeFirstOrThrow()
  const rows = events.map((one, index) => ({
    id: last - events.length + index + 1,
    tenant_id: one.tenant,
    username_folded: one.folded,
    event: one.event,
    account_id: one.account ?? null,
    username: one.shown ?? null,
    recorded_at: now,
  }))
  await db.insertInto('username_history').values(rows).execute()
}

/** The only row of `username_feed`. */
function theRow() {
  return sql<number>`1`
}

const DAY_SECONDS = 86_400
const YEAR_SECONDS = 365 * DAY_SECONDS

export interface Released extends UsernameKey {
  readonly account: string
  /** Since when the account exists: a name that has no history is as old. */
  readonly accountSince: number
}

/** Keeps a name that was given up for its former owner: for half of the time they had it, a day at least and a year at most. */
export async function quarantine(db: Transaction<Tables>, released: Released, now: number): Promise<void> {
  const { tenant, folded, account } = released
  const claimed = await db
    .selectFrom('username_history')
    .select((eb) => eb.fn.max('recorded_at').as('at'))
    .where('tenant_id', '=', tenant)
    .where('username_folded', '=', folded)
    .where('event', '=', 'claimed')
    .executeTakeFirst()
  const ageSeconds = now - (claimed?.at ?? released.accountSince)
  const seconds = Math.min(Math.max(Math.floor(ageSeconds / 2), DAY_SECONDS), YEAR_SECONDS)
  const row = { tenant_id: tenant, username_folded: folded, former_owner: account, expires_at: now + seconds }
  await db.deleteFrom('username_quarantine').where('tenant_id', '=', tenant).where('username_folded', '=', folded).execute()
  await db.insertInto('username_quarantine').values(row).execute()
  await letGo(db, released)
}

/** Names in quarantine for one account: whoever changes their name all the time must not keep ever more of them from others. */
const KEPT = 10

/** Of more than so many, those that would end first. */
async function letGo(db: Transaction<Tables>, { tenant, account }: Released): Promise<void> {
  const beyond = await db
    .selectFrom('username_quarantine')
    .select('username_folded')
    .where('tenant_id', '=', tenant)
    .where('former_owner', '=', account)
    .orderBy('expires_at', 'desc')
    .limit((eb) => eb.lit(KEPT))
    .offset((eb) => eb.lit(KEPT))
    .execute()
  for (const { username_folded: folded } of beyond) {
    const one = db.deleteFrom('username_quarantine').where('tenant_id', '=', tenant).where('username_folded', '=', folded)
    await one.where('former_owner', '=', account).execute()
  }
}
