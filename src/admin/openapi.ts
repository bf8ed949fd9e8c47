interface Call {
  readonly method: 'get' | 'post'
  readonly path: string
  readonly summary: string
  readonly tag: 'state' | 'configuration' | 'tenants' | 'sessions' | 'questions'
  /** Example of a body. Absent: there is none to send. */
  readonly body?: Readonly<Record<string, unknown>>
  /** Of the answer; absent: `application/json`. */
  readonly type?: string
  /** It is answered without a token. */
  readonly isOpen?: true
  /** Refusals besides those that every call may meet: status and when. */
  readonly refusals?: Readonly<Record<string, string>>
}

const REASON = { reason: 'phone was lost, ticket 4711' } as const
const NO_TENANT = { 404: 'There is no such tenant.' } as const
const NOT_READY = { 503: 'It is starting or draining.' } as const
const NOT_TAKEN = { 422: 'It is not in force, with every fault; nothing has changed.' } as const
const TOO_EARLY = { ...NO_TENANT, 409: 'The next key was not published long enough; Retry-After says when it is.' } as const
const NO_SUCH = { 404: 'There is no such tenant, user, key or live session.' } as const
const FULL = { 503: 'As many as can follow it at once do.' } as const

/** Every call of the admin listener. */
const CALLS: readonly Call[] = [
  { method: 'get', path: '/', tag: 'state', type: 'text/html', isOpen: true, summary: 'The console.' },
  {
    method: 'get',
    path: '/events',
    tag: 'state',
    type: 'text/event-stream',
    summary: 'What the console shows, live.',
    refusals: FULL,
  },
  { method: 'get', path: '/healthz', tag: 'state', isOpen: true, summary: 'Whether the process is alive.' },
  {
    method: 'get',
    path: '/readyz',
    tag: 'state',
    isOpen: true,
    summary: 'Whether requests should be sent here.',
    refusals: NOT_READY,
  },
  { method: 'get', path: '/metrics', tag: 'state', type: 'text/plain', summary: 'The metrics, for Prometheus.' },
  { method: 'get', path: '/upstreams', tag: 'state', summary: 'Upstreams and their servers.' },
  { method: 'get', path: '/usernames/analytics', tag: 'state', summary: 'What usernames are asked for.' },
  { method: 'get', path: '/routes', tag: 'configuration', summary: 'Every route as it is enforced.' },
  { method: 'get', path: '/config', tag: 'configuration', summary: 'The configuration in force, without secrets.' },
  { method: 'post', path: '/reload', tag: 'configuration', summary: 'Reads the configuration again.', refusals: NOT_TAKEN },
  { method: 'get', path: '/openapi.json', tag: 'configuration', summary: 'What the public listener answers itself.' },
  { method: 'get', path: '/openapi-admin.json', tag: 'configuration', summary: 'This document.' },
  {
    method: 'post',
    path: '/explain',
    tag: 'questions',
    summary: 'What would become of a request, and why.',
    body: { method: 'GET', url: '/health', headers: { 'x-beta': '1' }, ip: '203.0.113.7' },
  },
  { method: 'get', path: '/graphql', tag: 'questions', type: 'text/html', isOpen: true, summary: 'A page that runs queries.' },
  {
    method: 'post',
    path: '/graphql',
    tag: 'questions',
    summary: 'Runs a query in the name of nobody.',
    body: { query: '{ checkUsernameAvailability(username: "ada") { available } }' },
  },
  { method: 'get', path: '/tenants', tag: 'tenants', summary: 'The tenants and their signing keys.' },
  { method: 'get', path: '/tenants/{id}', tag: 'tenants', summary: 'One of them.', refusals: NO_TENANT },
  { method: 'get', path: '/tenants/{id}/keys', tag: 'tenants', summary: 'The signing keys of a tenant.', refusals: NO_TENANT },
  {
    method: 'post',
    path: '/tenants/{id}/keys/rotate',
    tag: 'tenants',
    summary: 'Rotates the key.',
    body: REASON,
    refusals: TOO_EARLY,
  },
  {
    method: 'post',
    path: '/tenants/{id}/keys/{kid}/revoke',
    tag: 'tenants',
    summary: 'Revokes a key.',
    body: REASON,
    refusals: NO_SUCH,
  },
  {
    method: 'post',
    path: '/tenants/{id}/revoke',
    tag: 'tenants',
    summary: 'Revokes every token.',
    body: REASON,
    refusals: NO_TENANT,
  },
  {
    method: 'get',
    path: '/tenants/{id}/users/{user}/sessions',
    tag: 'sessions',
    summary: 'The live sessions of a user, by id, e-mail address or username.',
    refusals: NO_TENANT,
  },
  {
    method: 'post',
    path: '/tenants/{id}/users/{user}/sessions/revoke',
    tag: 'sessions',
    summary: 'Ends every session of a user.',
    body: REASON,
    refusals: NO_TENANT,
  },
  {
    method: 'post',
    path: '/tenants/{id}/users/{user}/sessions/{session}/revoke',
    tag: 'sessions',
    summary: 'Ends one session of a user.',
    body: REASON,
    refusals: NO_SUCH,
  },
  {
    method: 'post',
    path: '/tenants/{id}/users/{user}/disable',
    tag: 'sessions',
    summary: 'Ends every session of a user, who cannot log in again.',
    body: REASON,
    refusals: NO_SUCH,
  },
  {
    method: 'post',
    path: '/tenants/{id}/users/{user}/enable',
    tag: 'sessions',
    summary: 'Lets a disabled user log in again.',
    body: REASON,
    refusals: NO_SUCH,
  },
]

type Json = Readonly<Record<string, unknown>>

const REFUSAL = { $ref: '#/components/schemas/Problem' } as const

/** The OpenAPI 3.1 document of the admin listener; what the public one answers has a document of its own. */
export function adminOpenApi(): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const call of CALLS) (paths[call.path] ??= {})[call.method] = describeCall(call)
  return {
    openapi: '3.1.1',
    info: { title: 'Gatehouse, for operators', version: '1', summary: 'The calls of the admin listener.' },
    servers: [{ url: '/' }],
    paths,
    components: {
      examples: {},
      schemas: {
        Problem: {
          type: 'object',
          description: 'application/problem+json (RFC 9457).',
          required: ['type', 'title', 'status', 'error', 'error_description', 'request_id'],
          properties: {
            type: { type: 'string' },
            title: { type: 'string' },
            status: { type: 'integer' },
            error: { type: 'string' },
            error_description: { type: 'string' },
            request_id: { type: 'string' },
          },
        },
      },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'listeners.admin.token.' },
        mark: {
          type: 'apiKey',
          in: 'header',
          name: 'x-gatehouse-admin',
          description: '1: where there is no token, on loopback, for what is sent by POST.',
        },
      },
    },
  }
}

function describeCall({ method, path, summary, tag, body, type = 'application/json', isOpen, refusals = {} }: Call): Json {
  const parameters = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  return {
    operationId: `${method}${path.replaceAll(/[^a-z]+/gi, '_')}`.replace(/_$/, ''),
    summary,
    tags: [tag],
    security: isOpen === true ? [] : [{ token: [] }, method === 'post' ? { mark: [] } : {}],
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && {
      requestBody: { required: body !== REASON, content: { 'application/json': { schema: { type: 'object' }, example: body } } },
    }),
    responses: {
      200: {
        description: 'It is so, or done.',
        content: { [type]: { schema: type === 'application/json' ? {} : { type: 'string' } } },
      },
      ...(isOpen !== true && { 401: { ...refusal('The admin token is missing or wrong.'), headers: CHALLENGE } }),
      403: refusal('The Host is not of loopback, or a page of another origin asks.'),
      ...Object.fromEntries(Object.entries(refusals).map(([status, when]) => [status, refusal(when)])),
    },
  }
}

const CHALLENGE = { 'WWW-Authenticate': { schema: { type: 'string' } } } as const

function refusal(description: string): Json {
  return { description, content: { 'application/problem+json': { schema: REFUSAL } } }
}
