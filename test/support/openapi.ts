/** A structural check of an OpenAPI 3.1 document: what a linter would say, as far as tools and readers depend on it. */

export type Json = Record<string, unknown>

export interface DocumentedOperation {
  readonly path: string
  readonly method: string
  readonly operation: Json
}

const METHODS = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'])

export function operationsOf(document: Json): DocumentedOperation[] {
  return Object.entries(document['paths'] as Record<string, Json>).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation: operation as Json })),
  )
}

/** Everything that is wrong with the document, each with its place. */
export function faultsOfDocument(document: Json): string[] {
  const operations = operationsOf(document)
  const ids = operations.map(({ operation }) => operation['operationId'])
  return [
    ...['openapi', 'info', 'paths', 'components'].filter((name) => !(name in document)).map((name) => `${name}: is missing`),
    ...danglingReferences(document),
    ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `${String(id)}: is the id of two operations`),
    ...operations.flatMap((one) => faultsOfOperation(one, document).map((fault) => `${one.method} ${one.path}: ${fault}`)),
    ...unusedComponents(document),
  ]
}

function faultsOfOperation({ path, method, operation }: DocumentedOperation, document: Json): string[] {
  const faults: string[] = []
  if (!METHODS.has(method)) faults.push('is no method')
  if (typeof operation['operationId'] !== 'string') faults.push('has no id')
  if (typeof operation['summary'] !== 'string' || operation['summary'] === '') faults.push('has no summary')
  if (!Array.isArray(operation['tags']) || operation['tags'].length === 0) faults.push('has no tag')
  faults.push(...faultsOfSecurity(operation, document), ...faultsOfParameters(path, operation), ...faultsOfResponses(operation))
  const body = operation['requestBody'] as { content?: Record<string, Json> } | undefined
  if (body !== undefined && method === 'get') faults.push('has a body')
  for (const [type, media] of Object.entries(body?.content ?? {})) {
    if (media['schema'] === undefined || media['example'] === undefined) faults.push(`${type} has no schema or no example`)
  }
  return faults
}

function faultsOfSecurity(operation: Json, document: Json): string[] {
  if (!Array.isArray(operation['security'])) return ['says nothing of security']
  const schemes = (document['components'] as { securitySchemes: Json }).securitySchemes
  const named = operation['security'].flatMap((requirement: Json) => Object.keys(requirement))
  return named.filter((name) => !(name in schemes)).map((name) => `${name} is no security scheme`)
}

function faultsOfParameters(path: string, operation: Json): string[] {
  const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']) => name)
  const declared = ((operation['parameters'] ?? []) as { name: string; in: string; required: boolean }[]).map(({ name }) => name)
  return inPath.toSorted().join() === declared.toSorted().join() ? [] : [`declares ${declared.join()} for ${inPath.join()}`]
}

function faultsOfResponses(operation: Json): string[] {
  const responses = Object.entries((operation['responses'] ?? {}) as Record<string, Json>)
  if (!responses.some(([status]) => /^2\d\d$/.test(status))) return ['has no answer that is a success']
  return responses.flatMap(([status, response]) => [
    ...(/^([1-5]\d\d|default)$/.test(status) ? [] : [`${status} is no status`]),
    ...(typeof response['description'] === 'string' ? [] : [`${status} has no description`]),
    ...(status === '401' && !('WWW-Authenticate' in ((response['headers'] ?? {}) as Json)) ? ['401 has no challenge'] : []),
  ])
}

function danglingReferences(document: Json): string[] {
  return referencesIn(document).filter((reference) => resolve(document, reference) === undefined)
}

function referencesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(referencesIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, member]) => (key === '$ref' ? [String(member)] : referencesIn(member)))
}

function resolve(document: Json, reference: string): unknown {
  if (!reference.startsWith('#/')) return undefined
  return reference
    .slice(2)
    .split('/')
    .reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined), document)
}

function unusedComponents(document: Json): string[] {
  const used = new Set(referencesIn(document))
  const { schemas, examples } = document['components'] as { schemas: Json; examples: Json }
  const all = [
    ...Object.keys(schemas).map((name) => `#/components/schemas/${name}`),
    ...Object.keys(examples).map((name) => `#/components/examples/${name}`),
  ]
  return all.filter((name) => !used.has(name)).map((name) => `${name}: is not used`)
}
