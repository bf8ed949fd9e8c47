/** One thing that was revoked. All times in seconds since 1970. */
export type RevokedFact =
  | { readonly kind: 'token' | 'session' | 'key'; readonly tenant: string; readonly id: string; readonly expiresAt: number }
  | {
      readonly kind: 'user'
      readonly tenant: string
      readonly id: string
      readonly epoch: number
      readonly at: number
      readonly expiresAt: number
    }
  | { readonly kind: 'tenant'; readonly tenant: string; readonly at: number; readonly expiresAt: number }

/** What the first line says of the rest, at both ends of the feed. */
export interface FeedHeading {
  /** `whole`: all that is revoked; `tail`: what came after a position; `restart`: that position is not known any more. */
  readonly kind: 'whole' | 'tail' | 'restart'
  readonly tenant: string
  readonly position: string
  readonly complete: boolean
  /** Infinite where it cannot be told; `null` in the line. */
  readonly lagMs: number
}

/** The lines of some facts. Short, since there may be a million: the tenant is in the heading. */
export interface Lines {
  readonly octets: Buffer
  readonly count: number
}

export function linesOf(facts: readonly RevokedFact[]): Lines {
  return { octets: Buffer.from(facts.map(lineOf).join('')), count: facts.length }
}

/** JSON by line: the heading, a line for each fact, and how many there were as the end. */
export function bodyOf({ kind, tenant, position, complete, lagMs }: FeedHeading, pages: readonly Lines[]): Buffer {
  const first = { kind, tenant, position: Buffer.from(position).toString('base64url'), complete, lag_ms: Math.ceil(lagMs) }
  const count = pages.reduce((sum, page) => sum + page.count, 0)
  const octets = pages.map((page) => page.octets)
  return Buffer.concat([Buffer.from(`${JSON.stringify(first)}\n`), ...octets, Buffer.from(`{"end":${count}}\n`)])
}

/** What a storage calls a position may be any text; clients get it in letters that a URL takes. */
export function positionIn(text: string): string {
  return Buffer.from(text, 'base64url').toString()
}

function lineOf(fact: RevokedFact): string {
  if (fact.kind === 'tenant') return `["tenant",${fact.at},${fact.expiresAt}]\n`
  const id = JSON.stringify(fact.id)
  if (fact.kind === 'user') return `["user",${id},${fact.epoch},${fact.at},${fact.expiresAt}]\n`
  return `["${fact.kind}",${id},${fact.expiresAt}]\n`
}
