import { GraphQLError, NoSchemaIntrospectionCustomRule, parse, specifiedRules, validate } from 'graphql'
import type { DocumentNode, GraphQLSchema } from 'graphql'
import { CLIENT_LIMITS, findFaultOfForm, measure, OPERATOR_LIMITS } from './limits.ts'
import type { Measured } from './limits.ts'

export interface ReadDocument extends Measured {
  readonly document: DocumentNode
}

export type DocumentFault = {
  readonly code: 'GRAPHQL_PARSE_FAILED' | 'GRAPHQL_VALIDATION_FAILED'
  readonly errors: readonly GraphQLError[]
}

export interface Documents {
  /** Reads, validates and measures a text. Good ones are remembered. */
  read(text: string): ReadDocument | DocumentFault
}

/** Bounds the work of the parser and the height of its stack, whatever the text. */
const MOST_TOKENS = 1_000
const MOST_ERRORS = 5
const REMEMBERED = 200
/** Longer texts are read anew each time, so that the memory has a bound. */
const LONGEST_REMEMBERED = 4_096

/** @param audience - `operators` may read the schema by introspection */
export function createDocuments(schema: GraphQLSchema, audience: 'clients' | 'operators'): Documents {
  const isForClients = audience === 'clients'
  const rules = isForClients ? [...specifiedRules, NoSchemaIntrospectionCustomRule] : specifiedRules
  const limits = isForClients ? CLIENT_LIMITS : OPERATOR_LIMITS
  const known = new Map<string, ReadDocument>()
  return { read }

  function read(text: string): ReadDocument | DocumentFault {
    const found = known.get(text)
    if (found !== undefined) return found
    const result = judge(text)
    if ('errors' in result || text.length > LONGEST_REMEMBERED) return result
    if (known.size >= REMEMBERED) for (const oldest of known.keys().take(1)) known.delete(oldest)
    known.set(text, result)
    return result
  }

  function judge(text: string): ReadDocument | DocumentFault {
    let document: DocumentNode
    try {
      document = parse(text, { maxLexicalTokens: MOST_TOKENS, maxComments: MOST_TOKENS, noLocation: true })
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error
      return { code: 'GRAPHQL_PARSE_FAILED', errors: [error] }
    }
    const fault = findFaultOfForm(document)
    if (fault !== undefined) return invalid([fault])
    // Without suggestions: they would tell the schema.
    const errors = validate(schema, document, rules, { maxErrors: MOST_ERRORS, hideSuggestions: isForClients })
    if (errors.length > 0) return invalid(errors)
    try {
      return { document, ...measure(document, limits) }
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error
      return invalid([error])
    }
  }
}

function invalid(errors: readonly GraphQLError[]): DocumentFault {
  return { code: 'GRAPHQL_VALIDATION_FAILED', errors }
}
