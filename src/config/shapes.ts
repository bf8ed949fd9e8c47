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

const MOST_WORKERS = 64

/** `workers`: a number of processes, or one for each core. */
export function workers() {
  const schema = {
    anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 1, maximum: MOST_WORKERS }, { type: 'string', pattern: '\\$\\{' }],
  }
  return scalar<number | 'auto'>(schema, (value) => {
    if (value === 'auto') return { value }
    // From the environment it comes as text.
    const count = typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : value
    if (typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= MOST_WORKERS) return { value: count }
    return { fault: `must be a whole number from 1 to ${MOST_WORKERS}, or auto for one process for each core` }
  })
}
