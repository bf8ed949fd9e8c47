import type { IncomingMessage } from 'node:http'
import { Problem } from '../problem/problem.ts'
import type { FieldFault } from '../problem/problem.ts'
import type { AdminQuestion } from './question.ts'

const MAX_BYTES = 64 * 1024
const MAX_REASON = 256

/** Why somebody changes something: `{"reason": "…"}`, or no body at all. */
export async function readReason(question: AdminQuestion): Promise<string | undefined> {
  const bytes = await question.readBytes()
  if (bytes.length === 0) return undefined
  const body = parseJson(question, bytes)
  const faults = Object.entries(body).flatMap(([field, value]) => faultOf(field, value))
  if (faults.length > 0) throw new Problem('invalid_request', { fields: faults })
  const reason = body['reason']
  return typeof reason === 'string' ? reason : undefined
}

/** A body that is a JSON object. */
export async function readObject(question: AdminQuestion): Promise<Readonly<Record<string, unknown>>> {
  return parseJson(question, await question.readBytes())
}

function parseJson({ contentType }: AdminQuestion, bytes: Buffer): Readonly<Record<string, unknown>> {
  if (!/^application\/json\s*(;|$)/i.test(contentType)) throw new Problem('unsupported_media_type')
  return parse(bytes)
}

/** @throws Problem `payload_too_large` */
export async function readBytes(req: IncomingMessage): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > MAX_BYTES) throw new Problem('payload_too_large')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req) {
    if (!Buffer.isBuffer(chunk)) continue
    size += chunk.length
    if (size > MAX_BYTES) throw new Problem('payload_too_large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parse(bytes: Buffer): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // Without the cause: it quotes the body.
    throw new Problem('invalid_request', { description: 'The body is not JSON in UTF-8.' })
  }
  if (!isObject(value)) throw new Problem('invalid_request', { description: 'The body must be a JSON object.' })
  return value
}

function faultOf(field: string, value: unknown): readonly FieldFault[] {
  if (field !== 'reason') return [{ field: field.slice(0, 64), message: 'unknown, remove it' }]
  if (typeof value === 'string' && value !== '' && value.length <= MAX_REASON && !/\p{Cc}/u.test(value)) return []
  return [{ field, message: `must be text of 1 to ${MAX_REASON} characters, in one line` }]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
