import { GraphQLError, Kind } from 'graphql'
import type { DocumentNode, FragmentDefinitionNode, OperationDefinitionNode, SelectionSetNode } from 'graphql'

/** What one request may ask for. */
export interface Limits {
  /** Levels of selection, fragments unfolded. */
  readonly depth: number
  /** Fields of the operation, fragments unfolded: an alias is a field. */
  readonly fields: number
}

/** For clients. The schema itself is three levels deep. */
export const CLIENT_LIMITS: Limits = Object.freeze({ depth: 6, fields: 60 })
/** For operators, whose tools read the schema. */
export const OPERATOR_LIMITS: Limits = Object.freeze({ depth: 20, fields: 400 })

const MOST_FRAGMENTS = 20
const CHECK = 'checkUsernameAvailability'

/** A document of one operation within the limits. */
export interface Measured {
  readonly operation: OperationDefinitionNode
  /** Units of the budget for usernames: one for each check, whatever its alias. */
  readonly checks: number
}

interface Size {
  readonly depth: number
  readonly fields: number
  readonly checks: number
}

/** What is wrong with a document by its definitions alone, before anything walks through its fragments. */
export function findFaultOfForm(document: DocumentNode): GraphQLError | undefined {
  const operations = document.definitions.filter((one) => one.kind === Kind.OPERATION_DEFINITION)
  if (operations.length !== 1) return new GraphQLError('The document must have one operation.')
  const fragments = document.definitions.filter((one) => one.kind === Kind.FRAGMENT_DEFINITION)
  if (fragments.length > MOST_FRAGMENTS) return new GraphQLError(`The document has more than ${MOST_FRAGMENTS} fragments.`)
  return undefined
}

/**
 * Measures a document that is valid, so that its fragments do not go in circles.
 *
 * @throws GraphQLError for one beyond the limits
 */
export function measure(document: DocumentNode, limits: Limits): Measured {
  const operation = document.definitions.find((one) => one.kind === Kind.OPERATION_DEFINITION)
  if (operation === undefined) throw new GraphQLError('The document must have one operation.')
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const one of document.definitions) if (one.kind === Kind.FRAGMENT_DEFINITION) fragments.set(one.name.value, one)
  const size = sizeOf(operation.selectionSet, fragments, new Map())
  if (size.depth > limits.depth) throw new GraphQLError(`The query is deeper than ${limits.depth} levels.`)
  if (size.fields > limits.fields) throw new GraphQLError(`The query has more than ${limits.fields} fields and aliases.`)
  return { operation, checks: size.checks }
}

function sizeOf(set: SelectionSetNode, fragments: ReadonlyMap<string, FragmentDefinitionNode>, known: Map<string, Size>): Size {
  let [depth, fields, checks] = [0, 0, 0]
  for (const selection of set.selections) {
    const isField = selection.kind === Kind.FIELD
    const below = isField
      ? selection.selectionSet === undefined
        ? EMPTY
        : sizeOf(selection.selectionSet, fragments, known)
      : selection.kind === Kind.INLINE_FRAGMENT
        ? sizeOf(selection.selectionSet, fragments, known)
        : sizeOfFragment(selection.name.value, fragments, known)
    depth = Math.max(depth, below.depth + (isField ? 1 : 0))
    fields += below.fields + (isField ? 1 : 0)
    checks += below.checks + (isField && selection.name.value === CHECK ? 1 : 0)
  }
  return { depth, fields, checks }
}

const EMPTY: Size = Object.freeze({ depth: 0, fields: 0, checks: 0 })

/** Each fragment is measured once, however often it is spread. */
function sizeOfFragment(name: string, fragments: ReadonlyMap<string, FragmentDefinitionNode>, known: Map<string, Size>): Size {
  const found = known.get(name)
  if (found !== undefined) return found
  const fragment = fragments.get(name)
  const size = fragment === undefined ? EMPTY : sizeOf(fragment.selectionSet, fragments, known)
  known.set(name, size)
  return size
}
