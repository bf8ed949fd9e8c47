/**
 * The errors that the library throws, by name: what the validator refuses, and what a gateway answered to the client.
 *
 * Every error has a stable `code`; compare that, or the class, and never the message. Nothing of a token, a secret or an
 * address is in any of them. This room decides nothing and speaks to nobody.
 *
 * @module
 */

/** What an error may say besides its code. */
export interface ErrorFacts {
  /** HTTP status that goes with it. */
  readonly status?: number
  /** Why, from a fixed list and finer than the code: for the log, not for whoever sent the token. */
  readonly reason?: string
  /** Scopes that would have been enough, with spaces between. */
  readonly scope?: string
  /** Of the answer, to find it in the log of the gateway. */
  readonly requestId?: string
  /** Seconds after which it may be tried again (RFC 9110 §10.2.3). */
  readonly retryAfterSeconds?: number
  /** What is wrong with which member of the body. */
  readonly fields?: readonly { readonly field: string; readonly message: string }[]
  /** Free usernames like the one that could not be had. */
  readonly suggestions?: readonly string[]
  readonly cause?: unknown
}

/** Any error of the library. Those that have no class of their own are of this one, with the gateway's `code`. */
export class GatehouseError extends Error {
  override readonly name: string = 'GatehouseError'
  /** Stable; see docs/errors.md for those of a gateway. */
  readonly code: string
  readonly status: number
  readonly reason: string | undefined
  readonly scope: string | undefined
  readonly requestId: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly fields: NonNullable<ErrorFacts['fields']>
  readonly suggestions: readonly string[]

  constructor(code: string, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? {} : { cause: facts.cause })
    this.code = code
    this.status = facts.status ?? 500
    this.reason = facts.reason
    this.scope = facts.scope
    this.requestId = facts.requestId
    this.retryAfterSeconds = facts.retryAfterSeconds
    this.fields = facts.fields ?? []
    this.suggestions = facts.suggestions ?? []
  }
}

/** 401 `unauthorized`: nobody said who they are, or a password or secret was not right. */
export class UnauthorizedError extends GatehouseError {
  override readonly name = 'UnauthorizedError'
  constructor(message = 'Authentication required', facts: ErrorFacts = {}) {
    super('unauthorized', message, { status: 401, ...facts })
  }
}

/** 401 `invalid_token`: no token of ours, or not for here; `reason` says why. */
export class InvalidTokenError extends GatehouseError {
  override readonly name = 'InvalidTokenError'
  constructor(message = 'The token is not valid', facts: ErrorFacts = {}) {
    super('invalid_token', message, { status: 401, ...facts })
  }
}

/** 401 `token_expired`. */
export class TokenExpiredError extends GatehouseError {
  override readonly name = 'TokenExpiredError'
  constructor(message = 'The token has expired', facts: ErrorFacts = {}) {
    super('token_expired', message, { status: 401, ...facts })
  }
}

/** 401 `token_revoked`: the token itself, its session, all of its user, or the key that signed it. */
export class TokenRevokedError extends GatehouseError {
  override readonly name = 'TokenRevokedError'
  constructor(message = 'The token was revoked', facts: ErrorFacts = {}) {
    super('token_revoked', message, { status: 401, ...facts })
  }
}

/** 401 `invalid_signature`: it names a key of ours that did not sign it. */
export class InvalidSignatureError extends GatehouseError {
  override readonly name = 'InvalidSignatureError'
  constructor(message = 'The signature of the token does not hold', facts: ErrorFacts = {}) {
    super('invalid_signature', message, { status: 401, ...facts })
  }
}

/** 401 `unknown_refresh_token`: nobody minted it, its session is over, or it was used before. The user has to log in. */
export class UnknownRefreshTokenError extends GatehouseError {
  override readonly name = 'UnknownRefreshTokenError'
  constructor(message = 'The refresh token is not known', facts: ErrorFacts = {}) {
    super('unknown_refresh_token', message, { status: 401, ...facts })
  }
}

/** 403 `insufficient_scope`; `scope` says what would have been enough. */
export class InsufficientScopeError extends GatehouseError {
  override readonly name = 'InsufficientScopeError'
  constructor(message = 'The token lacks a scope', facts: ErrorFacts = {}) {
    super('insufficient_scope', message, { status: 403, ...facts })
  }
}

/** 403 `tenant_mismatch`: a tenant that has no business here. */
export class TenantMismatchError extends GatehouseError {
  override readonly name = 'TenantMismatchError'
  constructor(message = 'The token is of another tenant', facts: ErrorFacts = {}) {
    super('tenant_mismatch', message, { status: 403, ...facts })
  }
}

/** 404 `tenant_not_found`: a tenant that is not known. */
export class TenantNotFoundError extends GatehouseError {
  override readonly name = 'TenantNotFoundError'
  constructor(message = 'There is no such tenant', facts: ErrorFacts = {}) {
    super('tenant_not_found', message, { status: 404, ...facts })
  }
}

/** 400 `invalid_request`: it can be read in two ways, or not at all; `fields` says which members of a body are wrong. */
export class InvalidRequestError extends GatehouseError {
  override readonly name = 'InvalidRequestError'
  constructor(message = 'The request is malformed', facts: ErrorFacts = {}) {
    super('invalid_request', message, { status: 400, ...facts })
  }
}

/** 429 `rate_limited`; `retryAfterSeconds` says how long to wait. */
export class RateLimitedError extends GatehouseError {
  override readonly name = 'RateLimitedError'
  constructor(message = 'Too many requests', facts: ErrorFacts = {}) {
    super('rate_limited', message, { status: 429, ...facts })
  }
}

/** 503 `keys_unavailable`: no keys were ever fetched, or those that were are too old, so nothing can be said of any token. */
export class KeysUnavailableError extends GatehouseError {
  override readonly name = 'KeysUnavailableError'
  constructor(message = 'The keys of the gateway cannot be fetched', facts: ErrorFacts = {}) {
    super('keys_unavailable', message, { status: 503, ...facts })
  }
}

/** 503 `revocation_unavailable`: what is known of the revocations is too old to say that this token is good. */
export class RevocationUnavailableError extends GatehouseError {
  override readonly name = 'RevocationUnavailableError'
  constructor(message = 'The revocations cannot be read', facts: ErrorFacts = {}) {
    super('revocation_unavailable', message, { status: 503, ...facts })
  }
}

/** `unreachable`, status 0: no answer came, or none that a gateway gives. Whether the request was carried out is not known. */
export class UnreachableError extends GatehouseError {
  override readonly name = 'UnreachableError'
  constructor(message = 'The gateway gave no answer', facts: ErrorFacts = {}) {
    super('unreachable', message, { status: 0, ...facts })
  }
}

type NamedError = new (message?: string, facts?: ErrorFacts) => GatehouseError

const BY_CODE: ReadonlyMap<string, NamedError> = new Map<string, NamedError>([
  ['unauthorized', UnauthorizedError],
  // RFC 6749 §5.2: what a client is told at the token endpoint.
  ['invalid_client', UnauthorizedError],
  ['invalid_token', InvalidTokenError],
  ['token_expired', TokenExpiredError],
  ['token_revoked', TokenRevokedError],
  ['invalid_signature', InvalidSignatureError],
  ['unknown_refresh_token', UnknownRefreshTokenError],
  ['insufficient_scope', InsufficientScopeError],
  ['tenant_mismatch', TenantMismatchError],
  ['tenant_not_found', TenantNotFoundError],
  ['invalid_request', InvalidRequestError],
  ['rate_limited', RateLimitedError],
  ['keys_unavailable', KeysUnavailableError],
  ['revocation_unavailable', RevocationUnavailableError],
])

/** The error of a code: of the class that is named for it, else a plain {@link GatehouseError}. */
export function errorOf(code: string, message: string | undefined, facts: ErrorFacts): GatehouseError {
  const Named = BY_CODE.get(code)
  return Named === undefined ? new GatehouseError(code, message ?? code, facts) : new Named(message, facts)
}
