import type { z } from 'zod'
import type { ServiceName } from '../../config/config.ts'
import type { ProblemKind } from '../../problem/problem.ts'
import { LOGIN, PASSWORD, PROFILE, REGISTRATION } from '../accounts/bodies.ts'
import type { EndpointName } from '../catalogue.ts'
import { GRAPHQL_REQUEST } from '../graphql/graphql.ts'
import { PRESENTED_FORM, TOKEN_FORM } from '../oauth/forms.ts'
import { CREATION, REFRESH, REVOCATION, REVOCATION_OF_ALL, VALIDATION } from '../sessions/bodies.ts'
import * as answers from './answers.ts'
import { REVOCATION_OPERATIONS } from './revocations.ts'
import { USERNAME_OPERATIONS } from './usernames.ts'

/** What the document says of an endpoint besides what the catalogue does. */
export interface Operation {
  readonly summary: string
  /** Who may call it. `route`: as the route that mounts it says. */
  readonly caller: 'anyone' | 'user' | 'client' | 'client or user' | 'route'
  /** Schema that validates the body. */
  readonly body?: {
    readonly kind: 'json' | 'form'
    readonly schema: z.ZodType
    readonly example: Readonly<Record<string, unknown>>
  }
  readonly status: number
  /** Absent: an empty body. */
  readonly answer?: z.ZodType
  /** Of the answer; absent: `application/json`. */
  readonly type?: string
  /** Refusals besides those that any request may meet. */
  readonly problems: readonly ProblemKind[]
}

type Operations = { readonly [N in ServiceName]: Readonly<Record<EndpointName<N>, Operation>> }

const JSON_BODY = ['invalid_request', 'unsupported_media_type', 'payload_too_large'] as const
const OF_TOKEN = [
  'unauthorized',
  'invalid_token',
  'token_expired',
  'token_revoked',
  'invalid_signature',
  'tenant_mismatch',
] as const
/** Of a user's change: their browser may send it with a cookie, for a page of somebody else. */
const OF_CHANGE = ['cross_site_request'] as const
const OF_STORE = ['storage_unavailable'] as const
const OF_NAME = ['username_taken', 'username_reserved', 'username_invalid'] as const
const STALE = ['revocation_unavailable'] as const
const OF_CLIENT = ['unauthorized', 'insufficient_scope', 'tenant_mismatch', 'rate_limited'] as const
const FORM_BODY = ['payload_too_large', 'rate_limited'] as const

const ACCESS_TOKEN = 'eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJzdWIiOiIuLi4ifQ.c2ln'
const REFRESH_TOKEN = 'gwr_AQ0AAJ3kq1'

const JWKS: Operation = {
  summary: 'Public keys of a tenant',
  caller: 'anyone',
  status: 200,
  answer: answers.JWKS,
  problems: ['tenant_not_found'],
}
const METADATA: Operation = {
  summary: 'Authorization server metadata of a tenant (RFC 8414)',
  caller: 'anyone',
  status: 200,
  answer: answers.METADATA,
  problems: ['tenant_not_found', 'invalid_request'],
}
const OPENID: Operation = { ...METADATA, summary: 'The same as OpenID Connect Discovery has it' }
const ECHO: Operation = {
  summary: 'What an upstream would have received',
  caller: 'route',
  status: 200,
  answer: answers.ECHO,
  problems: [...OF_TOKEN, ...STALE, 'payload_too_large'],
}

/** One for each endpoint of the catalogue: without it the type does not fit. */
export const OPERATIONS: Operations = {
  accounts: {
    register: {
      summary: 'Register',
      caller: 'anyone',
      body: {
        kind: 'json',
        schema: REGISTRATION,
        example: { email: 'ada@example.com', password: 'correct horse battery staple', username: 'ada' },
      },
      status: 201,
      answer: answers.REGISTERED,
      problems: [...JSON_BODY, 'registration_closed', 'tenant_not_found', 'email_taken', ...OF_NAME, 'overloaded', ...OF_STORE],
    },
    login: {
      summary: 'Log in with e-mail address or username, and password; with cookie: true the tokens come as cookies',
      caller: 'anyone',
      body: { kind: 'json', schema: LOGIN, example: { email: 'ada@example.com', password: 'correct horse battery staple' } },
      status: 200,
      answer: answers.PAIR_OR_COOKIES,
      problems: [...JSON_BODY, ...OF_CHANGE, 'bad_credentials', 'tenant_not_found', 'rate_limited', 'overloaded', ...OF_STORE],
    },
    logout: {
      summary: 'End the session of the token',
      caller: 'user',
      status: 204,
      problems: [...OF_TOKEN, ...OF_CHANGE, ...STALE, ...OF_STORE],
    },
    'logout-all': {
      summary: 'End every session of the user',
      caller: 'user',
      status: 200,
      answer: answers.REVOKED_COUNT,
      problems: [...OF_TOKEN, ...OF_CHANGE, ...STALE, ...OF_STORE],
    },
    me: {
      summary: 'The user',
      caller: 'user',
      status: 200,
      answer: answers.USER,
      problems: [...OF_TOKEN, ...STALE, 'access_denied'],
    },
    profile: {
      summary: 'Change username or display name; what is left out stays',
      caller: 'user',
      body: { kind: 'json', schema: PROFILE, example: { username: 'ada_lovelace', display_name: 'Ada Lovelace' } },
      status: 200,
      answer: answers.USER,
      problems: [...JSON_BODY, ...OF_TOKEN, ...OF_CHANGE, ...STALE, ...OF_NAME, 'access_denied', 'rate_limited', ...OF_STORE],
    },
    password: {
      summary: 'Change the password, which ends all other sessions of the user',
      caller: 'user',
      body: {
        kind: 'json',
        schema: PASSWORD,
        example: { current_password: 'correct horse battery staple', new_password: 'a better one than that' },
      },
      status: 204,
      problems: [
        ...JSON_BODY,
        ...OF_TOKEN,
        ...OF_CHANGE,
        ...STALE,
        'wrong_password',
        'access_denied',
        'rate_limited',
        'overloaded',
        ...OF_STORE,
      ],
    },
  },
  sessions: {
    create: {
      summary: 'Begin a session of a user; needs the scope sessions:write',
      caller: 'client',
      body: {
        kind: 'json',
        schema: CREATION,
        example: { tenant_id: 'default', user_id: 'customer-42', scope: 'orders:read', metadata: { plan: 'pro' } },
      },
      status: 201,
      answer: answers.TOKEN_PAIR,
      problems: [...JSON_BODY, ...OF_CLIENT, 'access_denied', ...OF_STORE],
    },
    list: {
      summary: 'Live sessions of the user, most recently used first',
      caller: 'user',
      status: 200,
      answer: answers.SESSIONS,
      problems: [...OF_TOKEN, ...STALE, ...OF_STORE],
    },
    delete: {
      summary: 'End one session of the user',
      caller: 'user',
      status: 204,
      problems: [...OF_TOKEN, ...OF_CHANGE, ...STALE, 'session_not_found', ...OF_STORE],
    },
    validate: {
      summary: 'Whether an access token is good',
      caller: 'anyone',
      body: { kind: 'json', schema: VALIDATION, example: { access_token: ACCESS_TOKEN } },
      status: 200,
      answer: answers.VALIDATED,
      problems: [...JSON_BODY, ...STALE, 'rate_limited'],
    },
    refresh: {
      summary: 'New tokens for a refresh token, in the body or in the cookie, which is answered by cookies',
      caller: 'anyone',
      body: { kind: 'json', schema: REFRESH, example: { refresh_token: REFRESH_TOKEN } },
      status: 200,
      answer: answers.PAIR_OR_COOKIES,
      problems: [...JSON_BODY, ...OF_CHANGE, 'invalid_token', ...OF_STORE],
    },
    revoke: {
      summary: 'Revoke an access token alone, or with a refresh token its session',
      caller: 'anyone',
      body: { kind: 'json', schema: REVOCATION, example: { token: REFRESH_TOKEN, reason: 'device lost' } },
      status: 200,
      answer: answers.REVOKED,
      problems: [...JSON_BODY, 'invalid_token', 'token_expired', 'token_revoked', 'tenant_mismatch', 'rate_limited', ...OF_STORE],
    },
    'revoke-all': {
      summary: 'End every session of a user; a client needs the scope sessions:write',
      caller: 'client or user',
      body: {
        kind: 'json',
        schema: REVOCATION_OF_ALL,
        example: { user_id: 'customer-42', tenant_id: 'default', reason: 'account closed' },
      },
      status: 200,
      answer: answers.REVOKED_COUNT,
      problems: [
        ...JSON_BODY,
        ...OF_CLIENT,
        ...OF_CHANGE,
        'invalid_token',
        'token_expired',
        'token_revoked',
        'access_denied',
        ...OF_STORE,
      ],
    },
    'revoke-others': {
      summary: 'End every session of the user but this one',
      caller: 'user',
      status: 200,
      answer: answers.REVOKED_COUNT,
      problems: [...OF_TOKEN, ...OF_CHANGE, ...STALE, 'invalid_request', ...OF_STORE],
    },
  },
  oauth: {
    token: {
      summary: 'Token endpoint (RFC 6749): client_credentials, refresh_token',
      caller: 'client',
      body: { kind: 'form', schema: TOKEN_FORM, example: { grant_type: 'client_credentials', scope: 'sessions:read' } },
      status: 200,
      answer: answers.TOKEN_ANSWER,
      problems: [...FORM_BODY, ...OF_STORE],
    },
    introspect: {
      summary: 'Token introspection (RFC 7662); needs the scope tokens:introspect',
      caller: 'client',
      body: { kind: 'form', schema: PRESENTED_FORM, example: { token: ACCESS_TOKEN } },
      status: 200,
      answer: answers.INTROSPECTED,
      problems: [...FORM_BODY, ...STALE, ...OF_STORE],
    },
    revoke: {
      summary: 'Token revocation (RFC 7009)',
      caller: 'client',
      body: { kind: 'form', schema: PRESENTED_FORM, example: { token: REFRESH_TOKEN } },
      status: 200,
      problems: [...FORM_BODY, ...OF_STORE],
    },
  },
  revocations: REVOCATION_OPERATIONS,
  graphql: {
    query: {
      summary: 'One GraphQL operation; without a token some fields are null or refused',
      caller: 'route',
      body: {
        kind: 'json',
        schema: GRAPHQL_REQUEST,
        example: {
          query: 'query ($name: String!) { checkUsernameAvailability(username: $name) { available suggestions } }',
          variables: { name: 'ada' },
        },
      },
      status: 200,
      answer: answers.GRAPHQL_RESULT,
      type: 'application/graphql-response+json',
      problems: [...JSON_BODY, ...OF_TOKEN, ...OF_CHANGE, ...STALE, 'tenant_not_found'],
    },
  },
  usernames: USERNAME_OPERATIONS,
  discovery: {
    jwks: JWKS,
    metadata: METADATA,
    'metadata-of-tenant': METADATA,
    openid: OPENID,
    'openid-of-tenant': OPENID,
    'passport-jwks': { ...JWKS, summary: 'Public key of the passports that upstreams receive', problems: [] },
    'tenant-jwks': JWKS,
    'tenant-metadata': METADATA,
    'tenant-openid': OPENID,
  },
  health: {
    health: { summary: 'Whether the gateway works', caller: 'anyone', status: 200, answer: answers.HEALTH, problems: [] },
  },
  echo: { root: ECHO, below: ECHO },
}

/** The operation of an endpoint that a compiled route names. */
export function operationOf(service: string, endpoint: string): Operation | undefined {
  const operations: Readonly<Record<string, Readonly<Record<string, Operation>>>> = OPERATIONS
  return Object.hasOwn(operations, service) ? operations[service]?.[endpoint] : undefined
}
