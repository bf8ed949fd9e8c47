import type { JwsAlgorithm } from '../config/config.ts'
import { ownText } from '../exchange/exchange.ts'
import { algorithmOf } from './algorithms.ts'
import { isOfSegments, isWhole } from './base64url.ts'
import { parseSegment } from './json.ts'
import type { JsonObject } from './json.ts'
import type { Refusal } from './refusals.ts'

export const MAX_TOKEN_LENGTH = 8192
const MAX_KID_LENGTH = 256

/** What is read of a header. */
interface Header {
  readonly algorithm: JwsAlgorithm
  readonly kid: string | undefined
  /** Media type in lower case, without `application/` (RFC 7515 §4.1.9). */
  readonly type: string | undefined
}

/** Headers by their segments, still encoded: most tokens have one that another had. */
export type KnownHeaders = Map<string, Header>

/** Issuers have a few each; whoever makes up others has all of them read again. */
const MOST_HEADERS = 64

/** A compact JWS taken apart (RFC 7515 §3.1). Nothing of it is verified. */
export interface CompactToken extends Header {
  /** Header and payload with the dot between them: what is signed. */
  readonly signed: string
  /** The payload's segment, still encoded. */
  readonly payload: string
  readonly signature: Buffer
}

/** Headers that bring a key along or point at one. We have our own; nothing that they name is ever fetched. */
const EMBEDDED_KEYS = ['jwk', 'jku', 'x5u', 'x5c'] as const

/**
 * The cheap refusals: size, three strict segments, a header that we understand all of, an algorithm that exists.
 *
 * @param known what was read of headers before; it is added to
 */
export function readCompact(token: string, known?: KnownHeaders): CompactToken | Refusal {
  if (token.length > MAX_TOKEN_LENGTH) return 'too_large'
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first < 0 || second < 0 || token.includes('.', second + 1) || !isOfSegments(token)) return 'malformed'
  if (!isWhole(token, 0, first) || !isWhole(token, first + 1, second)) return 'malformed'
  if (!isWhole(token, second + 1, token.length)) return 'malformed'
  const segment = token.slice(0, first)
  const seen = known?.get(segment)
  const header = seen ?? readHeader(segment)
  if (typeof header === 'string') return header
  if (known !== undefined && seen === undefined) remember(known, segment, header)
  return {
    algorithm: header.algorithm,
    kid: header.kid,
    type: header.type,
    signed: token.slice(0, second),
    payload: token.slice(first + 1, second),
    signature: Buffer.from(token.slice(second + 1), 'base64url'),
  }
}

function remember(known: KnownHeaders, segment: string, header: Header): void {
  if (known.size >= MOST_HEADERS) known.clear()
  known.set(ownText(segment), header)
}

function readHeader(segment: string): Header | Refusal {
  const header = parseSegment(segment)
  if (header === undefined) return 'header'
  const { alg, kid, typ } = readable(header)
  const refusal = judgeHeader(header)
  if (refusal !== undefined) return refusal
  const algorithm = algorithmOf(alg)
  if (algorithm === undefined) return 'algorithm'
  if (kid !== undefined && !isKid(kid)) return 'kid'
  if (typ !== undefined && typeof typ !== 'string') return 'type'
  return { algorithm, kid, type: typ === undefined ? undefined : mediaType(typ) }
}

/** The claims of a token, or undefined when its payload is not a JSON object. */
export function readClaims(token: CompactToken): JsonObject | undefined {
  return parseSegment(token.payload)
}

function readable(header: JsonObject): { readonly alg: unknown; readonly kid: unknown; readonly typ: unknown } {
  return { alg: header['alg'], kid: header['kid'], typ: header['typ'] }
}

function judgeHeader(header: JsonObject): Refusal | undefined {
  // RFC 7515 §4.1.11: extensions that are not understood are refused, and we understand none; RFC 7797 is one of them.
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) return 'critical'
  for (const name of EMBEDDED_KEYS) {
    if (Object.hasOwn(header, name)) return 'embedded_key'
  }
  return undefined
}

function isKid(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_KID_LENGTH && !hasControl(value)
}

/** Whether a text holds a control character (C0, DEL, C1). The text is short. */
export function hasControl(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true
  }
  return false
}

function mediaType(typ: string): string {
  const lower = typ.toLowerCase()
  return lower.startsWith('application/') ? lower.slice('application/'.length) : lower
}
