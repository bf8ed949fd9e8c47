/**
 * Answers with what an upstream would have received: for trying a route without one.
 *
 * It shows the headers after those of the client that are ours were removed and ours were put in; it adds nothing to them.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import type { Principal } from '../../exchange/exchange.ts'
import type { Answer, Call, Service } from '../services.ts'
import { json } from '../services.ts'

/** Larger bodies are told by size and hash alone. */
const SHOWN_BYTES = 64 * 1024
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function createEcho(): Service<'echo'> {
  return { name: 'echo', endpoints: { root: { handle: echo }, below: { handle: echo } } }
}

async function echo({ admitted, io }: Call): Promise<Answer> {
  const body = await io.readBody(admitted.route.bodyBytes)
  return json(
    200,
    {
      method: admitted.method,
      path: admitted.forwardPath,
      query: admitted.query,
      headers: grouped(io.forwardedHeaders()),
      body: described(body),
      identity: identityOf(admitted.principal),
    },
    { 'cache-control': 'no-store' },
  )
}

/** A field that is repeated becomes a list. Without a prototype: a header may be called `__proto__`. */
function grouped(fields: readonly string[]): Readonly<Record<string, unknown>> {
  const values = new Map<string, string[]>()
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase()
    const value = fields[i + 1] ?? ''
    const present = values.get(name)
    if (present === undefined) values.set(name, [value])
    present?.push(value)
  }
  return Object.fromEntries([...values].map(([name, list]) => [name, list.length === 1 ? list[0] : list]))
}

function described(body: Buffer): Readonly<Record<string, unknown>> {
  const text = body.length > SHOWN_BYTES ? undefined : textOf(body)
  if (text !== undefined) return { bytes: body.length, text }
  return { bytes: body.length, sha256: createHash('sha256').update(body).digest('hex') }
}

function textOf(body: Buffer): string | undefined {
  try {
    return UTF8.decode(body)
  } catch {
    // Not UTF-8: an answer of this function, no failure.
    return undefined
  }
}

function identityOf(principal: Principal): Readonly<Record<string, unknown>> | null {
  if (principal.kind === 'anonymous') return null
  const { user, tenant, scopes, session } = principal
  return { user, tenant, scopes, ...(session === undefined ? {} : { session }) }
}
