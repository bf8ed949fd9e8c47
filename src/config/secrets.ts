import { scalar } from './scalars.ts'
import type { Shape } from './scalars.ts'

/** Where a secret is. */
export type SecretSource = { readonly env: string } | { readonly file: string }

const MUST = 'must be { env: NAME } or { file: PATH }'

/** `{ env: NAME }` or `{ file: PATH }`. A fault stands at the whole value and repeats nothing of it. */
export function secret() {
  return scalar<SecretSource>({ anyOf: [shapeOf('env'), shapeOf('file')] }, (value) => {
    if (typeof value !== 'object' || value === null) {
      return { fault: `a secret never stands in this file: it ${MUST}` }
    }
    const [entry, ...others] = Object.entries(value)
    if (entry === undefined || others.length > 0) return { fault: MUST }
    const [kind, place] = entry
    if (typeof place !== 'string' || place === '') return { fault: MUST }
    if (kind === 'file') return { value: { file: place } }
    if (kind !== 'env') return { fault: MUST }
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(place)) return { fault: 'env must be the name of an environment variable' }
    return { value: { env: place } }
  })
}

function shapeOf(key: string): Shape {
  const properties = { [key]: { type: 'string', minLength: 1 } }
  return { type: 'object', properties, required: [key], additionalProperties: false }
}

/** 32 bytes from 64 hex digits, or from base64 or base64url. */
export function parseMasterKey(text: string): Uint8Array | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return new Uint8Array(Buffer.from(text, 'hex'))
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return new Uint8Array(Buffer.from(text, 'base64'))
  return undefined
}
