import { OUR_COOKIES } from '../exchange/exchange.ts'

/** The Cookie field (RFC 6265 §4.2.1) without those that carry our tokens; empty when nothing is left. */
export function dropOurCookies(value: string): string {
  if (!value.includes('gw_')) return value
  const kept: string[] = []
  for (const pair of value.split(';')) {
    const name = pair.slice(0, pair.indexOf('=')).trim()
    if (!OUR_COOKIES.has(name)) kept.push(pair.trim())
  }
  return kept.join('; ')
}
