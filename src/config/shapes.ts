import { z } from 'zod'
import { scalar } from './scalars.ts'

/** One element of a list, with its index in the file. */
export interface Item<T> {
  readonly at: number
  readonly value: T
}

/** A mapping of known keys; others are faults. Every key may be absent here: what is required is asked for later, so that one fault does not hide another. */
export function mapping<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape)
}

/** A mapping whose keys are names that the operator chooses. */
export function named<V extends z.ZodType>(key: RegExp, must: string, value: V) {
  return z.record(z.string().regex(key, must), value)
}

/** A list. Elements that were refused are left out; the others keep their index. */
export function list<V extends z.ZodType>(element: V) {
  return z.array(element.optional()).transform((values): Item<NonNullable<z.output<V>>>[] => {
    const items: Item<NonNullable<z.output<V>>>[] = []
    for (const [at, value] of values.entries()) if (value !== undefined && value !== null) items.push({ at, value })
    return items
  })
}

/** A key of the grammar that this release refuses. It is left out of the JSON Schema. */
export function unsupported() {
  return z
    .unknown()
    .transform((_, context): undefined => {
      context.addIssue({ code: 'custom', message: 'not supported yet, remove it', params: { at: 'key' } })
    })
    .meta({ unsupported: true })
    .optional()
}

/** `workers`: one process. */
export function workers() {
  return scalar<1>({ const: 1 }, (value) => {
    if (value === 1 || value === '1') return { value: 1 }
    if (value === 'auto') return { fault: 'auto is not supported yet, write 1' }
    const many = typeof value === 'number' && Number.isInteger(value) && value > 1
    return { fault: many ? 'more than one process is not supported yet, write 1' : 'must be 1' }
  })
}
