import { describeRoutes } from '../config/config.ts'
import type { RateLimits, Route } from '../exchange/exchange.ts'
import { DANGER, difference, type Difference, type Effect, effectOfLimit, effectOfList, isSameList } from './change.ts'

/** What is different for a request that one route took before and another one takes now; undefined: none takes it. */
export function compareRoutes(before: Route | undefined, after: Route | undefined): readonly Difference[] {
  if (before === after) return []
  if (before === undefined)
    return after === undefined ? [] : [{ ...difference('route', 'none', whoMay(after), 'wider'), danger: dangerOf(after) }]
  if (after === undefined) return [difference('route', whoMay(before), 'none', 'narrower')]
  return [
    ...compareAuth(before, after),
    ...(asksForTokens(before) && asksForTokens(after) ? compareTokens(before, after) : []),
    ...compareRest(before, after),
  ]
}

/** `public`, or who has to prove what. */
function whoMay({ auth, caller }: Route): string {
  return auth === 'public' && caller !== undefined ? `a ${caller}` : auth
}

function asksForTokens({ auth }: Route): boolean {
  return auth !== 'public'
}

function dangerOf(route: Route): number {
  return strengthOf(route) === 0 ? DANGER.open : DANGER.wider
}

/** 0: anyone; 1: anyone, and users; 2: whoever proves something. */
function strengthOf({ auth, caller }: Route): number {
  if (auth === 'optional') return caller === undefined ? 1 : 2
  return auth === 'public' && caller === undefined ? 0 : 2
}

function compareAuth(before: Route, after: Route): readonly Difference[] {
  const [old, now] = [whoMay(before), whoMay(after)]
  if (old === now) return []
  const gain = strengthOf(before) - strengthOf(after)
  if (gain > 0)
    return [{ ...difference('auth', old, now, 'wider'), danger: dangerOf(after) === DANGER.open ? DANGER.open : DANGER.trust }]
  return [difference('auth', old, now, gain < 0 ? 'narrower' : 'other')]
}

const CERTIFICATES = ['required', 'optional', 'none']
const STALE = ['deny', 'verify', 'safe-methods', 'allow']

function compareTokens(before: Route, after: Route): readonly Difference[] {
  const found = [
    anyOf('tenants', before.tenants, after.tenants),
    anyOf('issuers', before.issuers, after.issuers),
    allOf('scopes', before.scopes, after.scopes),
    ...compareClaims(before, after),
    limit('maxAuthAge', before.maxAuthAgeSeconds, after.maxAuthAgeSeconds, 's'),
    ranked('replay', before.replay ?? 'allowed', after.replay ?? 'allowed', ['once', 'allowed']),
    ranked('revocation.whenStale', before.revocation.whenStale, after.revocation.whenStale, STALE),
    limit('revocation.maxStaleness', before.revocation.maxStalenessMs, after.revocation.maxStalenessMs, 'ms'),
    ranked('liveUntil', before.liveUntil ?? 'token', after.liveUntil ?? 'token', ['token', 'session']),
    ranked('forwardToken', String(before.forwardToken), String(after.forwardToken), ['false', 'true']),
  ]
  return found.filter((one) => one !== undefined)
}

/** A list of which one is enough; undefined: any. */
function anyOf(what: string, before: Iterable<string> | undefined, after: Iterable<string> | undefined): Difference | undefined {
  const [old, now] = [before && [...before], after && [...after]]
  if (old === undefined) return now === undefined ? undefined : difference(what, 'any', now.join(', '), 'narrower')
  if (now === undefined) return difference(what, old.join(', '), 'any', 'wider')
  return isSameList(old, now) ? undefined : difference(what, old.join(', '), now.join(', '), effectOfList(old, now))
}

/** A list of which all are needed: one that is gone lets more in. */
function allOf(what: string, before: readonly string[], after: readonly string[]): Difference | undefined {
  if (isSameList(before, after)) return undefined
  return difference(what, before.join(', ') || 'none', after.join(', ') || 'none', effectOfList(after, before))
}

function compareClaims(before: Route, after: Route): readonly Difference[] {
  const names = new Set([...before.claims.keys(), ...after.claims.keys()])
  return [...names].flatMap((name) => anyOf(`claims.${name}`, before.claims.get(name), after.claims.get(name)) ?? [])
}

function limit(what: string, before: number | undefined, after: number | undefined, unit: string): Difference | undefined {
  if (before === after) return undefined
  const say = (value: number | undefined) => (value === undefined ? 'none' : `${value}${unit}`)
  return difference(what, say(before), say(after), effectOfLimit(before ?? Infinity, after ?? Infinity))
}

/** Words in the order in which they let more in. */
function ranked(what: string, before: string, after: string, order: readonly string[]): Difference | undefined {
  return before === after
    ? undefined
    : difference(what, before, after, effectOfLimit(order.indexOf(before), order.indexOf(after)))
}

function compareRest(before: Route, after: Route): readonly Difference[] {
  const found = [
    ...comparePlaces('ip', before.ip, after.ip),
    ...comparePlaces('countries', before.countries, after.countries),
    ...comparePages(before, after),
    ...compareLimits(before.rateLimit, after.rateLimit),
    ...compareTargets(before, after),
    ranked('clientCertificate', before.clientCertificate ?? 'none', after.clientCertificate ?? 'none', CERTIFICATES),
    ranked('websocket', String(before.websocket), String(after.websocket), ['false', 'true']),
    ...compareOthers(before, after),
  ]
  return found.filter((one) => one !== undefined)
}

interface Places {
  readonly allow: Iterable<string>
  readonly deny: Iterable<string>
}

function comparePlaces(
  what: 'ip' | 'countries',
  before: Places | undefined,
  after: Places | undefined,
): readonly (Difference | undefined)[] {
  const allowed = (places: Places | undefined) => {
    const list = [...(places?.allow ?? [])]
    return list.length === 0 ? undefined : list
  }
  const [old, now] = [[...(before?.deny ?? [])], [...(after?.deny ?? [])]]
  return [anyOf(`${what}.allow`, allowed(before), allowed(after)), allOf(`${what}.deny`, old, now)]
}

function comparePages({ cors: before }: Route, { cors: after }: Route): readonly (Difference | undefined)[] {
  const [old, now] = [originsOf(before), originsOf(after)]
  if (before === undefined || after === undefined)
    return [allowed('cors.origins', withCredentials(old, before), withCredentials(now, after))]
  return [
    allowed('cors.origins', old, now),
    ranked('cors.credentials', String(before.credentials), String(after.credentials), ['false', 'true']),
    allowed('cors.methods', before.methods, after.methods),
    allowed('cors.headers', before.headers, after.headers),
    allowed('cors.exposedHeaders', before.exposedHeaders, after.exposedHeaders),
    ranked('cors.privateNetwork', String(before.privateNetwork), String(after.privateNetwork), ['false', 'true']),
  ]
}

function originsOf(cors: Route['cors']): readonly string[] {
  if (cors === undefined) return []
  return [...(cors.any ? ['*'] : []), ...cors.origins, ...cors.patterns.map(({ start, end }) => `${start}*${end}`)]
}

function withCredentials(origins: readonly string[], cors: Route['cors']): readonly string[] {
  return cors?.credentials === true ? origins.map((origin) => `${origin} with cookies`) : origins
}

/** A list of what is let in, where an empty one lets nothing in. */
function allowed(what: string, before: readonly string[], after: readonly string[]): Difference | undefined {
  if (isSameList(before, after)) return undefined
  return difference(what, before.join(', ') || 'none', after.join(', ') || 'none', effectOfList(before, after))
}

/** For each of those that are counted, the least rate of all limits counts. */
function compareLimits(before: RateLimits | undefined, after: RateLimits | undefined): readonly Difference[] {
  const kinds = new Set([...(before?.limits ?? []), ...(after?.limits ?? [])].map(({ by }) => by))
  return [...kinds].flatMap((by) => {
    const [old, now] = [strictest(before, by), strictest(after, by)]
    if (old.text === now.text) return []
    const effect: Effect = old.rate === now.rate ? 'other' : effectOfLimit(old.rate, now.rate)
    return [difference(`rateLimit by ${by}`, old.text, now.text, effect)]
  })
}

function strictest(limits: RateLimits | undefined, by: string): { readonly rate: number; readonly text: string } {
  let found = { rate: Infinity, text: 'none' }
  for (const one of limits?.limits ?? []) {
    const rate = one.requests / one.perSeconds
    if (one.by === by && rate < found.rate) found = { rate, text: `${one.requests} per ${one.perSeconds}s, ${one.burst} at once` }
  }
  return found
}

/** Keys that are compared above, and those that have nothing to do with access. */
const DONE: ReadonlySet<string> = new Set(
  `name match auth caller tenants issuers scopes claims maxAuthAgeSeconds replay revocation liveUntil forwardToken ip countries cors rateLimit
  websocket target clientCertificate bodyBytes priority responseTimeoutMs idleTimeoutMs requestTimeoutMs responseHeaders`.split(
    /\s+/,
  ),
)

function compareTargets(before: Route, after: Route): readonly Difference[] {
  const [old, now] = [targetOf(before), targetOf(after)]
  return old === now ? [] : [difference('target', old, now, 'other')]
}

function targetOf({ target }: Route): string {
  if (target.kind === 'upstream') return `upstream ${target.upstream}`
  if (target.kind === 'service') return `service ${target.service}`
  return target.kind === 'split'
    ? target.sides.map(({ upstream, weight }) => `${weight} upstream ${upstream}`).join(', ')
    : 'the gateway'
}

/** Under which path and with which headers it is forwarded, and whatever else a route may say one day. */
function compareOthers(before: Route, after: Route): readonly Difference[] {
  const [old, now] = [plain(before), plain(after)]
  const keys = new Set([...old.keys(), ...now.keys()])
  return [...keys].flatMap((key) => {
    const [one, other] = [old.get(key) ?? 'none', now.get(key) ?? 'none']
    return DONE.has(key) || one === other ? [] : [difference(key, one, other, 'other')]
  })
}

function plain(route: Route): ReadonlyMap<string, string> {
  const described = describeRoutes([route])
  const first: unknown = Array.isArray(described) ? described[0] : undefined
  return new Map(
    Object.entries(first ?? {}).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  )
}
