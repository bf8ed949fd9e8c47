import type { TokenFacts } from './log.ts'

/** By epoch where the token has one, else by time. */
export function isOlder(token: TokenFacts, user: { readonly epoch: number; readonly at: number }): boolean {
  if (token.epoch !== undefined) return token.epoch < user.epoch
  return isNotAfter(token, user.at)
}

/** The grain of `iat` is a second: a token of the same second may be older, and one that does not say when it was issued may be too. */
export function isNotAfter(token: TokenFacts, at: number): boolean {
  return token.issuedAt === undefined || token.issuedAt <= at
}
