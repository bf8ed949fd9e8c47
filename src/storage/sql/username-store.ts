import type { Hold, NameEvent, NameState, UsernameKey, UsernameStore } from '../../services/usernames/store.ts'
import { SqlFailure } from './failure.ts'
import type { Guard } from './guard.ts'
import type { LookUp } from './look-up.ts'
import { clear, record, refusalOf, standingsOf } from './name-rows.ts'

/** Names that one statement of a page asks for. */
const PAGE = 2_000

/** Names that are taken, held or in quarantine, and what happened to them. */
export function createUsernameStore(guard: Guard, lookUp: LookUp): UsernameStore {
  return { statesOf: lookUp, hold, allNames, eventsAfter, sweep }

  async function hold(wanted: Hold, now: number): Promise<'granted' | NameState> {
    try {
      return await guard.write(async (db) => {
        const standings = await standingsOf(db, wanted)
        // No account: even the former owner of a name in quarantine claims it without a hold.
        const refusal = refusalOf(standings, { account: '', ticketHash: wanted.ticketHash, now })
        if (refusal !== undefined) return STATES[refusal]
        await clear(db, wanted, standings)
        await db.deleteFrom('username_holds').where('ticket_hash', '=', wanted.ticketHash).execute()
        const { tenant, folded, ticketHash, expiresAt } = wanted
        const row = { tenant_id: tenant, username_folded: folded, ticket_hash: ticketHash, expires_at: expiresAt }
        await db.insertInto('username_holds').values(row).execute()
        await record(db, [{ tenant, folded, event: 'held' }], now)
        return 'granted'
      })
    } catch (error) {
      // Somebody else's hold of this name, or this ticket's of another name, came in between.
      if (error instanceof SqlFailure && error.kind === 'duplicate') return 'held'
      throw error
    }
  }

  async function* allNames(): ReturnType<UsernameStore['allNames']> {
    const { last_id: tail } = await guard.read((db) => db.selectFrom('username_feed').select('last_id').executeTakeFirstOrThrow())
    for (const table of ['accounts', 'username_holds', 'username_quarantine'] as const) {
      for await (const names of namesIn(table)) yield { tail, names }
    }
    // Whoever asks learns the position also where there is no name.
    yield { tail, names: [] }
  }

  /** By tenant, since a condition on one column is all that every database finds its place in an index by. */
  async function* namesIn(table: NameTable): AsyncIterable<readonly UsernameKey[]> {
    let tenant = await nextTenant(table, '')
    while (tenant !== undefined) {
      let after = ''
      for (;;) {
        const folded = await page(table, { tenant, folded: after })
        if (folded.length > 0) yield folded.map((one) => ({ tenant: tenant ?? '', folded: one }))
        after = folded.at(-1) ?? ''
        if (folded.length < PAGE) break
      }
      tenant = await nextTenant(table, tenant)
    }
  }

  async function nextTenant(table: NameTable, after: string): Promise<string | undefined> {
    const first = await guard.read((db) =>
      db
        .selectFrom(table)
        .select((eb) => eb.fn.min('tenant_id').as('tenant'))
        .where('tenant_id', '>', after)
        .executeTakeFirst(),
    )
    return first?.tenant ?? undefined
  }

  async function page(table: NameTable, after: UsernameKey): Promise<readonly string[]> {
    const rows = await guard.read((db) => {
      const names = db
        .selectFrom(table)
        .select('username_folded')
        .where('tenant_id', '=', after.tenant)
        .where('username_folded', '>', after.folded)
        .orderBy('username_folded')
        .limit((eb) => eb.lit(PAGE))
      return names.execute()
    })
    return rows.flatMap(({ username_folded: folded }) => (folded === null ? [] : [folded]))
  }

  async function eventsAfter(id: number, limit: number): Promise<readonly NameEvent[]> {
    const rows = await guard.read((db) =>
      db
        .selectFrom('username_history')
        .select(['id', 'tenant_id', 'username_folded', 'event', 'recorded_at'])
        .where('id', '>', id)
        .orderBy('id')
        .limit((eb) => eb.lit(Math.trunc(limit)))
        .execute(),
    )
    return rows.map((row) => ({
      id: row.id,
      tenant: row.tenant_id,
      folded: row.username_folded,
      event: row.event,
      at: row.recorded_at,
    }))
  }

  async function sweep(now: number, limit: number): Promise<readonly UsernameKey[]> {
    const swept = await guard.write(async (db) => {
      const over: UsernameKey[] = []
      for (const table of ['username_holds', 'username_quarantine'] as const) {
        const rows = await db
          .selectFrom(table)
          .select(['tenant_id', 'username_folded'])
          .where('expires_at', '<=', now)
          .orderBy('expires_at')
          .limit((eb) => eb.lit(Math.max(0, Math.trunc(limit) - over.length)))
          .execute()
        for (const { tenant_id: tenant, username_folded: folded } of rows) {
          const one = db.deleteFrom(table).where('tenant_id', '=', tenant).where('username_folded', '=', folded)
          const { numDeletedRows } = await one.where('expires_at', '<=', now).executeTakeFirst()
          if (numDeletedRows > 0n) over.push({ tenant, folded })
        }
      }
      return over
    })
    return freeOf(swept, now)
  }

  /** Those that nobody else has or holds. */
  async function freeOf(names: readonly UsernameKey[], now: number): Promise<readonly UsernameKey[]> {
    const free: UsernameKey[] = []
    for (const [tenant, folded] of byTenant(names)) {
      const states = await lookUp(tenant, [...folded], now)
      for (const one of folded) if (!states.has(one)) free.push({ tenant, folded: one })
    }
    return free
  }
}

type NameTable = 'accounts' | 'username_holds' | 'username_quarantine'

const STATES = { username_taken: 'taken', username_held: 'held', username_quarantined: 'quarantined' } as const

function byTenant(names: readonly UsernameKey[]): ReadonlyMap<string, ReadonlySet<string>> {
  const tenants = new Map<string, Set<string>>()
  for (const { tenant, folded } of names) {
    const known = tenants.get(tenant)
    if (known === undefined) tenants.set(tenant, new Set([folded]))
    else known.add(folded)
  }
  return tenants
}
