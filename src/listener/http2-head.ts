import type { Framed } from '../exchange/exchange.ts'

/** The header fields of an HTTP/2 request as the path reads them: those of HTTP/1.1, and what the frames say besides. */
export interface Http2Head {
  readonly method: string
  readonly target: string
  /** Without pseudo-header fields; one `host`, one `cookie`. */
  readonly rawHeaders: readonly string[]
  readonly framed: Framed
}

/** What the pseudo-header fields and their likes say. */
interface Control {
  method: string
  target: string
  scheme: string | undefined
  authority: string | undefined
  host: string | undefined
  /** Place of the first cookie in the fields. */
  cookieAt: number
  headBytes: number
}

/**
 * Reads the fields of a request (RFC 9113 §8.3.1). The library has refused what breaks the rules of single fields: connection
 * fields, upper case, pseudo-header fields that are unknown, repeated or late, control characters in them.
 *
 * @param raw Name, value, name, value … as received
 */
export function readHead(raw: readonly string[], bodyless: boolean): Http2Head {
  const control: Control = {
    method: '',
    target: '',
    scheme: undefined,
    authority: undefined,
    host: undefined,
    cookieAt: -1,
    headBytes: 0,
  }
  const fields: string[] = []
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    control.headBytes += name.length + value.length
    if (name.charCodeAt(0) === COLON) take(control, name, value)
    else if (name === 'host') control.host = value
    else if (name === 'cookie') addCrumb(control, fields, value)
    else fields.push(name, value)
  }
  const { method, target, headBytes } = control
  const host = control.authority ?? control.host
  if (host !== undefined) fields.push('host', host)
  const fault = faultOf(control)
  return { method, target, rawHeaders: fields, framed: { bodyless, headBytes, ...(fault === undefined ? {} : { fault }) } }
}

const COLON = 0x3a

function take(control: Control, name: string, value: string): void {
  if (name === ':method') control.method = value
  else if (name === ':path') control.target = value
  else if (name === ':scheme') control.scheme = value
  else if (name === ':authority') control.authority = value
}

/** RFC 9113 §8.2.3: one field again, before anybody behind HTTP/2 reads it. */
function addCrumb(control: Control, fields: string[], value: string): void {
  if (control.cookieAt === -1) {
    control.cookieAt = fields.length + 1
    fields.push('cookie', value)
    return
  }
  fields[control.cookieAt] = `${fields[control.cookieAt]}; ${value}`
}

function faultOf({ method, scheme, authority, host }: Control): string | undefined {
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    return 'Host and :authority differ'
  }
  if (method !== 'CONNECT' && scheme !== 'https') return 'the scheme is not that of the connection'
  return undefined
}
