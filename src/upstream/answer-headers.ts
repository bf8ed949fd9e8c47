import { foldHeaderName, OUR_COOKIES, type HeaderRules } from '../exchange/exchange.ts'
import type { ReceivedFields } from './dispatch.ts'

/** Header fields line by line: name in lower case, value, name, value … */
export type ResponseHeaders = ReceivedFields

export interface AnswerFields {
  /** Name, value, name, value …, framing included. */
  readonly fields: string[]
  /** Octets of the body, where the upstream said. */
  readonly length: number | undefined
}

/** RFC 9110 §7.6.1, and what our own HTTP stack writes. */
const NOT_PASSED_ON: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'proxy-authenticate',
  'x-request-id',
])
/** What a reader that takes any sign for a hyphen would take for framing. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding'])
/** RFC 9110 §6.5.1: fields that must not stand in a trailer: routing, authentication, control, what the body is. */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set(
  `host authorization www-authenticate authentication-info proxy-authentication-info cookie set-cookie
  age cache-control date expires location retry-after vary warning
  content-encoding content-language content-location content-range content-type`.split(/\s+/),
)

/** The head of an answer as the upstream gave it. */
export interface AnswerHead {
  readonly status: number
  readonly headers: ResponseHeaders
}

/** The fields that the client gets: no hop-by-hop field, nothing that `Connection` names, one length or none. */
export function answerFields({ status, headers }: AnswerHead, rules: HeaderRules, requestId: string): AnswerFields {
  const fields = passedOn(headers, rules)
  for (const [name, value] of rules.set) fields.push(name, value)
  fields.push('x-request-id', requestId)
  // RFC 9110 §8.6: no length where there can be no body; RFC 9112 §6.3: a coding overrides it.
  const framed = status >= 200 && status !== 204 && valueOf(headers, 'transfer-encoding') === undefined
  const length = framed ? lengthOf(valueOf(headers, 'content-length')) : undefined
  if (length !== undefined) fields.push('content-length', String(length))
  return { fields, length }
}

/** What the path itself has set already. */
interface OwnFields {
  getHeaderNames(): readonly string[]
  getHeader(name: string): unknown
  setHeader(name: string, value: string): unknown
}

/**
 * Takes what the upstream says under a name that the path itself has set out of `fields`: ours counts, and is there once. What an
 * answer varies by adds up (RFC 9110 §12.5.5).
 */
export function leaveOut(fields: string[], own: OwnFields): void {
  const names = own.getHeaderNames()
  if (names.length === 0) return
  for (let index = fields.length - 2; index >= 0; index -= 2) {
    const name = (fields[index] ?? '').toLowerCase()
    if (!names.includes(name)) continue
    if (name === 'vary') own.setHeader(name, `${fields[index + 1] ?? ''}, ${String(own.getHeader(name))}`)
    fields.splice(index, 2)
  }
}

/** Adds what the path itself says, in the place of what the upstream says under those names. */
export function announce(fields: string[], announced: readonly string[]): void {
  for (let index = fields.length - 2; index >= 0; index -= 2) {
    if (names(announced, (fields[index] ?? '').toLowerCase())) fields.splice(index, 2)
  }
  for (const text of announced) fields.push(text)
}

function names(fields: readonly string[], name: string): boolean {
  for (let index = 0; index < fields.length; index += 2) if (fields[index] === name) return true
  return false
}

/** RFC 9110 §15: what is above is invalid. */
const LAST_STATUS = 599

/**
 * Whether the status is one, and the body is what the parser makes of it: any other transfer coding than chunked would be lost
 * (RFC 9112 §6.1).
 */
export function isReadable(status: number, headers: ResponseHeaders): boolean {
  if (status > LAST_STATUS) return false
  let codings = 0
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== 'transfer-encoding') continue
    codings += 1
    if (codings > 1 || headers[index + 1]?.toLowerCase() !== 'chunked') return false
  }
  return true
}

/** The fields of an interim answer: it has no body, and what we add stands in the final one. */
export function interimFields(headers: ResponseHeaders, rules: HeaderRules): string[] {
  return passedOn(headers, rules)
}

function passedOn(headers: ResponseHeaders, rules: HeaderRules): string[] {
  const fields: string[] = []
  const nominated = nominatedBy(headers)
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (NOT_PASSED_ON.has(name) || nominated?.has(name) === true || rules.set.has(name)) continue
    if ((name.length === 14 || name.length === 17) && FRAMING.has(foldHeaderName(name))) continue
    if (rules.remove.size > 0 && rules.remove.has(foldHeaderName(name))) continue
    if (name === 'set-cookie' && setsOurs(value)) continue
    fields.push(name, value)
  }
  return fields
}

/** Only the gateway sets cookies of its names: a session that an upstream planted would be somebody else's. */
function setsOurs(line: string): boolean {
  if (!line.includes('gw_')) return false
  // RFC 6265 §5.2. A cookie without a name, `=__Host-gw_at=x`, is sent back as one of that name.
  const pair = (line.split(';', 1)[0] ?? '').replace(/^[\s=]+/, '')
  const equals = pair.indexOf('=')
  return OUR_COOKIES.has((equals === -1 ? pair : pair.slice(0, equals)).trim())
}

/** The trailer fields that may be passed on, as pairs. */
export function trailerFields(trailers: ResponseHeaders, rules: HeaderRules): [string, string][] {
  const fields: [string, string][] = []
  for (let index = 0; index < trailers.length; index += 2) {
    const name = trailers[index] ?? ''
    if (NOT_PASSED_ON.has(name) || NOT_IN_TRAILERS.has(name) || rules.set.has(name)) continue
    if (rules.remove.has(foldHeaderName(name))) continue
    fields.push([name, trailers[index + 1] ?? ''])
  }
  return fields
}

/** Lower-case names that Connection fields list, beyond the usual `keep-alive` and `close`. */
function nominatedBy(headers: ResponseHeaders): Set<string> | undefined {
  let nominated: Set<string> | undefined
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index] !== 'connection') continue
    const value = headers[index + 1] ?? ''
    if (value === 'keep-alive' || value === 'close') continue
    nominated ??= new Set()
    for (const name of value.toLowerCase().split(',')) nominated.add(name.trim())
  }
  return nominated
}

/** The value of the first line of this name. */
function valueOf(headers: ResponseHeaders, name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) if (headers[index] === name) return headers[index + 1]
  return undefined
}

/** The parser has refused what is not a number; repeated lines are equal. */
function lengthOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const length = Number(text)
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined
}
