/**
 * The OpenAPI 3.1 document of what this gateway answers itself, made from the routes that mount the services and from the
 * schemas that validate their bodies.
 *
 * It describes and never serves: an upstream's own API is the upstream's to describe, and what is not mounted is not there.
 *
 * @module
 */
import { ACCESS_COOKIE } from '../../exchange/exchange.ts'
import type { Route } from '../../exchange/exchange.ts'
import { describeProblem, Problem, PROBLEMS } from '../../problem/problem.ts'
import type { ProblemKind } from '../../problem/problem.ts'
import { endpointsOf } from '../services.ts'
import { OAUTH_ERRORS } from '../oauth/errors.ts'
import { OAUTH_ERROR, PROBLEM } from './answers.ts'
import type { Components } from './components.ts'
import { createComponents } from './components.ts'
import type { Operation } from './operations.ts'
import { operationOf } from './operations.ts'

export { OPERATIONS } from './operations.ts'

type Json = Readonly<Record<string, unknown>>

const EVERY_METHOD = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const EXAMPLE_ID = 'e504b731-dfd5-4dec-855f-da563a8cae9b'
const PARAMETER = /\{([^}]+)\}/g

/** RFC 9110 §15.5.2: the schemes that a caller may prove itself by. */
const SECURITY = {
  anyone: [],
  user: [{ bearer: [] }, { cookie: [] }],
  // The proof may stand in the form instead, which this language has no word for.
  client: [{ client: [] }],
  'client or user': [{ client: [] }, { bearer: [] }, { cookie: [] }],
} as const

/**
 * @param routes - every route as it is enforced; those that lead to an upstream are passed over
 * @param origin - how clients reach the gateway
 */
export function openApiDocument(routes: readonly Route[], origin: string): Json {
  const components = createComponents()
  const paths = new Map<string, Map<string, Json>>()
  for (const route of routes) {
    const operation = route.target.kind === 'service' ? operationOf(route.target.service, route.target.endpoint) : undefined
    if (operation === undefined) continue
    const path = route.match.path.replace(/\/\*$/, '/{path}')
    const methods = route.match.methods.length === 0 ? EVERY_METHOD : route.match.methods
    const item = paths.get(path) ?? new Map<string, Json>()
    paths.set(path, item)
    for (const method of methods) {
      // One path has one description, though several hosts may serve it.
      if (!item.has(method.toLowerCase())) item.set(method.toLowerCase(), describeOperation(route, method, operation, components))
    }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Gatehouse',
      version: '1',
      summary: 'What the gateway answers itself.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    servers: [{ url: origin }],
    paths: Object.fromEntries([...paths].map(([path, item]) => [path, Object.fromEntries(item)])),
    components: {
      schemas: components.schemas(),
      examples: components.examples(),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        cookie: {
          type: 'apiKey',
          in: 'cookie',
          name: ACCESS_COOKIE,
          description: 'For pages of this origin, after a login with cookie: true. Not looked at beside an Authorization header.',
        },
        client: {
          type: 'http',
          scheme: 'basic',
          description:
            'Client id and secret. At the OAuth endpoints also client_secret_post, or private_key_jwt for a client with keys.',
        },
      },
    },
  }
}

function describeOperation(route: Route, method: string, operation: Operation, components: Components): Json {
  const { target } = route
  const service = target.kind === 'service' ? target.service : ''
  const parameters = parametersOf(route.match.path)
  return {
    operationId: route.match.methods.length === 1 ? route.name : `${route.name}.${method.toLowerCase()}`,
    summary: operation.summary,
    tags: [service],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.body === undefined ? {} : { requestBody: describeBody(operation.body, components) }),
    responses: describeAnswers(operation, target, components),
    security: securityOf(operation, route),
  }
}

function parametersOf(path: string): readonly Json[] {
  const named = path.replace(/\/\*$/, '/{path}').matchAll(PARAMETER)
  return [...named].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }))
}

function describeBody({ kind, schema, example }: NonNullable<Operation['body']>, components: Components): Json {
  const type = kind === 'json' ? 'application/json' : 'application/x-www-form-urlencoded'
  return { required: true, content: { [type]: { schema: components.schema(schema, 'input'), example } } }
}

function securityOf(operation: Operation, route: Route): readonly Json[] {
  if (operation.caller !== 'route') return SECURITY[operation.caller]
  if (route.auth === 'public') return SECURITY.anyone
  // An empty requirement: without a token, too.
  return route.auth === 'optional' ? [{}, ...SECURITY.user] : SECURITY.user
}

function describeAnswers(operation: Operation, target: Route['target'], components: Components): Json {
  const [service, endpoint] = target.kind === 'service' ? [target.service, target.endpoint] : ['', '']
  const ends = endpointsOf(service).some((info) => info.name === endpoint && info.ends)
  const success = { ...describeSuccess(operation, components), ...(ends ? { headers: REPLICATION } : {}) }
  const answers = new Map<string, Json>([[String(operation.status), success]])
  if (service === 'oauth') for (const [status, answer] of oauthErrors(components)) answers.set(status, answer)
  for (const [status, kinds] of byStatus(operation.problems)) answers.set(status, describeProblems(status, kinds, components))
  answers.set('default', {
    description: 'Any other refusal of the gateway.',
    content: { 'application/problem+json': { schema: components.schema(PROBLEM, 'output') } },
  })
  return Object.fromEntries(answers)
}

function describeSuccess({ answer, type = 'application/json' }: Operation, components: Components): Json {
  if (answer === undefined) return { description: 'Done.' }
  return { description: 'Success.', content: { [type]: { schema: components.schema(answer, 'output') } } }
}

function byStatus(kinds: readonly ProblemKind[]): ReadonlyMap<string, readonly ProblemKind[]> {
  return Map.groupBy(new Set(kinds), (kind) => String(PROBLEMS[kind].status))
}

function describeProblems(status: string, kinds: readonly ProblemKind[], components: Components): Json {
  const examples = kinds.map((kind) => {
    const { body } = describeProblem(new Problem(kind), EXAMPLE_ID)
    return [kind, components.example(kind, PROBLEMS[kind].title, JSON.parse(body))] as const
  })
  return {
    description: kinds.map((kind) => PROBLEMS[kind].description).join(' '),
    ...(status === '401' || status === '403' ? { headers: CHALLENGE } : {}),
    ...(status === '429' || status === '503' ? { headers: RETRY_AFTER } : {}),
    content: {
      'application/problem+json': { schema: components.schema(PROBLEM, 'output'), examples: Object.fromEntries(examples) },
    },
  }
}

function oauthErrors(components: Components): readonly (readonly [string, Json])[] {
  const rows = Object.entries(OAUTH_ERRORS)
  return [...Map.groupBy(rows, ([, row]) => String(row.status))].map(([status, group]) => {
    const examples = group.map(([error, row]) => {
      const value = { error, error_description: row.description }
      return [error, components.example(`oauth_${error}`, row.description, value)] as const
    })
    const content = {
      'application/json': { schema: components.schema(OAUTH_ERROR, 'output'), examples: Object.fromEntries(examples) },
    }
    const headers = status === '401' ? { headers: CHALLENGE } : {}
    return [status, { description: group.map(([, row]) => row.description).join(' '), ...headers, content }] as const
  })
}

const CHALLENGE = {
  'WWW-Authenticate': { description: 'How to authenticate (RFC 9110 §11.6.1).', schema: { type: 'string' } },
} as const
const REPLICATION = {
  'Gatehouse-Replication': {
    description: '`unconfirmed`: done and in force; no replica of the store is known to have it yet.',
    schema: { type: 'string', enum: ['unconfirmed'] },
  },
} as const
const RETRY_AFTER = { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } } as const
