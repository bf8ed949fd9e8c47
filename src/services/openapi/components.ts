import { z } from 'zod'

type Json = Readonly<Record<string, unknown>>

/** What the document says once and refers to. */
export interface Components {
  /** The JSON Schema of a zod schema, or a reference where it has a title. */
  schema(schema: z.ZodType, io: 'input' | 'output'): Json
  example(name: string, summary: string, value: unknown): Json
  schemas(): Json
  examples(): Json
}

const COMPONENT = '#/components/schemas/'

export function createComponents(): Components {
  const schemas = new Map<string, unknown>()
  const examples = new Map<string, Json>()
  return {
    schema: (schema, io) => object(hoist(z.toJSONSchema(schema, { io, unrepresentable: 'any' }))),
    example(name, summary, value) {
      examples.set(name, { summary, value })
      return { $ref: `#/components/examples/${name}` }
    },
    schemas: () => Object.fromEntries([...schemas].toSorted(byName)),
    examples: () => Object.fromEntries([...examples].toSorted(byName)),
  }

  /** Moves every schema with a title to the components, from the inside out. */
  function hoist(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(hoist)
    if (!isObject(value)) return value
    const entries = Object.entries(value).filter(([key]) => key !== '$schema')
    const moved = Object.fromEntries(entries.map(([key, member]) => [key, hoist(member)]))
    const { title } = moved
    if (typeof title !== 'string') return moved
    schemas.set(title, moved)
    return { $ref: COMPONENT + title }
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a.localeCompare(b)
}

function object(value: unknown): Json {
  return isObject(value) ? value : {}
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
