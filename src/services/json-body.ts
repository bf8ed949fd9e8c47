import type { z } from 'zod'
import type { FieldFault, ProblemKind } from '../problem/problem.ts'
import { Problem, PROBLEMS } from '../problem/problem.ts'
import type { Answer, Call, Endpoint } from './services.ts'
import { headerOf, SERVICE_BODY_BYTES } from './services.ts'

const DEEPEST = 32
/** What is told of a body that is wrong all over. */
const MOST_FAULTS = 20
const LONGEST_NAME = 64

const MEDIA_TYPE = /^application\/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * An endpoint with a JSON body: it is handled only when the body fits the schema.
 *
 * @param body - a strict object: keys that it does not name are refused
 */
export function jsonEndpoint<T>(body: z.ZodType<T>, handle: (call: Call, body: T) => Promise<Answer> | Answer): Endpoint {
  return {
    body,
    async handle(call) {
      return handle(call, await readJson(call, body))
    },
  }
}

/**
 * An endpoint with a JSON body that finds out itself who calls, before it reads anything of the body.
 *
 * @param identify - throws a Problem for whoever may not call
 */
export function guardedJsonEndpoint<T, C>(
  body: z.ZodType<T>,
  identify: (call: Call) => Promise<C>,
  handle: (call: Call, body: T, caller: C) => Promise<Answer>,
): Endpoint {
  return {
    body,
    async handle(call) {
      const caller = await identify(call)
      return handle(call, await readJson(call, body), caller)
    },
  }
}

async function readJson<T>(call: Call, schema: z.ZodType<T>): Promise<T> {
  const type = headerOf(call.admitted, 'content-type')
  if (type === undefined || type.length > 100 || !MEDIA_TYPE.test(type)) throw new Problem('unsupported_media_type')
  const bytes = await call.io.readBody(Math.min(SERVICE_BODY_BYTES, call.admitted.route.bodyBytes))
  if (bytes.length > SERVICE_BODY_BYTES) throw new Problem('payload_too_large')
  return checked(parse(bytes), schema)
}

/** @throws Problem that names what does not fit */
export function checked<T>(value: unknown, schema: z.ZodType<T>): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw refusal(result.error.issues, value)
}

/** Strict RFC 8259: UTF-8 without a mark, bounded depth, no `__proto__`, no half of a surrogate pair. */
function parse(bytes: Buffer): unknown {
  let value: unknown
  try {
    const text = UTF8.decode(bytes)
    if (depthOf(text) > DEEPEST)
      throw new Problem('invalid_request', { description: `The body is nested deeper than ${DEEPEST} levels.` })
    value = JSON.parse(text)
  } catch (error) {
    if (error instanceof Problem) throw error
    // Without the cause: its message quotes the body, which may hold a password.
    throw new Problem('invalid_request', { description: 'The body is not valid JSON in UTF-8.' })
  }
  if (!isClean(value)) throw new Problem('invalid_request', { description: 'The body has a key or a text that is not taken.' })
  return value
}

/** Depth of nesting, found before parsing: the parser and all that walks its result may recurse. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === 0x22) i = endOfString(text, i + 1)
    if (char === 0x7b || char === 0x5b) deepest = Math.max(deepest, ++depth)
    if (char === 0x7d || char === 0x5d) depth--
  }
  return deepest
}

/** Where the quote is that ends a string; most of a body is one long token, so it is not looked at letter by letter. */
function endOfString(text: string, from: number): number {
  for (let quote = text.indexOf('"', from); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let escapes = 0
    while (text.charCodeAt(quote - 1 - escapes) === 0x5c) escapes += 1
    if (escapes % 2 === 0) return quote
  }
  return text.length
}

function isClean(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([key, member]) => key !== '__proto__' && key.isWellFormed() && isClean(member))
}

type Issue = z.core.$ZodIssue

/** A schema may name a problem of its own in `params`; it is taken when nothing else is wrong. */
function refusal(issues: readonly Issue[], value: unknown): Problem {
  if (issues.some((issue) => issue.code === 'invalid_type' && issue.path.length === 0)) {
    return new Problem('invalid_request', { description: 'The body must be a JSON object.' })
  }
  const fields = issues.flatMap((issue) => faultsOf(issue, value)).slice(0, MOST_FAULTS)
  const kinds = new Set(issues.map(kindOf))
  const [kind] = kinds
  if (kinds.size === 1 && kind !== undefined && kind !== 'invalid_request') return new Problem(kind, { fields })
  const names = [...new Set(fields.map((fault) => fault.field))].join(', ')
  return new Problem('invalid_request', { description: `Missing or wrong: ${names}.`, fields })
}

function kindOf(issue: Issue): ProblemKind {
  const name: unknown = issue.code === 'custom' ? issue.params?.['problem'] : undefined
  return typeof name === 'string' && isProblemKind(name) ? name : 'invalid_request'
}

function isProblemKind(name: string): name is ProblemKind {
  return Object.hasOwn(PROBLEMS, name)
}

function faultsOf(issue: Issue, value: unknown): readonly FieldFault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: nameOf([...issue.path, key]), message: 'is not known here: leave it out' }))
  }
  const missing = issue.code === 'invalid_type' && valueAt(value, issue.path) === undefined
  return [{ field: nameOf(issue.path), message: missing ? 'is required' : issue.message }]
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.map(String).join('.').slice(0, LONGEST_NAME).toWellFormed()
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = Reflect.get(at, key)
  }
  return at
}
