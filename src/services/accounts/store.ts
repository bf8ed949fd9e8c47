/** What accounts are, and what is asked of whoever keeps them. */

export type AccountStatus = 'active' | 'disabled'

/** A person of one tenant. */
export interface Account {
  /** `usr_` and 32 hex digits. */
  readonly id: string
  readonly tenant: string
  /** As given. */
  readonly email: string
  /** As compared: unique within the tenant. */
  readonly emailFolded: string
  readonly username?: Username
  readonly displayName?: string
  /** PHC string. */
  readonly passwordHash: string
  /** Who is disabled cannot log in, and has no sessions. */
  readonly status: AccountStatus
  /** Whole seconds since 1970. */
  readonly createdAt: number
}

/** A name as its owner writes it, and as it is compared. */
export interface Username {
  /** As given. */
  readonly shown: string
  /** Lower case: unique within the tenant. */
  readonly folded: string
  /** With look-alike characters made one: found by an index, compared with reserved and protected names. */
  readonly skeleton: string
}

/** What a claim of a name brings along. */
export interface UsernameClaim extends Username {
  /** SHA-256 of a hold's ticket, base64url: lets the name be claimed although it is held, by this ticket. */
  readonly ticketHash?: string
}

/** Why a name was not given: somebody has it, holds it, or gave it up lately. */
export type ClaimRefusal = 'username_taken' | 'username_held' | 'username_quarantined'

export type NewAccountOutcome = 'created' | 'email_taken' | ClaimRefusal

export interface ProfileChange {
  readonly username?: UsernameClaim
  /** Null takes it away. */
  readonly displayName?: string | null
}

export type ProfileOutcome =
  | { readonly outcome: 'changed'; readonly account: Account }
  | { readonly outcome: 'unknown' | ClaimRefusal }

/** Keeps accounts. Storage implements it; each method does all or nothing, or rejects with `storage_unavailable`. */
export interface AccountStore {
  /**
   * Of several at once that want one e-mail address or name one wins. The account, the history of the name and the end of its
   * hold are one transaction.
   */
  create(account: Account, ticketHash?: string): Promise<NewAccountOutcome>
  findById(tenant: string, id: string): Promise<Account | undefined>
  findByEmail(tenant: string, folded: string): Promise<Account | undefined>
  findByUsername(tenant: string, folded: string): Promise<Account | undefined>
  /** False when there is no such account. */
  setStatus(tenant: string, id: string, status: AccountStatus): Promise<boolean>
  /**
   * Changes what is named. A name that is given up is in quarantine: for half of the time it was held, a day at least and a
   * year at most; its former owner may have it back at once. Of one account ten names are, those whose time ends last. `now`:
   * whole seconds since 1970.
   */
  updateProfile(tenant: string, id: string, change: ProfileChange, now: number): Promise<ProfileOutcome>
  /** Puts a new hash in place of this one; false when the hash is another by now, or there is no such account. */
  replacePassword(tenant: string, id: string, replacing: string, hash: string): Promise<boolean>
}
