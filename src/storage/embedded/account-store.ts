import type { Account, AccountStore, NewAccountOutcome } from '../../services/accounts/accounts.ts'
import type { Database, Row } from './database.ts'
import { integer, optionalText, text } from './database.ts'

/** Accounts by tenant, e-mail and username. */
export function createAccountStore(db: Database): AccountStore {
  const insert = db.prepare(
    `INSERT INTO accounts (id, tenant_id, email, email_folded, username, username_folded, display_name, password_hash, status, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const byId = db.prepare('SELECT * FROM accounts WHERE tenant_id = ? AND id = ?')
  const byEmail = db.prepare('SELECT * FROM accounts WHERE tenant_id = ? AND email_folded = ?')
  const byUsername = db.prepare('SELECT * FROM accounts WHERE tenant_id = ? AND username_folded = ?')
  const setStatus = db.prepare('UPDATE accounts SET status = ? WHERE tenant_id = ? AND id = ?')
  return {
    create,
    findById: async (tenant, id) => accountOf(byId.get(tenant, id)),
    findByEmail: async (tenant, folded) => accountOf(byEmail.get(tenant, folded)),
    findByUsername: async (tenant, folded) => accountOf(byUsername.get(tenant, folded)),
    setStatus: async (tenant, id, status) => setStatus.run(status, tenant, id) > 0,
  }

  async function create(account: Account): Promise<NewAccountOutcome> {
    const { tenant, username } = account
    return db.write(() => {
      if (byEmail.get(tenant, account.emailFolded) !== undefined) return 'email_taken'
      if (username !== undefined && byUsername.get(tenant, username.folded) !== undefined) return 'username_taken'
      insert.run(
        account.id,
        tenant,
        account.email,
        account.emailFolded,
        username?.shown ?? null,
        username?.folded ?? null,
        account.displayName ?? null,
        account.passwordHash,
        account.status,
        account.createdAt,
      )
      return 'created'
    })
  }
}

function accountOf(row: Row | undefined): Account | undefined {
  if (row === undefined) return undefined
  const shown = optionalText(row, 'username')
  const folded = optionalText(row, 'username_folded')
  const displayName = optionalText(row, 'display_name')
  return {
    id: text(row, 'id'),
    tenant: text(row, 'tenant_id'),
    email: text(row, 'email'),
    emailFolded: text(row, 'email_folded'),
    ...(shown === undefined || folded === undefined ? {} : { username: { shown, folded } }),
    ...(displayName === undefined ? {} : { displayName }),
    passwordHash: text(row, 'password_hash'),
    status: text(row, 'status') === 'disabled' ? 'disabled' : 'active',
    createdAt: integer(row, 'created_at'),
  }
}
