import { z } from 'zod'
import { gatewaySchema } from './schema.ts'

/** What must be said, by the path of its mapping; the grammar itself asks for it later, to report all faults at once. */
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  'properties.issuers.additionalProperties': ['issuer', 'tenant', 'audiences', 'algorithms'],
  'properties.clients.additionalProperties': ['tenant', 'scopes'],
  'properties.upstreams.additionalProperties': ['targets'],
  'properties.telemetry.properties.traces': ['otlp'],
  'properties.routes.items': ['match'],
  'properties.routes.items.properties.match': ['path'],
}

/**
 * The JSON Schema of `gateway.yaml` for editors, as text.
 * `config/gateway.schema.json` holds this text to the letter.
 */
export function schemaFileText(): string {
  const schema = z.toJSONSchema(gatewaySchema, { io: 'input', unrepresentable: 'any' })
  const tidy = { ...tidied(schema, []), title: 'gateway.yaml of Gatehouse' }
  return `${JSON.stringify(tidy, null, 2)}\n`
}

function tidied(node: object, path: readonly string[]): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(node)) {
    // A default of {} or [] tells a reader nothing.
    if (key === 'default' && typeof value === 'object' && path.at(-1) !== 'properties') continue
    copy[key] = tidiedValue(value, [...path, key])
  }
  const required = REQUIRED[path.join('.')]
  return required === undefined ? copy : { ...copy, required }
}

function tidiedValue(value: unknown, path: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => tidiedValue(item, path))
  return typeof value === 'object' && value !== null ? tidied(value, path) : value
}
