/** The tables as the last migration leaves them. All times in seconds since 1970; `_folded` columns are what is compared. */
export interface Tables {
  readonly accounts: {
    readonly id: string
    readonly tenant_id: string
    readonly email: string
    readonly email_folded: string
    readonly username: string | null
    readonly username_folded: string | null
    readonly username_skeleton: string | null
    readonly display_name: string | null
    readonly password_hash: string
    readonly status: string
    readonly created_at: number
  }
  readonly username_holds: {
    readonly tenant_id: string
    readonly username_folded: string
    readonly ticket_hash: string
    readonly expires_at: number
  }
  readonly username_quarantine: {
    readonly tenant_id: string
    readonly username_folded: string
    readonly former_owner: string
    readonly expires_at: number
  }
  readonly username_history: {
    readonly id: number
    readonly tenant_id: string
    readonly username_folded: string
    readonly event: 'claimed' | 'released' | 'held'
    readonly account_id: string | null
    readonly username: string | null
    readonly recorded_at: number
  }
  /** One row: the last id of `username_history`. */
  readonly username_feed: { readonly id: number; readonly last_id: number }
  readonly migrations: { readonly id: number; readonly name: string; readonly applied_at: number }
}
