import type { CompiledQuery, Kysely, Selectable, Transaction } from 'kysely'
import type { Account, AccountStore, NewAccountOutcome, ProfileChange, ProfileOutcome } from '../../services/accounts/accounts.ts'
import { isDuplicate } from './failure.ts'
import type { Guard } from './guard.ts'
import type { NewEvent, Standing } from './name-rows.ts'
import { clear, quarantine, record, refusalOf, standingsOf } from './name-rows.ts'
import type { Tables } from './tables.ts'

type Row = Selectable<Tables['accounts']>
type LookedUp = 'id' | 'email_folded' | 'username_folded'

/** Accounts by tenant, e-mail and username. */
export function createAccountStore(guard: Guard, locksRows: boolean): AccountStore {
  const lookUps = new Map<LookedUp, CompiledQuery<Row>>()
  return {
    create,
    findById: (tenant, id) => find('id', tenant, id),
    findByEmail: (tenant, folded) => find('email_folded', tenant, folded),
    findByUsername: (tenant, folded) => find('username_folded', tenant, folded),
    async setStatus(tenant, id, status) {
      if (!isStorable(id)) return false
      return guard.write(async (db) => {
        const found = db.updateTable('accounts').set({ status }).where('tenant_id', '=', tenant).where('id', '=', id)
        return (await found.executeTakeFirst()).numUpdatedRows > 0n
      })
    },
    updateProfile,
    async replacePassword(tenant, id, replacing, hash) {
      if (!isStorable(id)) return false
      return guard.write(async (db) => {
        const found = db.updateTable('accounts').set({ password_hash: hash }).where('tenant_id', '=', tenant).where('id', '=', id)
        return (await found.where('password_hash', '=', replacing).executeTakeFirst()).numUpdatedRows > 0n
      })
    },
  }

  async function find(column: LookedUp, tenant: string, value: string) {
    if (!isStorable(value)) return undefined
    const {
      rows: [row],
    } = await guard.read((db) => db.executeQuery<Row>({ ...lookUpOf(db, column), parameters: [tenant, value] }))
    return row === undefined ? undefined : accountOf(row)
  }

  /** Its text is made once: each refresh of a session asks for its user. */
  function lookUpOf(db: Kysely<Tables>, column: LookedUp): CompiledQuery<Row> {
    const known = lookUps.get(column)
    if (known !== undefined) return known
    const made = db.selectFrom('accounts').selectAll().where('tenant_id', '=', '').where(column, '=', '').compile()
    lookUps.set(column, made)
    return made
  }

  async function create(account: Account, ticketHash?: string): Promise<NewAccountOutcome> {
    try {
      return await guard.write((db) => insert(db, account, ticketHash))
    } catch (error) {
      // Somebody was quicker between the look and the insertion: the unique index has the last word.
      if (isDuplicate(error, 'email')) return 'email_taken'
      if (isDuplicate(error, 'username')) return 'username_taken'
      throw error
    }
  }

  async function updateProfile(tenant: string, id: string, change: ProfileChange, now: number): Promise<ProfileOutcome> {
    if (!isStorable(id)) return { outcome: 'unknown' }
    try {
      return await guard.write(async (db) => {
        const found = db.selectFrom('accounts').selectAll().where('tenant_id', '=', tenant).where('id', '=', id)
        const row = await (locksRows ? found.forUpdate() : found).executeTakeFirst()
        return row === undefined ? { outcome: 'unknown' } : update(db, row, change, now)
      })
    } catch (error) {
      if (isDuplicate(error, 'username')) return { outcome: 'username_taken' }
      throw error
    }
  }
}

async function insert(db: Transaction<Tables>, account: Account, ticketHash?: string): Promise<NewAccountOutcome> {
  const { tenant, id, username, createdAt: now } = account
  const same = db.selectFrom('accounts').select('id').where('tenant_id', '=', tenant)
  if ((await same.where('email_folded', '=', account.emailFolded).executeTakeFirst()) !== undefined) return 'email_taken'
  const name = username === undefined ? undefined : { tenant, folded: username.folded }
  const standings = name === undefined ? [] : await standingsOf(db, name)
  const refusal = refusalOf(standings, { account: id, now, ...(ticketHash !== undefined && { ticketHash }) })
  if (refusal !== undefined) return refusal
  await db.insertInto('accounts').values(rowOf(account)).execute()
  if (name === undefined || username === undefined) return 'created'
  await clear(db, name, standings)
  await record(db, [{ ...name, event: 'claimed', account: id, shown: username.shown }], now)
  return 'created'
}

async function update(db: Transaction<Tables>, row: Row, change: ProfileChange, now: number): Promise<ProfileOutcome> {
  const { tenant_id: tenant, id } = row
  const { username, displayName } = change
  const isOther = username !== undefined && username.folded !== row.username_folded
  const standings = isOther ? await standingsOf(db, { tenant, folded: username.folded }) : []
  const refusal = refusalOf(standings, { account: id, now, ...ticketOf(change) })
  if (refusal !== undefined) return { outcome: refusal }
  const changed: Row = {
    ...row,
    ...(displayName !== undefined && { display_name: displayName }),
    ...(username !== undefined && {
      username: username.shown,
      username_folded: username.folded,
      username_skeleton: username.skeleton,
    }),
  }
  const { username: shown, username_folded, username_skeleton, display_name } = changed
  await db
    .updateTable('accounts')
    .set({ username: shown, username_folded, username_skeleton, display_name })
    .where('id', '=', id)
    .execute()
  if (isOther) await move(db, row, { ...username, standings }, now)
  return { outcome: 'changed', account: accountOf(changed) }
}

/** The name that was given up is in quarantine, what stood in the way of the new one ends, and both are told. */
async function move(
  db: Transaction<Tables>,
  row: Row,
  to: { readonly shown: string; readonly folded: string; readonly standings: readonly Standing[] },
  now: number,
): Promise<void> {
  const { tenant_id: tenant, id: account } = row
  const events: NewEvent[] = []
  if (row.username_folded !== null) {
    const released = { tenant, folded: row.username_folded, account }
    await quarantine(db, { ...released, accountSince: row.created_at }, now)
    events.push({ ...released, event: 'released', ...(row.username !== null && { shown: row.username }) })
  }
  await clear(db, { tenant, folded: to.folded }, to.standings)
  events.push({ tenant, folded: to.folded, account, event: 'claimed', shown: to.shown })
  await record(db, events, now)
}

function ticketOf({ username }: ProfileChange): { readonly ticketHash?: string } {
  return username?.ticketHash === undefined ? {} : { ticketHash: username.ticketHash }
}

/** PostgreSQL has no text with a zero in it, so nothing that is stored can equal one that has. */
function isStorable(value: string): boolean {
  return !value.includes('\0')
}

function rowOf(account: Account): Row {
  return {
    id: account.id,
    tenant_id: account.tenant,
    email: account.email,
    email_folded: account.emailFolded,
    username: account.username?.shown ?? null,
    username_folded: account.username?.folded ?? null,
    username_skeleton: account.username?.skeleton ?? null,
    display_name: account.displayName ?? null,
    password_hash: account.passwordHash,
    status: account.status,
    created_at: account.createdAt,
  }
}

function accountOf(row: Row): Account {
  const { username: shown, username_folded: folded, username_skeleton: skeleton } = row
  return {
    id: row.id,
    tenant: row.tenant_id,
    email: row.email,
    emailFolded: row.email_folded,
    ...(shown === null || folded === null ? {} : { username: { shown, folded, skeleton: skeleton ?? folded } }),
    ...(row.display_name === null ? {} : { displayName: row.display_name }),
    passwordHash: row.password_hash,
    status: row.status === 'disabled' ? 'disabled' : 'active',
    createdAt: row.created_at,
  }
}
