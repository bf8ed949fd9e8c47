/** Cookies that carry our tokens; an upstream has no business with them. */
const OUR_COOKIES: ReadonlySet<string> = new Set(['__Host-gw_at', '__Secure-gw_rt'])

/** The Cookie field (RFC 6265 §4.2.1) without ours; empty when nothing is left. */
export function dropOurCookies(value: string): string {
  if (!value.includes('gw_')) return value
  const kept: string[] = []
  for (const pair of value.split(';')) {
    const name = pair.slice(0, pair.indexOf('=')).trim()
    if (!OUR_COOKIES.has(name)) kept.push(pair.trim())
  }
  return kept.join('; ')
}
