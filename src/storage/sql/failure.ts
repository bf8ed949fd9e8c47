/**
 * What a database has against a statement: `duplicate`, a unique index; `conflict`, worth another try; `away`, nobody can tell
 * or serve now; `fault`, a mistake of ours.
 */
export type FailureKind = 'duplicate' | 'conflict' | 'away' | 'fault'

/** A failed statement. Drivers put values into their messages, so nothing of theirs is kept but the code. */
export class SqlFailure extends Error {
  override readonly name = 'SqlFailure'
  readonly kind: FailureKind
  /** Of a `duplicate`: the index, or its columns where the database names those. */
  readonly index: string

  constructor(kind: FailureKind, what: string, index = '') {
    super(what)
    this.kind = kind
    this.index = index
  }
}

/** Whether a failure is that of the unique index on this column of `accounts`. */
export function isDuplicate(error: unknown, column: 'email' | 'username'): boolean {
  if (!(error instanceof SqlFailure) || error.kind !== 'duplicate') return false
  return error.index.includes(`accounts_by_${column}`) || error.index.includes(`accounts.${column}_folded`)
}

/** A property of an error that no type knows. */
export function propertyOf(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined
}

/** A property that is text; empty where it is not. */
export function textIn(error: unknown, name: string): string {
  const value = propertyOf(error, name)
  return typeof value === 'string' ? value : ''
}

/** The code of an error of a driver or of the system, such as `ECONNREFUSED`. */
export function codeOf(error: unknown): string {
  const code = propertyOf(error, 'code')
  return typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : 'no code'
}
