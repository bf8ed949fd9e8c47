/** Which pages of other origins may call a route, and what of it they may see (Fetch Standard, CORS protocol). */
export interface CorsRules {
  /** Every origin; then nothing may be sent with credentials. */
  readonly any: boolean
  /** Scheme, host and port as a browser writes them: lower case, without a default port. */
  readonly origins: ReadonlySet<string>
  readonly patterns: readonly OriginPattern[]
  /** Upper case. */
  readonly methods: readonly string[]
  /** Lower case. */
  readonly headers: readonly string[]
  /** Lower case. */
  readonly exposedHeaders: readonly string[]
  /** Cookies and TLS client certificates may come along. */
  readonly credentials: boolean
  /** How long a browser may keep the answer to a preflight. */
  readonly maxAgeSeconds: number
  /** Pages on a public network may call, where the gateway is on a private one. */
  readonly privateNetwork: boolean
}

/** `https://*.example.com:8443`: what stands before and behind one or more labels of a host. */
export interface OriginPattern {
  readonly start: string
  /** With its dot and, unless it is the default one, the port. */
  readonly end: string
}

/** Whether a page of this origin may call. `null`, which any page can make itself, is no origin. */
export function isOriginAllowed(rules: CorsRules, origin: string): boolean {
  if (rules.any || rules.origins.has(origin)) return true
  for (const pattern of rules.patterns) if (fits(pattern, origin)) return true
  return false
}

function fits({ start, end }: OriginPattern, origin: string): boolean {
  if (!origin.startsWith(start) || !origin.endsWith(end) || origin.length <= start.length + end.length) return false
  let afterDot = true
  for (let at = start.length; at < origin.length - end.length; at++) {
    const code = origin.charCodeAt(at)
    if (code === DOT && afterDot) return false
    afterDot = code === DOT
    if (!afterDot && !isOfLabel(code)) return false
  }
  return !afterDot
}

const DOT = 0x2e

/** Lower-case letters, digits, `-` and `_`: no `/`, `@` or `:`, behind which another host could stand. */
function isOfLabel(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f
}
