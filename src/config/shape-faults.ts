import { z } from 'zod'
import type { Path, Report } from './faults.ts'
import { EMPTY } from './scalars.ts'
import { gatewaySchema } from './schema.ts'
import type { Draft } from './schema.ts'
import { didYouMean } from './suggest.ts'

interface ShapeFault {
  readonly path: Path
  readonly message: string
  readonly at: 'key' | 'value'
}

/**
 * Holds the file against the grammar. What is wrong is reported and left out, so that the rest can be checked on:
 * the draft is then a fragment, good for finding more faults only.
 */
export function readShape(value: unknown, report: Report): Draft | undefined {
  const first = gatewaySchema.safeParse(value)
  if (first.success) return first.data
  const rest: unknown = structuredClone(value)
  for (const { path, message, at } of first.error.issues.flatMap((issue) => faultsOf(issue, [], value))) {
    report.add(path, message, at)
    remove(rest, path)
  }
  return gatewaySchema.safeParse(rest).data
}

function faultsOf(issue: z.core.$ZodIssue, base: Path, root: unknown): ShapeFault[] {
  const path = [...base, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(path, key), at: 'key' }))
    case 'invalid_union': {
      const value = valueAt(root, path)
      const branch = issue.errors[meansSecond(value, issue.errors[1]) ? 1 : 0] ?? []
      const faults = branch.flatMap((inner) => faultsOf(inner, path, root))
      return faults.length > 0 ? faults : [{ path, message: 'cannot be used here', at: 'value' }]
    }
    case 'invalid_key':
      return [{ path, message: issue.issues[0]?.message ?? 'this key is not allowed', at: 'key' }]
    case 'invalid_type':
      return [{ path, message: wrongType(issue.expected, valueAt(root, path)), at: 'value' }]
    case 'custom':
      return [{ path, message: issue.message, at: issue.params?.['at'] === 'key' ? 'key' : 'value' }]
    default:
      return [{ path, message: 'cannot be used here', at: 'value' }]
  }
}

/**
 * Every union of the grammar is a scalar first and a mapping or list second, or a mapping first and a list of such second. A
 * secret is a scalar that looks like a mapping.
 */
function meansSecond(value: unknown, second: readonly z.core.$ZodIssue[] | undefined): boolean {
  if (typeof value !== 'object' || value === null) return false
  const [issue] = second ?? []
  const wantsList = issue?.code === 'invalid_type' && issue.expected === 'array' && issue.path.length === 0
  return Array.isArray(value) || !wantsList
}

function wrongType(expected: string, value: unknown): string {
  if (value === null) return EMPTY
  return expected === 'array' ? 'must be a list, such as [a, b]' : 'must be a mapping: keys and values'
}

/** A key that belongs one level deeper, else a near miss. */
function unknownKey(path: Path, key: string): string {
  const keys = keysAt(path)
  for (const [outer, inner] of keys) {
    if (mappingIn(inner)?.has(key) === true) return `unknown key, did you mean ${outer}.${key}?`
  }
  const near = didYouMean(key, keys.keys())
  if (near !== '') return `unknown key${near}`
  const known = [...keys.keys()]
  return known.length > 6 ? 'unknown key, remove it' : `unknown key, remove it: known are ${known.join(', ')}`
}

function keysAt(path: Path): ReadonlyMap<string, unknown> {
  let schema: unknown = gatewaySchema
  for (const step of path) {
    const inner = unwrap(schema)
    if (inner instanceof z.ZodObject) schema = typeof step === 'number' ? inner : mappingIn(inner)?.get(step)
    else if (inner instanceof z.ZodRecord) schema = inner.valueType
    else if (inner instanceof z.ZodArray) schema = inner.element
  }
  return mappingIn(schema) ?? new Map()
}

function mappingIn(schema: unknown): ReadonlyMap<string, unknown> | undefined {
  const inner = unwrap(schema)
  return inner instanceof z.ZodObject ? new Map<string, unknown>(Object.entries(inner.shape)) : undefined
}

function unwrap(schema: unknown): unknown {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) return unwrap(schema.unwrap())
  if (schema instanceof z.ZodPipe) return unwrap(schema.in)
  if (!(schema instanceof z.ZodUnion)) return schema
  // A list of such has the same keys.
  const first = unwrap(schema.options[0])
  return first instanceof z.ZodObject ? first : unwrap(schema.options[1])
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const step of path) value = isContainer(value) ? value[step] : undefined
  return value
}

/** An element of a list leaves a hole, so that the others keep their index. */
function remove(root: unknown, path: Path): void {
  const container = valueAt(root, path.slice(0, -1))
  const last = path.at(-1)
  if (last === undefined || !isContainer(container)) return
  if (Array.isArray(container)) container[last] = undefined
  else delete container[last]
}

function isContainer(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null
}
