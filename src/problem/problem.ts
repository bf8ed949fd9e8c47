/**
 * Every answer the gateway gives that is not a success, in one table, and the one place that writes it out.
 *
 * A `Problem` is an expected refusal. Anything else that is thrown is a fault of ours and becomes `internal_error`, with
 * its cause in the log and nothing of it in the answer.
 *
 * @module
 */

import { createDescriber, type ProblemAnswer, type Row } from './describe.ts'

export type { ProblemAnswer } from './describe.ts'

/** One row for each answer. To add one: a row here, a line in docs/errors.md, a test. */
export const PROBLEMS = {
  invalid_request: {
    status: 400,
    error: 'invalid_request',
    title: 'Invalid request',
    description: 'The request is malformed. Correct it before sending it again.',
  },
  repeated_authorization: {
    status: 400,
    error: 'invalid_request',
    title: 'Invalid request',
    description: 'Send one Authorization header with one token.',
  },
  repeated_cookie: {
    status: 400,
    error: 'invalid_request',
    title: 'Invalid request',
    description: 'The browser sent two cookies where there is one. Delete the cookies of this site and log in again.',
  },
  ambiguous_path: {
    status: 400,
    error: 'ambiguous_path',
    title: 'Ambiguous path',
    description:
      'The path can be read in more than one way. Send it in its plain form, without encoded slashes, semicolons or dot segments.',
  },
  unauthorized: {
    status: 401,
    error: 'unauthorized',
    title: 'Authentication required',
    description: 'Send an access token: Authorization: Bearer <token>.',
  },
  bad_credentials: {
    status: 401,
    error: 'unauthorized',
    title: 'Authentication failed',
    description: 'The user or the password is not right.',
  },
  invalid_token: {
    status: 401,
    error: 'invalid_token',
    title: 'Invalid token',
    description: 'The access token is not one that this gateway accepts here. Log in again.',
    challenge: 'invalid_token',
  },
  token_expired: {
    status: 401,
    error: 'token_expired',
    title: 'Token expired',
    description: 'The access token has expired. Refresh it or log in again.',
    challenge: 'invalid_token',
  },
  token_revoked: {
    status: 401,
    error: 'token_revoked',
    title: 'Token revoked',
    description: 'The access token was revoked. Log in again.',
    challenge: 'invalid_token',
  },
  token_used: {
    status: 401,
    error: 'invalid_token',
    title: 'Token used already',
    description: 'This resource takes each access token once, and this one was used already. Get a new one.',
    challenge: 'invalid_token',
  },
  invalid_signature: {
    status: 401,
    error: 'invalid_signature',
    title: 'Invalid signature',
    description: 'The signature of the access token does not match its issuer’s key. Log in again.',
    challenge: 'invalid_token',
  },
  authentication_too_old: {
    status: 401,
    error: 'access_denied',
    title: 'Authentication too old',
    description: 'This resource needs a more recent login. Log in again.',
    challenge: 'insufficient_user_authentication',
  },
  insufficient_scope: {
    status: 403,
    error: 'insufficient_scope',
    title: 'Insufficient scope',
    description: 'The access token lacks a scope that this resource needs.',
    challenge: 'insufficient_scope',
  },
  tenant_mismatch: {
    status: 403,
    error: 'tenant_mismatch',
    title: 'Wrong tenant',
    description: 'The caller belongs to a tenant that has no access here.',
    challenge: 'insufficient_scope',
  },
  access_denied: {
    status: 403,
    error: 'access_denied',
    title: 'Access denied',
    description: 'The access token does not give access to this resource.',
    challenge: 'insufficient_scope',
  },
  certificate_required: {
    status: 403,
    error: 'access_denied',
    title: 'Client certificate required',
    description: 'This resource takes only clients that prove themselves by a certificate of an authority that it knows.',
  },
  address_refused: {
    status: 403,
    error: 'access_denied',
    title: 'Address refused',
    description: 'This resource is not open to your network. No token changes that.',
  },
  country_refused: {
    status: 403,
    error: 'access_denied',
    title: 'Country refused',
    description: 'This resource is not open to the country that you are in, or it is not known which one that is.',
  },
  travel_refused: {
    status: 403,
    error: 'access_denied',
    title: 'Login refused',
    description: 'The last login or refresh was too far away for the time since. Try again later, or from where it was.',
  },
  origin_refused: {
    status: 403,
    error: 'access_denied',
    title: 'Origin refused',
    description: 'Pages of this origin may not call this resource.',
  },
  cross_site_request: {
    status: 403,
    error: 'access_denied',
    title: 'Cross-site request',
    description: 'With cookies, only pages of this very origin may ask for this. Other clients send a token in a header.',
  },
  wrong_password: {
    status: 403,
    error: 'access_denied',
    title: 'Wrong password',
    description: 'The current password is not right. Nothing was changed.',
  },
  registration_closed: {
    status: 403,
    error: 'access_denied',
    title: 'Registration closed',
    description: 'This tenant does not take registrations. Ask its administrator for an account.',
  },
  tenant_not_found: {
    status: 404,
    error: 'tenant_not_found',
    title: 'Unknown tenant',
    description: 'There is no tenant of this name.',
  },
  session_not_found: {
    status: 404,
    error: 'invalid_request',
    title: 'Unknown session',
    description: 'You have no live session of this id. GET /sessions lists those that you have.',
  },
  key_not_found: {
    status: 404,
    error: 'invalid_request',
    title: 'Unknown key',
    description: 'The tenant has no key of this id that is in use. List its keys.',
  },
  user_not_found: {
    status: 404,
    error: 'invalid_request',
    title: 'Unknown user',
    description: 'The tenant has no user of this id.',
  },
  no_route: {
    status: 404,
    error: 'no_route',
    title: 'No route',
    description: 'No route of this gateway matches the host and path of the request.',
  },
  method_not_allowed: {
    status: 405,
    error: 'method_not_allowed',
    title: 'Method not allowed',
    description: 'The resource does not take this method. The Allow header lists those that it takes.',
  },
  request_timeout: {
    status: 408,
    error: 'invalid_request',
    title: 'Request timed out',
    description: 'The request did not arrive in time. Send it again.',
  },
  rotation_too_early: {
    status: 409,
    error: 'invalid_request',
    title: 'Rotation too early',
    description: 'The next key was not published long enough for everyone to know it.',
  },
  email_taken: {
    status: 409,
    error: 'invalid_request',
    title: 'Account exists',
    description: 'There is an account with this e-mail address already. Log in instead.',
  },
  username_taken: {
    status: 409,
    error: 'username_taken',
    title: 'Username taken',
    description: 'The username is taken. Choose another one.',
  },
  username_reserved: {
    status: 409,
    error: 'username_reserved',
    title: 'Username reserved',
    description: 'The username cannot be had. Choose another one.',
  },
  username_invalid: {
    status: 400,
    error: 'username_invalid',
    title: 'Invalid username',
    description: 'A username has 3 to 30 letters, digits, underscores or hyphens.',
  },
  payload_too_large: {
    status: 413,
    error: 'payload_too_large',
    title: 'Payload too large',
    description: 'The body is larger than this resource takes.',
  },
  uri_too_long: {
    status: 414,
    error: 'invalid_request',
    title: 'URI too long',
    description: 'The request target is longer than this gateway takes.',
  },
  unsupported_media_type: {
    status: 415,
    error: 'invalid_request',
    title: 'Unsupported media type',
    description: 'Send the body as application/json.',
  },
  expectation_failed: {
    status: 417,
    error: 'invalid_request',
    title: 'Expectation failed',
    description: 'The only expectation that is met is 100-continue.',
  },
  upgrade_refused: {
    status: 426,
    error: 'invalid_request',
    title: 'Upgrade required',
    description: 'The WebSocket handshake is not one of version 13 (RFC 6455).',
  },
  rate_limited: {
    status: 429,
    error: 'rate_limited',
    title: 'Too many requests',
    description: 'Too many requests. Wait for as many seconds as the Retry-After header says.',
  },
  headers_too_large: {
    status: 431,
    error: 'invalid_request',
    title: 'Headers too large',
    description: 'The request has more or larger headers than this gateway takes.',
  },
  internal_error: {
    status: 500,
    error: 'internal_error',
    title: 'Internal error',
    description: 'The gateway failed. The request id finds the cause in its log.',
  },
  upstream_unreachable: {
    status: 502,
    error: 'upstream_unreachable',
    title: 'Upstream unreachable',
    description: 'The service behind the gateway could not be reached or broke off. Try again later.',
  },
  revocation_unavailable: {
    status: 503,
    error: 'revocation_unavailable',
    title: 'Revocation unknown',
    description: 'The gateway cannot tell at present whether the token was revoked. Try again later.',
  },
  storage_unavailable: {
    status: 503,
    error: 'storage_unavailable',
    title: 'Storage unavailable',
    description: 'The gateway cannot reach its storage. Nothing was changed. Try again later.',
  },
  overloaded: {
    status: 503,
    error: 'overloaded',
    title: 'Overloaded',
    description: 'The gateway has more work than it can do. Try again later.',
  },
  upstream_resting: {
    status: 503,
    error: 'upstream_unreachable',
    title: 'Upstream resting',
    description:
      'The service behind the gateway fails at present and is left alone. Wait for as many seconds as the Retry-After header says.',
  },
  upstream_timeout: {
    status: 504,
    error: 'upstream_timeout',
    title: 'Upstream timed out',
    description: 'The service behind the gateway did not answer in time. Try again later.',
  },
} as const satisfies Record<string, Row>

export type ProblemKind = keyof typeof PROBLEMS

/** One field of a body that was refused: its name as the client wrote it and what to write. */
export interface FieldFault {
  readonly field: string
  readonly message: string
}

export interface ProblemFacts {
  /** For the client, in place of the row's own description. Never of a token, a key, a host or a stack. */
  readonly description?: string
  /** Scopes that would have been enough, for the challenge (RFC 6750 §3). */
  readonly scope?: string
  /** Seconds of authentication age that the route takes, for the challenge (RFC 9470 §3). */
  readonly maxAgeSeconds?: number
  /** Further headers of the answer, lower-case names: `allow`, `retry-after`. */
  readonly headers?: Readonly<Record<string, string>>
  readonly fields?: readonly FieldFault[]
  /** Free usernames like the one that could not be had. */
  readonly suggestions?: readonly string[]
  /** Said to a flood: the log has some of them each second, the metrics have all. */
  readonly isOneOfMany?: true
  /** For the log only. */
  readonly detail?: string
  /** For the log only. */
  readonly cause?: unknown
}

/** An expected refusal: a row of {@link PROBLEMS} and what is particular to this case. Has no stack. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly kind: ProblemKind
  readonly facts: ProblemFacts

  constructor(kind: ProblemKind, facts: ProblemFacts = NO_FACTS) {
    // Refusals are on the path of hostile traffic: collecting a stack costs ten times the rest of the refusal.
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(kind, facts.cause === undefined ? undefined : { cause: facts.cause })
    Error.stackTraceLimit = limit
    this.kind = kind
    this.facts = facts
  }

  get status(): number {
    return PROBLEMS[this.kind].status
  }

  /** The stable code of the answer. */
  get error(): string {
    return PROBLEMS[this.kind].error
  }

  /** The problem itself, or `internal_error` with what was thrown as its cause. */
  static from(thrown: unknown): Problem {
    return thrown instanceof Problem ? thrown : new Problem('internal_error', { cause: thrown })
  }
}

const NO_FACTS: ProblemFacts = Object.freeze({})

const describe = createDescriber<ProblemKind>(PROBLEMS)

/** What a refusal says in an answer of another form: the stable code, and what to do. */
export function describeRefusal(problem: Problem): { readonly error: string; readonly error_description: string } {
  const row: Row = PROBLEMS[problem.kind]
  return { error: row.error, error_description: problem.facts.description ?? row.description }
}

/** The answer for a problem: `application/problem+json` (RFC 9457), with the Bearer challenge on 401 and 403. */
export function describeProblem(problem: Problem, requestId: string): ProblemAnswer {
  return describe(problem, requestId)
}
