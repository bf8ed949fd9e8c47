import type { IdentityConfig } from '../config/config.ts'
import { foldHeaderName } from '../exchange/exchange.ts'

/**
 * What becomes of a header field of the client's:
 * `ours` is dropped (hop-by-hop, framing, look-alikes of them, identity), `rewritten` is dropped because we write it
 * ourselves from what arrived, `forwarding` is believed from trusted proxies only, `trace` too unless we write it ourselves,
 * `credential` stays here unless the route forwards it, `plain` is passed on.
 */
export type HeaderKind = 'plain' | 'ours' | 'rewritten' | 'forwarding' | 'trace' | 'credential'

export interface HeaderNames {
  kindOf(name: string): HeaderKind
}

/** RFC 9110 §7.6.1 and the fields that older software treats alike. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]
/** RFC 9440 §2: a certificate that the gateway has verified, and none that a client tells of. */
const CERTIFICATE = ['client-cert', 'client-cert-chain']
const PROXY_CREDENTIALS = ['proxy-authorization', 'proxy-authenticate', 'proxy-authentication-info']
/** Written anew by the forward step from what the parser understood (RFC 9112 §6.3), or answered here (RFC 9110 §10.1.1). */
const FRAMING = ['content-length', 'host', 'expect']
const REWRITTEN = ['x-request-id', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']
/** Some software takes the path, the method, the user or the client's address from these. */
const FORWARDING = [
  'x-real-ip',
  'x-client-ip',
  'true-client-ip',
  'x-cluster-client-ip',
  'cf-connecting-ip',
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  'remote-user',
  'remote-groups',
  'remote-name',
  'remote-email',
]
/** W3C Trace Context. */
const TRACE = ['traceparent', 'tracestate']
const FORWARDING_PREFIXES = ['x-forwarded-', 'x-original-', 'x-rewrite-', 'x-envoy-']
const CREDENTIALS = ['authorization', 'cookie']
/** Enough for the names of any honest client; beyond it a name is folded each time. */
const REMEMBERED_NAMES = 2048
const REMEMBERED_LENGTH = 64

/** Says of each header name whose it is; remembers the answer by the name as written. */
export function createHeaderNames(config: IdentityConfig): HeaderNames {
  const kinds = new Map<string, HeaderKind>()
  for (const name of FORWARDING) kinds.set(name, 'forwarding')
  for (const name of TRACE) kinds.set(name, 'trace')
  for (const name of CREDENTIALS) kinds.set(name, 'credential')
  for (const name of REWRITTEN) kinds.set(name, 'rewritten')
  for (const name of [...HOP_BY_HOP, ...PROXY_CREDENTIALS, ...CERTIFICATE, ...FRAMING]) kinds.set(name, 'ours')
  for (const name of [...Object.values(config.headers), config.passport.header]) kinds.set(foldHeaderName(name), 'ours')
  const { countryHeader = '' } = config
  const foldedCountry = foldHeaderName(countryHeader)
  const remembered = new Map<string, HeaderKind>()
  return { kindOf }

  function kindOf(name: string): HeaderKind {
    const known = remembered.get(name)
    if (known !== undefined) return known
    const kind = classify(name)
    if (remembered.size < REMEMBERED_NAMES && name.length <= REMEMBERED_LENGTH) remembered.set(name, kind)
    return kind
  }

  function classify(name: string): HeaderKind {
    const folded = foldHeaderName(name)
    const kind = kinds.get(folded)
    if (kind === 'credential') return name.toLowerCase() === folded ? kind : 'ours'
    if (kind !== undefined) return kind
    // The proxy writes one spelling and lets others pass.
    if (folded === foldedCountry) return name.toLowerCase() === countryHeader ? 'forwarding' : 'ours'
    for (const prefix of FORWARDING_PREFIXES) if (folded.startsWith(prefix)) return 'forwarding'
    return 'plain'
  }
}
