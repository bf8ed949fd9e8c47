import type { Admitted } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'

/** What a client presents of itself; nothing of it is proved. */
export type Presented =
  | {
      readonly kind: 'secret'
      readonly id: string
      /** The ways to read the secret: as it stands, and decoded where that is another text. */
      readonly spellings: readonly string[]
    }
  | { readonly kind: 'assertion'; readonly id: string; readonly assertion: string }
  /** A proof that nobody can give: it is refused like a wrong one. */
  | { readonly kind: 'unreadable'; readonly id: string }

/** RFC 7521 §4.2, RFC 7523 §2.2. */
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

const LONGEST_HEADER = 4_096
const LONGEST_ASSERTION = 8_192
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/**
 * The one proof that a request carries (RFC 6749 §2.3: not more than one method a request), or undefined without any.
 *
 * @throws Problem `invalid_request` when there are more, or parts of them contradict each other
 */
export function readCredentials(admitted: Admitted, form: URLSearchParams | undefined): Presented | undefined {
  const headers = authorizationsOf(admitted.rawHeaders)
  const secret = form?.get('client_secret') ?? undefined
  const isAsserted = form?.has('client_assertion') === true || form?.has('client_assertion_type') === true
  if (headers.length + Number(secret !== undefined) + Number(isAsserted) > 1) {
    throw new Problem('invalid_request', { description: 'Authenticate the client in one way only.' })
  }
  const id = form?.get('client_id') ?? undefined
  const [header] = headers
  if (header !== undefined) return sameClient(readBasic(header), id)
  if (form === undefined) return undefined
  if (isAsserted) return readAssertion(form, id)
  return secret === undefined || id === undefined ? undefined : { kind: 'secret', id, spellings: [secret] }
}

function authorizationsOf(rawHeaders: readonly string[]): readonly string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'authorization')
}

function sameClient(presented: Presented, id: string | undefined): Presented {
  if (id === undefined || id === presented.id || presented.kind === 'unreadable') return presented
  throw new Problem('invalid_request', { description: 'client_id is not the client that authenticates.' })
}

/**
 * RFC 7617 §2: id and secret as they are; RFC 6749 §2.3.1: both form-encoded first. Clients in use do either, and curl does
 * the former, so the secret may be right in either reading.
 */
function readBasic(header: string): Presented {
  const [scheme = '', credentials = ''] = header.split(' ', 2)
  const text = scheme.toLowerCase() === 'basic' && header.length <= LONGEST_HEADER ? decode(credentials.trim()) : undefined
  const colon = text?.indexOf(':') ?? -1
  if (text === undefined || colon < 1) return { kind: 'unreadable', id: '' }
  const secret = text.slice(colon + 1)
  const decoded = formDecode(secret)
  // The characters of a registered id need no encoding: what is encoded all the same is decoded.
  const id = formDecode(text.slice(0, colon)) ?? text.slice(0, colon)
  // Told apart by what was sent alone, so the time says nothing about the secret that is expected.
  return { kind: 'secret', id, spellings: decoded === undefined || decoded === secret ? [secret] : [secret, decoded] }
}

function decode(base64: string): string | undefined {
  if (!BASE64.test(base64)) return undefined
  try {
    return UTF8.decode(Buffer.from(base64, 'base64'))
  } catch {
    // Not UTF-8 (RFC 7617 §2.1): no credentials of ours.
    return undefined
  }
}

/** RFC 6749 Appendix B. */
function formDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // It was not encoded, then.
    return undefined
  }
}

/** RFC 7523 §2.2: `client_id` need not be sent; the assertion names the client, which is not believed before it is verified. */
function readAssertion(form: URLSearchParams, id: string | undefined): Presented {
  const assertion = form.get('client_assertion')
  if (assertion === null || form.get('client_assertion_type') !== ASSERTION_TYPE) {
    throw new Problem('invalid_request', { description: `Send client_assertion with client_assertion_type=${ASSERTION_TYPE}.` })
  }
  const claimed = assertion.length > LONGEST_ASSERTION ? undefined : subjectOf(assertion)
  if (claimed === undefined) return { kind: 'unreadable', id: id ?? '' }
  return sameClient({ kind: 'assertion', id: claimed, assertion }, id)
}

function subjectOf(assertion: string): string | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(assertion.split('.', 2)[1] ?? '', 'base64url').toString('utf8'))
    const subject: unknown = typeof claims === 'object' && claims !== null ? Reflect.get(claims, 'sub') : undefined
    return typeof subject === 'string' ? subject : undefined
  } catch {
    // No JWT: refused like one with a wrong signature.
    return undefined
  }
}
