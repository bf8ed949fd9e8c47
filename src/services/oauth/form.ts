import type { z } from 'zod'
import { Problem } from '../../problem/problem.ts'
import type { Call } from '../services.ts'
import { headerOf, SERVICE_BODY_BYTES } from '../services.ts'

const MEDIA_TYPE = /^application\/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?$/i
const MOST_PARAMETERS = 50

/**
 * The body of a request as a form.
 *
 * @throws Problem `invalid_request` for another media type, for what is no form, for a parameter that is repeated
 * (RFC 6749 §3.2), and for parameters in the URL, which ends up in logs
 */
export async function readForm(call: Call): Promise<URLSearchParams> {
  const type = headerOf(call.admitted, 'content-type')
  if (type === undefined || type.length > 100 || !MEDIA_TYPE.test(type)) {
    throw malformed('Send the body as application/x-www-form-urlencoded.')
  }
  if (call.admitted.query.length > 1) throw malformed('Parameters go into the body, not into the URL.')
  const bytes = await call.io.readBody(Math.min(SERVICE_BODY_BYTES, call.admitted.route.bodyBytes))
  if (bytes.length > SERVICE_BODY_BYTES) throw new Problem('payload_too_large')
  return parse(bytes.toString('latin1'))
}

/** What the form says, if the schema takes it. Parameters that it does not name are passed over (RFC 6749 §3.2). */
export function fieldsOf<T>(form: URLSearchParams, schema: z.ZodType<T>): T {
  const result = schema.safeParse(Object.fromEntries(form))
  if (result.success) return result.data
  const names = [...new Set(result.error.issues.map((issue) => String(issue.path[0] ?? 'body')))]
  throw malformed(`Missing or wrong: ${names.join(', ')}.`)
}

function parse(text: string): URLSearchParams {
  const form = new URLSearchParams()
  if (text === '') return form
  const pairs = text.split('&', MOST_PARAMETERS + 1)
  if (pairs.length > MOST_PARAMETERS) throw malformed('The form has too many parameters.')
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    const name = decode(equals === -1 ? pair : pair.slice(0, equals))
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1))
    if (form.has(name)) throw malformed('A parameter is there twice.')
    form.append(name, value)
  }
  // RFC 6749 §3.2: a parameter without a value is one that was not sent; only after repeats were looked for.
  return new URLSearchParams([...form].filter(([, value]) => value !== ''))
}

/** Strict: what is left to the reader's choice elsewhere (a lone `%`, bytes that are no UTF-8) is refused. */
function decode(text: string): string {
  let value: string | undefined
  try {
    value = isPrintable(text) ? decodeURIComponent(text.replaceAll('+', ' ')) : undefined
  } catch {
    // Its message quotes the text, which may be a secret.
    value = undefined
  }
  if (value === undefined || value.includes('\0')) throw malformed('The body is not a form in UTF-8.')
  return value
}

function isPrintable(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code <= 0x20 || code >= 0x7f) return false
  }
  return true
}

function malformed(description: string): Problem {
  return new Problem('invalid_request', { description })
}
