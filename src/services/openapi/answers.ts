import { z } from 'zod'

/** What the endpoints answer. A schema with a title becomes a component of that name. */

const dateTime = z.iso.datetime()
const seconds = z.int().nonnegative()

export const USER = z
  .strictObject({
    id: z.string(),
    tenant_id: z.string(),
    email: z.string(),
    username: z.string().nullable(),
    display_name: z.string().nullable(),
    created_at: dateTime,
  })
  .meta({ title: 'User' })

export const REGISTERED = z.strictObject({ user: USER })

export const TOKEN_PAIR = z
  .strictObject({
    access_token: z.string().describe('A JWT (RFC 9068).'),
    refresh_token: z.string().describe('Opaque. Good for one use; the answer has the next one.'),
    token_type: z.literal('Bearer'),
    expires_in: seconds.describe('Seconds until the access token expires.'),
    refresh_expires_in: seconds.describe('Seconds until the session ends unless it is used.'),
    session_id: z.string(),
    scope: z.string(),
  })
  .meta({ title: 'TokenPair' })

export const COOKIE_SESSION = z
  .strictObject({
    expires_in: seconds.describe('Seconds until the access token in the cookie expires.'),
    refresh_expires_in: seconds.describe('Seconds until the session ends unless it is used.'),
    session_id: z.string(),
    scope: z.string(),
  })
  .meta({ title: 'CookieSession', description: 'The tokens are in HttpOnly cookies.' })

export const PAIR_OR_COOKIES = z.union([TOKEN_PAIR, COOKIE_SESSION])

export const CLIENT_TOKEN = z
  .strictObject({
    access_token: z.string().describe('A JWT (RFC 9068) whose subject is the client.'),
    token_type: z.literal('Bearer'),
    expires_in: seconds,
    scope: z.string(),
  })
  .meta({ title: 'ClientToken' })

export const TOKEN_ANSWER = z.union([CLIENT_TOKEN, TOKEN_PAIR])

export const REVOKED_COUNT = z.strictObject({ revoked_count: z.int().nonnegative() }).meta({ title: 'RevokedCount' })

export const REVOKED = z.strictObject({ revoked: z.literal(true) })

export const VALIDATED = z.union([
  z.strictObject({ valid: z.literal(true), claims: z.looseObject({ sub: z.string(), exp: z.number() }) }),
  z.strictObject({ valid: z.literal(false), error: z.string(), error_description: z.string() }),
])

export const SESSIONS = z.strictObject({
  sessions: z.array(
    z
      .strictObject({
        id: z.string(),
        current: z.boolean().describe('The one that asks.'),
        device: z.string().describe('Its user agent.'),
        device_name: z.string().describe('What kind of device that is: Firefox on Linux.'),
        ip: z.string(),
        country: z.string().optional().describe('Country that it began in (ISO 3166-1), where that is known.'),
        created_at: dateTime,
        last_used_at: dateTime,
        expires_at: dateTime,
      })
      .meta({ title: 'Session' }),
  ),
})

/** GraphQL §7.1. */
export const GRAPHQL_RESULT = z
  .strictObject({
    data: z.looseObject({}).nullable().optional(),
    errors: z
      .array(
        z.strictObject({
          message: z.string(),
          path: z.array(z.union([z.string(), z.number()])).optional(),
          extensions: z.looseObject({ code: z.string() }),
        }),
      )
      .optional(),
  })
  .meta({ title: 'GraphqlResult' })

/** RFC 7662 §2.2. */
export const INTROSPECTED = z.union([
  z.strictObject({ active: z.literal(false) }),
  z
    .looseObject({
      active: z.literal(true),
      token_type: z.enum(['Bearer', 'refresh_token']),
      scope: z.string(),
      sub: z.string(),
      tenant_id: z.string(),
      client_id: z.string().optional(),
      sid: z.string().optional(),
      exp: z.number(),
      iat: z.number().optional(),
    })
    .meta({ title: 'ActiveToken' }),
])

/** RFC 7517 §5. Never a private member. */
export const JWKS = z
  .strictObject({
    keys: z.array(
      z.strictObject({
        kty: z.enum(['RSA', 'EC', 'OKP']),
        kid: z.string(),
        alg: z.string(),
        use: z.literal('sig'),
        n: z.string().optional(),
        e: z.string().optional(),
        crv: z.string().optional(),
        x: z.string().optional(),
        y: z.string().optional(),
      }),
    ),
  })
  .meta({ title: 'Jwks' })

/** RFC 8414 §2; what is not mounted is not named. */
export const METADATA = z
  .looseObject({
    issuer: z.url(),
    jwks_uri: z.url(),
    token_endpoint: z.url().optional(),
    introspection_endpoint: z.url().optional(),
    revocation_endpoint: z.url().optional(),
    grant_types_supported: z.array(z.string()),
    response_types_supported: z.array(z.string()).max(0),
  })
  .meta({ title: 'ServerMetadata' })

export const HEALTH = z.strictObject({
  status: z.enum(['ok', 'degraded']),
  redis: z.enum(['up', 'down', 'embedded']),
  uptime_seconds: z.int().nonnegative(),
})

export const ECHO = z.looseObject({
  method: z.string(),
  path: z.string(),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
})

/** RFC 9457, and the members of RFC 6749 §5.2. */
export const PROBLEM = z
  .strictObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    error: z.string().describe('The stable code: what programs read.'),
    error_description: z.string(),
    request_id: z.string(),
    fields: z.array(z.strictObject({ field: z.string(), message: z.string() })).optional(),
    suggestions: z.array(z.string()).optional().describe('Free usernames like the one that is taken.'),
  })
  .meta({ title: 'Problem' })

/** RFC 6749 §5.2. */
export const OAUTH_ERROR = z.strictObject({ error: z.string(), error_description: z.string() }).meta({ title: 'OAuthError' })
