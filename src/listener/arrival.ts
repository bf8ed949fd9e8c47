import { METHODS, type IncomingMessage } from 'node:http'
import type { PublicListenerConfig } from '../config/config.ts'
import { fieldOf, ownText, type Arrived, type Connection, type RequestMessage } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { createClientAddresses, type ClientAddresses } from './client-address.ts'

export interface ArrivalNeeds {
  /** 128 random bits as text. */
  requestId(): string
  monotonicMs(): number
  /** Connections on which something ambiguous came: known to the arrivals of the next configuration too. */
  readonly doubtful?: WeakSet<Connection>
}

/** A request as it was taken from the socket, and why it cannot be read in one way only, if it cannot. */
export interface Arrival {
  readonly arrived: Arrived
  readonly fault: Problem | undefined
}

export interface Arrivals {
  /** Reads what arrived; never throws, so that every request has a record. */
  read(req: RequestMessage): Arrival
}

/** A Host (RFC 9110 §7.2): a name, an IPv4 address or a bracketed IPv6 address, and a port. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9_.])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?$/i
const MAX_HOST = 260
const REMEMBERED_HOSTS = 1024
/** What a field value may hold (RFC 9110 §5.5, without obs-text, which readers decode in different ways). */
const NOT_VISIBLE = /[^\t\x20-\x7e]/
/** A value of so many characters is long. */
const LONG = 64
const REQUEST_ID = /^[\w.:-]{1,128}$/
/** A length that every reader reads alike: RFC 9110 §8.6 allows leading zeros, which some read as octal. */
const LENGTH = /^(?:0|[1-9][0-9]{0,15})$/

/** What the header fields say that the arrival has to know. */
interface Facts {
  host: string | undefined
  hosts: number
  length: string | undefined
  lengths: number
  coding: string | undefined
  codings: number
  expect: string | undefined
  requestId: string | undefined
  upgrade: boolean
  unreadable: boolean
}

export function createArrivals(needs: ArrivalNeeds, config: PublicListenerConfig): Arrivals {
  const addresses = createClientAddresses(config.trustedProxies, needs.doubtful)
  const hosts = new Map<string, string>()
  return { read }

  function read(req: RequestMessage): Arrival {
    const raw = req.rawHeaders
    const facts = factsOf(raw, req.isPlain === true)
    const connection = addresses.ofSocket(req.socket)
    const { peer, trusted } = connection
    const authority = facts.host ?? ''
    const host = hostOf(authority)
    const arrived: Arrived = {
      id: trusted && facts.requestId !== undefined && REQUEST_ID.test(facts.requestId) ? facts.requestId : needs.requestId(),
      method: req.method ?? '',
      target: req.url ?? '',
      host: host ?? '',
      authority: host === undefined ? '' : authority,
      rawHeaders: raw,
      peer,
      trusted,
      client: trusted ? clientBehind(raw, peer, addresses) : peer,
      scheme: req.socket.encrypted === true ? 'https' : 'http',
      certificate: req.socket.clientCertificate,
      upgrade: 'upgrade' in req && req.upgrade === true,
      bodyLength: bodyLengthOf(req, facts),
      expectsContinue: facts.expect !== undefined && req.httpVersion !== '1.0',
      startedMs: needs.monotonicMs(),
    }
    const fault = connection.ambiguous ? refused('it came behind one that is') : findFault(req, facts, host)
    // The parser loses what stands behind an upgrade that is ignored, up to the end of the packet.
    const spreads = fault?.facts.headers === CLOSING || (facts.upgrade && !arrived.upgrade) || isLastAllTheSame(req)
    if (spreads && req.framed === undefined) {
      connection.ambiguous = true
      needs.doubtful?.add(req.socket)
    }
    return { arrived, fault }
  }

  function findFault(req: RequestMessage, facts: Facts, host: string | undefined): Problem | undefined {
    if (req.framed === undefined && !VERSIONS.has(req.httpVersion)) return refused('the version is neither HTTP/1.0 nor HTTP/1.1')
    if (req.framed !== undefined && req.framed.headBytes > config.limits.headerBytes) return new Problem('headers_too_large')
    if (req.rawHeaders.length > config.limits.headers * 2) return new Problem('headers_too_large', { headers: CLOSING })
    if ((req.url ?? '').length > config.limits.urlBytes) return new Problem('uri_too_long', { headers: CLOSING })
    if (facts.hosts > 1) return refused('more than one Host field')
    if (facts.hosts === 0 && req.httpVersion !== '1.0') return refused('no Host field')
    if (host === undefined) return refused('the Host field is not a host')
    if (facts.unreadable) return refused('a header field holds characters outside of visible ASCII')
    if (facts.codings > 1 || (facts.coding !== undefined && facts.coding.toLowerCase() !== 'chunked')) {
      return refused('the only transfer coding is chunked')
    }
    if (facts.codings > 0 && (facts.lengths > 0 || req.httpVersion === '1.0')) return refused('ambiguous framing')
    // Beside an upgrade the parser passes over faults of chunks, and a coding that it does not know for one without a body.
    if (facts.codings > 0 && facts.upgrade) return refused('a chunked body beside an upgrade')
    if (facts.lengths > 1 || (facts.length !== undefined && !LENGTH.test(facts.length))) return refused('ambiguous length')
    if (req.framed?.fault !== undefined) return refused(req.framed.fault)
    // CONNECT of HTTP/1 does not come this way, and methods that its parser does not know neither.
    if (req.method === 'TRACE' || req.method === 'CONNECT')
      return new Problem('method_not_allowed', { headers: { allow: ALLOW } })
    if (req.framed !== undefined && !KNOWN_METHODS.has(req.method ?? '')) return refused('an unknown method')
    if (facts.expect !== undefined && facts.expect.toLowerCase() !== '100-continue') return new Problem('expectation_failed')
    return undefined
  }

  /** Lower case, without port and trailing dot; undefined when it is no host. */
  function hostOf(authority: string): string | undefined {
    const known = hosts.get(authority)
    if (known !== undefined) return known
    if (authority === '') return ''
    if (authority.length > MAX_HOST || !HOST.test(authority)) return undefined
    const name = authority.replace(/:[0-9]+$/, '').toLowerCase()
    const host = ownText(name.endsWith('.') ? name.slice(0, -1) : name)
    if (hosts.size < REMEMBERED_HOSTS) hosts.set(ownText(authority), host)
    return host
  }
}

/** Stands for a request of which nothing could be read, so that it too has a record. */
export function unreadable(known: Pick<Arrived, 'id' | 'peer' | 'startedMs'>): Arrived {
  return {
    ...known,
    method: '',
    target: '',
    host: '',
    authority: '',
    rawHeaders: [],
    trusted: false,
    client: known.peer,
    scheme: 'http',
    upgrade: false,
    bodyLength: 0,
    expectsContinue: false,
  }
}

/** What cannot be read in one way only ends its connection: what follows may be part of it. */
const CLOSING: Readonly<Record<string, string>> = Object.freeze({ connection: 'close' })
const VERSIONS: ReadonlySet<string> = new Set(['1.0', '1.1'])
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS)
const ALLOW = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** Octets of the body (RFC 9112 §6.3, RFC 9113 §8.1.1); undefined: until it ends. */
function bodyLengthOf(req: RequestMessage, facts: Facts): number | undefined {
  if (facts.codings > 0) return undefined
  if (facts.length !== undefined) return Number(facts.length)
  return req.framed?.bodyless === false ? undefined : 0
}

function refused(detail: string): Problem {
  return new Problem('invalid_request', { description: `The request is malformed: ${detail}.`, detail, headers: CLOSING })
}

function factsOf(raw: readonly string[], isPlain: boolean): Facts {
  const facts: Facts = {
    host: undefined,
    hosts: 0,
    length: undefined,
    lengths: 0,
    coding: undefined,
    codings: 0,
    expect: undefined,
    requestId: undefined,
    upgrade: false,
    unreadable: false,
  }
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    if (!isPlain && !isVisible(value)) facts.unreadable = true
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') {
          facts.host = value
          facts.hosts += 1
        }
        break
      case 6:
        if (name.toLowerCase() === 'expect') facts.expect = value
        break
      case 7:
        if (name.toLowerCase() === 'upgrade') facts.upgrade = true
        break
      case 12:
        if (name.toLowerCase() === 'x-request-id') facts.requestId = value
        break
      case 14:
        if (name.toLowerCase() === 'content-length') {
          facts.length = value
          facts.lengths += 1
        }
        break
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') {
          facts.coding = value
          facts.codings += 1
        }
        break
      default:
    }
  }
  return facts
}

/**
 * Control characters come from no parser, neither from that of HTTP/1 (strict) nor from that of HTTP/2 (RFC 9113 §8.2.1); so in
 * what is long, such as a token, only obs-text is looked for, which takes a thirtieth of the time.
 */
function isVisible(value: string): boolean {
  return value.length > LONG ? Buffer.byteLength(value) === value.length : !NOT_VISIBLE.test(value)
}

function clientBehind(raw: readonly string[], peer: string, addresses: ClientAddresses): string {
  const chain: string[] = []
  for (let index = 0; index < raw.length; index += 2) {
    if ((raw[index] ?? '').toLowerCase() === 'x-forwarded-for') chain.push(...(raw[index + 1] ?? '').split(','))
  }
  return ownText(addresses.behind(chain, peer))
}

/** Whether the parser should hand over the socket: only for a WebSocket; any other upgrade is ignored (RFC 9110 §7.8). */
export function isWebSocketUpgrade(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.httpVersion === '1.1' && req.headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * Whether nothing behind the request is read although it says `keep-alive`: `close` counts before it (RFC 9112 §9.3), and of HTTP/1.0
 * the parser has it the other way round.
 */
export function isLastAllTheSame(req: Pick<RequestMessage, 'httpVersion' | 'rawHeaders'>): boolean {
  return req.httpVersion === '1.0' && fieldOf(req, 'connection')?.toLowerCase().includes('close') === true
}

/** Whether there is an Upgrade field; asked of every request, most of which have a use for nothing else of `req.headers`. */
export function hasUpgrade(raw: readonly string[]): boolean {
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    if (name.length === UPGRADE.length && name.toLowerCase() === UPGRADE) return true
  }
  return false
}

const UPGRADE = 'upgrade'

/** Whether the handshake is one of RFC 6455 §4.2.1. */
export function isHandshake(req: IncomingMessage): boolean {
  const { headers } = req
  return headers['sec-websocket-version'] === '13' && /^[A-Za-z0-9+/]{22}==$/.test(headers['sec-websocket-key'] ?? '')
}
