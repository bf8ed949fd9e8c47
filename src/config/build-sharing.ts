import type { CorsRules, NetworkRules, SplitSide } from '../exchange/exchange.ts'
import type { Build } from './build.ts'
import { refuseEmpty } from './build.ts'
import type { Path } from './faults.ts'
import type { OriginDraft } from './schema-sharing.ts'
import type { RouteDraft } from './schema.ts'
import type { Item } from './shapes.ts'

const USUAL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
const USUAL_HEADERS = ['authorization', 'content-type']
/** What the gateway itself says that a page can do something with. */
const USUAL_EXPOSED = ['x-request-id', 'retry-after', 'ratelimit', 'ratelimit-policy']

/** Where the clients of a route must be. */
export function buildNetworks(path: Path, draft: RouteDraft['ip'], build: Build): { readonly ip?: NetworkRules } {
  if (draft === undefined) return {}
  const ip = { allow: unique(draft.allow), deny: unique(draft.deny) }
  if (ip.allow.length === 0 && ip.deny.length === 0 && !build.isFaulty(path))
    build.report(path, 'has no effect: write allow or deny, or remove it')
  return { ip }
}

/** Whose pages may call a route. */
export function buildCors(path: Path, draft: RouteDraft, build: Build): { readonly cors?: CorsRules } {
  const { cors, match, responseHeaders } = draft
  if (cors === undefined) return {}
  if (cors.origins === undefined) {
    if (!build.isFaulty([...path, 'origins']))
      build.report([...path, 'origins'], 'is required: write a list such as [https://app.example.com]')
  } else refuseEmpty(cors.origins, [...path, 'origins'], 'remove cors where no page of another origin may call', build)
  refuseEmpty(cors.methods, [...path, 'methods'], 'remove it for the methods of the route', build)
  const origins = cors.origins ?? []
  refuseAll(path, origins, cors.credentials, build)
  for (const name of Object.keys(responseHeaders.set)) {
    if (!name.toLowerCase().startsWith('access-control-')) continue
    build.report([...path.slice(0, -1), 'responseHeaders', 'set', name], 'is said by cors: remove it')
  }
  const taken = match.methods.length === 0 ? USUAL_METHODS : unique(match.methods)
  return {
    cors: {
      any: origins.some(({ value }) => 'any' in value),
      origins: new Set(origins.flatMap(({ value }) => ('origin' in value ? [value.origin] : []))),
      patterns: origins.flatMap(({ value }) => ('start' in value ? [value] : [])),
      methods: cors.methods === undefined ? taken : unique(cors.methods),
      headers: cors.headers === undefined ? USUAL_HEADERS : unique(cors.headers),
      exposedHeaders: cors.exposedHeaders === undefined ? USUAL_EXPOSED : unique(cors.exposedHeaders),
      credentials: cors.credentials,
      maxAgeSeconds: cors.maxAge,
      privateNetwork: cors.privateNetwork,
    },
  }
}

/** Fetch Standard §3.3.5: browsers refuse the two together, so whoever writes them expects something else. */
function refuseAll(path: Path, origins: readonly Item<OriginDraft>[], credentials: boolean, build: Build): void {
  const all = origins.find(({ value }) => 'any' in value)
  if (all === undefined) return
  if (credentials)
    build.report(
      [...path, 'origins', all.at],
      'is not for every origin with credentials: name the origins, or remove credentials',
    )
  else if (origins.length > 1) build.report([...path, 'origins', all.at], 'is every origin already: remove it, or the others')
}

/** The upstreams that share the users of a route. */
export function buildSplit(path: Path, draft: NonNullable<RouteDraft['split']>, build: Build): readonly SplitSide[] {
  const sides: SplitSide[] = []
  for (const { at, value } of draft) {
    const { upstream, weight } = value
    const missing = (key: string, words: string) => {
      if (!build.isFaulty([...path, at])) build.report([...path, at, key], words)
    }
    if (upstream === undefined) missing('upstream', 'is required: write the name of an upstream')
    else if (sides.some((side) => side.upstream === upstream))
      build.report([...path, at, 'upstream'], 'has a side already: remove one')
    if (weight === undefined) missing('weight', 'is required: write its share, such as 5')
    sides.push({ upstream: upstream ?? '', weight: weight ?? 1 })
  }
  if (build.isFaulty(path)) return sides
  if (sides.length < 2) build.report(path, 'must have two sides or more: write upstream: NAME for one')
  else if (sides.every(({ weight }) => weight === 0)) build.report(path, 'must not all have weight 0: nothing could be forwarded')
  return sides
}

function unique(items: readonly Item<string>[]): readonly string[] {
  return [...new Set(items.map((item) => item.value))]
}
