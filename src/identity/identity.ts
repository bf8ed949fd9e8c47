/**
 * What the upstream is told of the request: which header names are ours, what the client may not say, and what we say.
 *
 * Everything the client claims under a name of ours is dropped by folded name, on every route; hop-by-hop fields go first,
 * ours are added last, so that nothing the client sends can remove them. Pure: no input or output, no packages.
 *
 * @module
 */
import type { IdentityConfig } from '../config/config.ts'
import { foldHeaderName, type Admitted, type HeaderRules, type Identified } from '../exchange/exchange.ts'
import { dropOurCookies } from './cookies.ts'
import { createForwarding, type Way } from './forwarding.ts'
import { createHeaderNames, type HeaderNames } from './header-names.ts'
import { asLines } from './lines.ts'

export interface IdentityNeeds {
  /** Signs the passport's claims: a compact ES256 JWS. */
  signPassport(claims: Readonly<Record<string, unknown>>): string
  /** A fresh token id, never used twice. */
  tokenId(): string
  /** Seconds since 1970. */
  nowSeconds(): number
  /** `iss` of the passport: the public origin. */
  readonly origin: string
}

export interface Identity {
  /**
   * The header fields that the upstream gets, as a flat list of name, value, name, value …, without `host`, `connection`
   * and the framing fields, which the forward step writes itself.
   */
  outgoing(exchange: Admitted): string[]
  /** The same, with what can be made in one piece apart. */
  forwarded(exchange: Admitted): Forwarded
}

export interface Forwarded {
  /** As of {@link Identity.outgoing}, without what `ready` says. */
  readonly list: string[]
  /** Says nothing where the list says it all. */
  readonly ready: ReadyLines
}

/** Fields as they go over the wire. */
export interface ReadyLines {
  /** Of HTTP/1.1, each with its end, visible ASCII otherwise. */
  readonly lines: string
  /** Puts the same behind others as name, value, name, value … */
  addTo(fields: string[]): void
}

const NONE: ReadonlySet<string> = new Set()
const NOBODY: Stamp = { fields: [], lines: '', renewAt: 0 }

/** The header fields of one principal for one upstream: the identity, and a passport where it gets one. */
interface Stamp {
  readonly fields: readonly string[]
  /** The same as they go over the wire. */
  readonly lines: string
  /** Seconds since 1970. */
  readonly renewAt: number
}

/** The stamps of a principal, one for each upstream that it was sent to: almost always one, for which a `Map` is large. */
interface Badge {
  readonly audience: string
  stamp: Stamp
  readonly next: Badge | undefined
}

/** @param bare upstreams that get no passport */
export function createIdentity(needs: IdentityNeeds, config: IdentityConfig, bare: ReadonlySet<string> = NONE): Identity {
  const names = createHeaderNames(config)
  const forwarding = createForwarding()
  // Weak: a badge lives exactly as long as the verified-token cache keeps its principal.
  const badges = new WeakMap<Identified, Badge>()
  return { outgoing, forwarded }

  function outgoing(exchange: Admitted): string[] {
    const { list, ready } = forwarded(exchange)
    ready.addTo(list)
    return list
  }

  function forwarded(exchange: Admitted): Forwarded {
    const { route, principal } = exchange
    const list: string[] = []
    copyClientHeaders(exchange, names, list)
    const hasRules = route.requestHeaders.set.size > 0 || route.requestHeaders.remove.size > 0
    const way = hasRules ? undefined : forwarding.wayOf(exchange)
    if (way === undefined) {
      const own = list.length
      forwarding.add(exchange, list)
      applyRules(route.requestHeaders, list, own)
    }
    if (route.clientCertificate !== undefined) presentCertificate(exchange, config, list)
    const stamp = principal.kind === 'identified' ? present(principal, audienceOf(exchange)) : NOBODY
    return { list, ready: readyLines(exchange.id, way, stamp) }
  }

  function present(principal: Identified, audience: string): Stamp {
    const now = needs.nowSeconds()
    if (principal.fleeting === true) return stampOf(principal, audience, now)
    const first = badges.get(principal)
    for (let badge = first; badge !== undefined; badge = badge.next) {
      if (badge.audience !== audience) continue
      if (now >= badge.stamp.renewAt) badge.stamp = stampOf(principal, audience, now)
      return badge.stamp
    }
    const stamp = stampOf(principal, audience, now)
    badges.set(principal, { audience, stamp, next: first })
    return stamp
  }

  /** Signing costs tens of microseconds, so a passport serves until half of its life is over. */
  function stampOf(principal: Identified, audience: string, now: number): Stamp {
    const fields = identityFields(principal, config)
    if (bare.has(audience)) return { ...asLines(fields), renewAt: Number.POSITIVE_INFINITY }
    fields.push(config.passport.header, passport(principal, audience, now))
    return { ...asLines(fields), renewAt: now + Math.floor(config.passport.lifetimeSeconds / 2) }
  }

  function passport(principal: Identified, audience: string, now: number): string {
    return needs.signPassport({
      iss: needs.origin,
      aud: audience,
      sub: principal.user,
      tenant_id: principal.tenant,
      scope: principal.scopes.join(' '),
      ...(principal.session === undefined ? {} : { sid: principal.session }),
      iat: now,
      exp: now + config.passport.lifetimeSeconds,
      jti: needs.tokenId(),
    })
  }
}

/** What is known of the fields that are made in one piece. */
interface Ready extends ReadyLines {
  readonly id: string
  /** Absent: the list says what the request came over. */
  readonly way: Way | undefined
  readonly stamp: Stamp
}

function readyLines(id: string, way: Way | undefined, stamp: Stamp): Ready {
  return { lines: way === undefined ? stamp.lines : way.linesFor(id) + stamp.lines, addTo, id, way, stamp }
}

function addTo(this: Ready, fields: string[]): void {
  this.way?.addTo(fields, this.id)
  for (const text of this.stamp.fields) fields.push(text)
}

/** What the connection proved, for upstreams of routes that ask: its subject, and the certificate itself (RFC 9440). */
function presentCertificate({ certificate }: Admitted, config: IdentityConfig, out: string[]): void {
  if (certificate === undefined) return
  out.push(config.headers.certificate, headerText(certificate.subject), 'client-cert', certificate.field)
}

function audienceOf(exchange: Admitted): string {
  const { target, name } = exchange.route
  if (target.kind === 'upstream') return target.upstream
  if (target.kind === 'service') return target.service
  throw new Error(`nobody behind the route ${name} is told who asks`)
}

function identityFields(principal: Identified, config: IdentityConfig): string[] {
  const fields = [config.headers.user, headerText(principal.user), config.headers.tenant, headerText(principal.tenant)]
  if (principal.scopes.length > 0) fields.push(config.headers.scopes, headerText(principal.scopes.join(' ')))
  if (principal.session !== undefined) fields.push(config.headers.session, headerText(principal.session))
  if (principal.tokenId !== undefined) fields.push(config.headers.token, headerText(principal.tokenId))
  return fields
}

/** Visible ASCII and spaces as they are, all else percent-encoded as UTF-8, so that a value cannot leave its line. */
function headerText(text: string): string {
  // To look first takes a tenth of what it takes to replace nothing.
  return NOT_VISIBLE.test(text) ? text.replace(/[^\x20-\x7e]+/g, percentEncode) : text
}

const NOT_VISIBLE = /[^\x20-\x7e]/

function percentEncode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

/** Copies what the client may say: no hop-by-hop field, nothing that `Connection` names, no name of ours. */
function copyClientHeaders(exchange: Admitted, names: HeaderNames, out: string[]): void {
  const raw = exchange.rawHeaders
  const { route } = exchange
  const nominated = nominatedByConnection(raw)
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    const kind = names.kindOf(name)
    if (kind === 'ours') continue
    if (kind === 'forwarding' && !exchange.trusted) continue
    if (kind === 'trace' && (!exchange.trusted || exchange.trace !== undefined)) continue
    if (kind === 'rewritten') continue
    if (nominated !== undefined && nominated.has(name.toLowerCase())) continue
    if (route.requestHeaders.remove.size > 0 && route.requestHeaders.remove.has(foldHeaderName(name))) continue
    if (route.requestHeaders.set.size > 0 && isSet(route.requestHeaders.set, name)) continue
    if (kind === 'credential' && !route.forwardToken) {
      if (name.length !== COOKIE_LENGTH) continue
      const kept = dropOurCookies(value)
      if (kept !== '') out.push(name, kept)
      continue
    }
    out.push(name, value)
  }
}

/** The route's word over what we wrote from `from` on, so that no field stands there twice. */
function applyRules({ set, remove }: HeaderRules, out: string[], from: number): void {
  if (set.size === 0 && remove.size === 0) return
  for (let index = out.length - 2; index >= from; index -= 2) {
    const name = out[index] ?? ''
    if (remove.has(name) || isSet(set, name)) out.splice(index, 2)
  }
  for (const [name, value] of set) out.push(name, value)
}

/** Of the two credential fields, `authorization` and `cookie`, only the second is taken apart. */
const COOKIE_LENGTH = 'cookie'.length

function isSet(set: ReadonlyMap<string, string>, name: string): boolean {
  const folded = foldHeaderName(name)
  for (const own of set.keys()) if (foldHeaderName(own) === folded) return true
  return false
}

/** Lower-case names that the Connection fields list (RFC 9110 §7.6.1); undefined in the usual case of none. */
function nominatedByConnection(raw: readonly string[]): Set<string> | undefined {
  let nominated: Set<string> | undefined
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? ''
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    const value = (raw[index + 1] ?? '').toLowerCase()
    if (value === 'keep-alive' || value === 'close' || value === 'upgrade') continue
    nominated ??= new Set()
    for (const token of value.split(',')) nominated.add(token.trim())
  }
  return nominated
}
