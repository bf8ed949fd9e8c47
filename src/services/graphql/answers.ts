import { GraphQLError } from 'graphql'
import type { ExecutionResult } from 'graphql'
import { describeRefusal, Problem } from '../../problem/problem.ts'
import type { Answer } from '../services.ts'
import type { DocumentFault } from './documents.ts'

type Json = Readonly<Record<string, unknown>>

/** What is told of one error. */
export interface ShownError {
  readonly message: string
  readonly path?: readonly (string | number)[]
  readonly extensions: Json
}

/** A result as clients get it. */
export interface Result {
  readonly status: number
  readonly body: { readonly errors?: readonly ShownError[]; readonly data?: unknown }
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
}

/** Messages quote what the client has sent; this much of it. */
const LONGEST_MESSAGE = 200
const NO_HEADERS = Object.freeze({})

/** A document that nothing was done for: 400 in both media types. */
export function ofFault({ code, errors }: DocumentFault): Result {
  return {
    status: 400,
    headers: NO_HEADERS,
    body: { errors: errors.map((error) => ({ message: cut(error.message), extensions: { code } })) },
  }
}

/** A refusal of the whole request. */
export function ofProblem(problem: Problem): Result {
  return { status: problem.status, headers: problem.facts.headers ?? NO_HEADERS, body: { errors: [shownProblem(problem)] } }
}

/**
 * What came of the fields. A request that could not begin is 400; one that was carried out is 200, whatever came of it.
 *
 * @throws what a resolver threw that is no Problem: it is ours to look into
 */
export function ofExecution(result: ExecutionResult): Result {
  const errors = (result.errors ?? []).map(shown)
  const body = { ...(errors.length > 0 && { errors }), ...(result.data !== undefined && { data: result.data }) }
  return { status: result.data === undefined ? 400 : 200, headers: NO_HEADERS, body }
}

/** In the media type that the client asks for (GraphQL over HTTP §6.1); the newer one where it does not say. */
export function answerOf({ status, headers, body }: Result, accept: string | undefined): Answer {
  const isOlder =
    accept !== undefined && /application\/json/i.test(accept) && !/application\/graphql-response\+json/i.test(accept)
  const type = `application/${isOlder ? 'json' : 'graphql-response+json'}; charset=utf-8`
  return { status, headers: { ...headers, 'content-type': type, 'cache-control': 'no-store' }, body: JSON.stringify(body) }
}

function shown(error: GraphQLError): ShownError {
  const { originalError, path } = error
  const place = path === undefined ? {} : { path }
  if (originalError instanceof Problem) return { ...shownProblem(originalError), ...place }
  if (originalError !== undefined && !(originalError instanceof GraphQLError)) throw originalError
  return { message: cut(error.message), ...place, extensions: { code: 'BAD_USER_INPUT' } }
}

/** The code of the table in capitals, as is the custom here; who should log in is told by the name that client libraries know. */
function shownProblem(problem: Problem): ShownError {
  const { error, error_description: message } = describeRefusal(problem)
  const { fields, suggestions, headers } = problem.facts
  const seconds = headers?.['retry-after']
  return {
    message,
    extensions: {
      code: error === 'unauthorized' ? 'UNAUTHENTICATED' : error.toUpperCase(),
      ...(fields !== undefined && { fields }),
      ...(suggestions !== undefined && { suggestions }),
      ...(seconds !== undefined && { retryAfter: Number(seconds) }),
    },
  }
}

function cut(message: string): string {
  return message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE)}…` : message
}
