import type { Revocation, TokenFacts } from './log.ts'

/** Whether the revocation concerns the token. */
export function covers(revocation: Revocation, token: TokenFacts): boolean {
  if (revocation.tenant !== token.tenant) return false
  if (revocation.kind === 'token') return revocation.id === token.tokenId
  if (revocation.kind === 'session') return revocation.id === token.session
  if (revocation.kind === 'key') return revocation.id === token.keyId
  if (revocation.kind === 'tenant') return isNotAfter(token, revocation.at)
  return revocation.id === token.user && isOlder(token, revocation)
}

/** By epoch where the token has one, else by time. */
export function isOlder(token: TokenFacts, user: { readonly epoch: number; readonly at: number }): boolean {
  if (token.epoch !== undefined) return token.epoch < user.epoch
  return isNotAfter(token, user.at)
}

/** The grain of `iat` is a second: a token of the same second may be older, and one that does not say when it was issued may be too. */
export function isNotAfter(token: TokenFacts, at: number): boolean {
  return token.issuedAt === undefined || token.issuedAt <= at
}
