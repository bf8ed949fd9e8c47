import type { Config } from '../config/config.ts'
import { ownText } from '../exchange/exchange.ts'
import type { Exchange, RequestRecord } from './record.ts'
import type { Stamp } from './stamp.ts'
import { quote } from './json-text.ts'
import { describeCause, freeText } from './log.ts'
import { redact } from './redact.ts'
import { printMs } from './stamp.ts'

const PATH_CHARACTERS = 512
const USER_AGENT_CHARACTERS = 256
const NAME_CHARACTERS = 256
const DETAIL_CHARACTERS = 1024
/** Texts of each kind that are kept ready. */
const REMEMBERED = 1024
/** Texts that are longer are not kept: together they would take much memory. */
const REMEMBERED_CHARACTERS = 256

/** Makes the JSON line of a request. Built by hand: no object is made for it, and what is the same in most lines is kept as text. */
export type AccessLine = (record: RequestRecord, status: number, durationMs: number) => string

/** @param tag what stands in each line behind its level, as JSON with a comma before it */
export function createAccessLine(stamp: Stamp, config: Pick<Config, 'routes' | 'tenants' | 'upstreams'>, tag = ''): AccessLine {
  const routes = fragments(
    'route',
    config.routes.map((route) => route.name),
  )
  const tenants = fragments('tenant', config.tenants.keys())
  const upstreams = fragments('upstream', config.upstreams.keys())
  const methods = remember((method) => `,"method":${quote(method)}`)
  const hosts = remember((host) => `,"host":${quote(host)},"path":`)
  const users = remember(namedUser)
  const clients = remember((client) => `,"client":${quote(client)}`)
  const userAgents = remember((name) => `,"user_agent":${freeText(name, USER_AGENT_CHARACTERS)}`, ownText)
  const statuses = Array.from({ length: 600 }, (_, status) => `,"status":${status}`)
  let stamped = ''
  let opening = ''
  return accessLine

  function accessLine(record: RequestRecord, status: number, durationMs: number): string {
    const exchange = record.exchange
    const problem = record.problem
    let line = open(problem !== undefined && status >= 500) + quote(exchange.id)
    line += methods(exchange.method) + hosts(exchange.host) + path(exchange)
    line += identity(exchange)
    line += clients(exchange.client) + (statuses[status] ?? `,"status":${status}`)
    if (problem !== undefined) line += `,"error":"${problem.error}","problem":"${problem.kind}"`
    line += `,"duration_ms":${printMs(durationMs)}`
    if (record.upstream !== undefined) {
      line += `${fragment(upstreams, 'upstream', record.upstream)},"upstream_ms":${printMs(record.upstreamMs)}`
    }
    line += `,"bytes_in":${record.bytesIn},"bytes_out":${record.bytesOut}`
    if (record.aborted) line += ',"aborted":true'
    if (record.ended !== undefined) line += `,"ended":"${record.ended}"`
    line += userAgent(exchange.rawHeaders)
    if (exchange.trace !== undefined) line += `,"trace_id":"${exchange.trace.id}"`
    if ('revocation' in exchange) line += `,"revocation":"${exchange.revocation}"`
    if (problem === undefined) return `${line}}`
    if (problem.facts.detail !== undefined) line += `,"detail":${freeText(problem.facts.detail, DETAIL_CHARACTERS)}`
    if (status >= 500 && problem.facts.cause !== undefined) line += `,"cause":${describeCause(problem.facts.cause)}`
    return `${line}}`
  }

  /** Most lines of a millisecond begin alike. */
  function open(isError: boolean): string {
    const time = stamp()
    if (isError) return openingOf(time, 'error')
    if (time !== stamped) {
      opening = openingOf(time, 'info')
      stamped = time
    }
    return opening
  }

  function openingOf(time: string, level: 'info' | 'error'): string {
    return `{"time":"${time}","level":"${level}"${tag},"msg":"request","request_id":`
  }

  /** Route, tenant and user, as far as they are known. */
  function identity(exchange: Exchange): string {
    let text = 'route' in exchange ? fragment(routes, 'route', exchange.route.name) : ''
    const tenant = tenantOf(exchange)
    if (tenant !== undefined) text += fragment(tenants, 'tenant', tenant)
    if ('principal' in exchange && exchange.principal.kind === 'identified') {
      const { user, fleeting } = exchange.principal
      text += fleeting === true ? namedUser(user) : users(user)
    }
    return text
  }

  function userAgent(rawHeaders: readonly string[]): string {
    const value = header(rawHeaders, 'user-agent')
    return value === undefined ? '' : userAgents(value)
  }
}

/**
 * Few different texts make up nearly all requests: looking one up takes a tenth of looking at each of its characters.
 *
 * @param keep what is remembered of a text, which may be part of another one
 */
function remember(make: (text: string) => string, keep: (text: string) => string = asItIs): (text: string) => string {
  const known = new Map<string, string>()
  return function remembered(text: string): string {
    const before = known.get(text)
    if (before !== undefined) return before
    const made = make(text)
    if (text.length > REMEMBERED_CHARACTERS) return made
    if (known.size >= REMEMBERED) known.clear()
    known.set(keep(text), made)
    return made
  }
}

function namedUser(user: string): string {
  return `,"user":${freeText(user, NAME_CHARACTERS)}`
}

function asItIs(text: string): string {
  return text
}

/** Tenant that a request is known to belong to: the admitted one, else the token's. */
export function tenantOf(exchange: Exchange): string | undefined {
  if ('admitted' in exchange) return exchange.tenant
  if ('principal' in exchange && exchange.principal.kind === 'identified') return exchange.principal.tenant
  return undefined
}

function path(exchange: Exchange): string {
  if ('path' in exchange) return shortText(exchange.path)
  const target = exchange.target
  // Tokens hide in queries and fragments.
  const end = target.slice(0, PATH_CHARACTERS).search(/[?#]/)
  return shortText(end === -1 ? target : target.slice(0, end))
}

function shortText(text: string): string {
  return quote(redact(text.length > PATH_CHARACTERS ? text.slice(0, PATH_CHARACTERS) : text))
}

/** First value of a field in a list of name, value, name, value …; `name` is lower case. */
function header(rawHeaders: readonly string[], name: string): string | undefined {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const candidate = rawHeaders[index]
    if (candidate !== undefined && candidate.length === name.length && candidate.toLowerCase() === name) {
      return rawHeaders[index + 1]
    }
  }
  return undefined
}

/** `,"route":"orders"` for each configured name, made once. */
function fragments(key: string, names: Iterable<string>): ReadonlyMap<string, string> {
  return new Map([...names].map((name) => [name, `,"${key}":${quote(name)}`]))
}

function fragment(known: ReadonlyMap<string, string>, key: string, name: string): string {
  return known.get(name) ?? `,"${key}":${quote(name.slice(0, NAME_CHARACTERS))}`
}
