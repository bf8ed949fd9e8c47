import { createHash } from 'node:crypto'
import { Problem } from '../../problem/problem.ts'
import { isGuessable } from './guessable.ts'
import { passwordBytes } from './passwords.ts'

/** Looks up passwords that were found in breaches. */
export interface BreachedPasswords {
  /** @param sha1 - of the password in UTF-8, 40 upper-case hex digits */
  has(sha1: string): Promise<boolean>
}

/** Whose password it is to be. */
export interface PasswordOwner {
  readonly email: string
  readonly username?: string | undefined
}

/** Refuses new passwords that are guessed first. Lengths are the schemas' matter; what signs are in it is nobody's. */
export interface PasswordRules {
  /**
   * @param field - of the body, for the problem
   * @throws Problem `invalid_request`
   */
  check(password: string, owner: PasswordOwner, field: string): Promise<void>
}

/** NIST SP 800-63B-4 §3.1.1.2: a list of what is common, expected or compromised, and no rules of composition. */
export function createPasswordRules(breached?: BreachedPasswords): PasswordRules {
  return {
    async check(password, owner, field) {
      if (isOfOwner(password, owner)) throw refused(field, 'must not be the e-mail address or the username')
      if (isGuessable(password)) throw refused(field, 'is one of those that are guessed first: choose another one')
      if (breached === undefined) return
      const sha1 = createHash('sha1').update(passwordBytes(password)).digest('hex').toUpperCase()
      if (await breached.has(sha1)) throw refused(field, 'was found in a breach: choose another one')
    },
  }
}

function isOfOwner(password: string, { email, username }: PasswordOwner): boolean {
  const folded = password.toLowerCase()
  const address = email.toLowerCase()
  const local = address.slice(0, address.lastIndexOf('@'))
  return folded === address || folded === local || folded === username?.toLowerCase()
}

function refused(field: string, message: string): Problem {
  return new Problem('invalid_request', { description: `Missing or wrong: ${field}.`, fields: [{ field, message }] })
}
