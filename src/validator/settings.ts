import type { RedisConfig } from '../storage/redis/redis.ts'
import type {
  FeedClient,
  FreshnessOptions,
  IntrospectedRevocations,
  RedisRevocations,
  TenantOptions,
  TokenOptions,
  ValidatorEvent,
  ValidatorOptions,
} from './options.ts'

/** The options with every default applied. */
export interface Settings {
  readonly origin: string
  readonly reachAt: string
  readonly service: string | undefined
  readonly header: string
  readonly tokens: TokenSettings | undefined
  /** Absent: any. */
  readonly tenants: ReadonlySet<string> | undefined
  readonly issuers: readonly Required<TenantOptions>[]
  readonly clockSkewSeconds: number
  readonly cacheEntries: number
  readonly onEvent: (event: ValidatorEvent) => void
  readonly fetch: typeof globalThis.fetch
}

export type TokenSettings =
  | { readonly kind: 'unchecked' }
  | ({ readonly kind: 'feed'; readonly sources: readonly FeedSource[] } & Required<FreshnessOptions>)
  | ({ readonly kind: 'introspection' } & Required<IntrospectedRevocations['introspection']>)

/** Where revocations are followed: the Redis of the gateways, or a gateway, which tells of one tenant. */
export type FeedSource =
  | { readonly kind: 'redis'; readonly redis: RedisConfig }
  | ({ readonly kind: 'gateway' } & Required<FeedClient>)

const HEADER_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/
const PATH = /^\/[^?#]*$/
const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]'])

/** @throws TypeError that names the option, and repeats no value: some are secrets */
export function readOptions(options: ValidatorOptions): Settings {
  const { service, tokens, clockSkewSeconds = 5, cacheEntries = 10_000 } = options
  const origin = originOf('origin', options.origin)
  const reachAt = options.reachAt === undefined ? origin : originOf('reachAt', options.reachAt)
  refuseUnless(service !== undefined || tokens !== undefined, 'service or tokens must say what is taken')
  refuseUnless(service !== '', 'service must be the name of an upstream')
  const { protocol, hostname } = new URL(reachAt)
  const isPrivate = protocol === 'https:' || LOOPBACK.has(hostname) || options.allowInsecure === true
  refuseUnless(isPrivate, `${options.reachAt === undefined ? 'origin' : 'reachAt'} must be https, or allowInsecure be true`)
  refuseUnless(clockSkewSeconds >= 0 && clockSkewSeconds <= 300, 'clockSkewSeconds must be from 0 to 300')
  refuseUnless(Number.isInteger(cacheEntries) && cacheEntries > 0, 'cacheEntries must be a whole number from 1')
  const header = (options.header ?? 'x-gatehouse-identity').toLowerCase()
  refuseUnless(HEADER_NAME.test(header), 'header must be the name of a header')
  refuseUnless(options.tenants === undefined || options.tenants.length > 0, 'tenants must name one at least, or be absent')
  const issuers = (options.tenants ?? ['default']).map((one) => tenantOf(one, origin))
  return {
    origin,
    reachAt,
    service,
    header,
    tokens: tokens === undefined ? undefined : tokensOf(tokens),
    tenants: options.tenants === undefined ? undefined : new Set(issuers.map(({ id }) => id)),
    issuers,
    clockSkewSeconds,
    cacheEntries,
    onEvent: unfailing(options.onEvent),
    fetch: options.fetch ?? globalThis.fetch,
  }
}

/** Whoever is told of something must not change what happens. */
function unfailing(onEvent: ValidatorOptions['onEvent']): Settings['onEvent'] {
  return (event) => {
    try {
      onEvent?.(event)
    } catch {
      // Its own to notice: a refusal stays one, and keys are fetched on.
    }
  }
}

function refuseUnless(isFine: boolean, fault: string): void {
  if (!isFine) throw new TypeError(`gatehouse/validator: ${fault}`)
}

function originOf(name: string, value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const isOrigin = url !== undefined && /^https?:$/.test(url.protocol) && (value === url.origin || value === `${url.origin}/`)
  if (!isOrigin) throw new TypeError(`gatehouse/validator: ${name} must be an origin, such as https://api.example.com`)
  return url.origin
}

function tenantOf(tenant: string | TenantOptions, origin: string): Required<TenantOptions> {
  const { id, issuer, audience = 'api' } = typeof tenant === 'string' ? { id: tenant } : tenant
  refuseUnless(id !== '' && audience !== '', 'tenants must have an id and an audience that are not empty')
  return { id, audience, issuer: issuer ?? `${origin}/t/${id}` }
}

function tokensOf({ revocations }: TokenOptions): TokenSettings {
  if (revocations === 'unchecked') return { kind: 'unchecked' }
  if (typeof revocations === 'object' && 'feed' in revocations) {
    const { feed } = revocations
    const clients = 'clientId' in feed ? [feed] : feed
    refuseUnless(clients.length > 0, 'tokens.revocations.feed must name one client at least')
    return { kind: 'feed', sources: clients.map(clientOf), ...freshnessOf(revocations) }
  }
  if (typeof revocations === 'object' && 'redis' in revocations) {
    const sources = [{ kind: 'redis', redis: redisOf(revocations.redis) }] as const
    return { kind: 'feed', sources, ...freshnessOf(revocations) }
  }
  if (typeof revocations === 'object' && 'introspection' in revocations) {
    const { clientId, clientSecret, path = '/oauth', rememberMs = 5_000, timeoutMs = 2_000 } = revocations.introspection
    refuseUnless(clientId !== '' && clientSecret !== '', 'tokens.revocations.introspection needs clientId and clientSecret')
    refuseUnless(PATH.test(path), 'tokens.revocations.introspection.path must begin with /')
    refuseUnless(rememberMs >= 0 && timeoutMs > 0, 'tokens.revocations.introspection has a time that is negative')
    return { kind: 'introspection', clientId, clientSecret, path: path.replace(/\/$/, ''), rememberMs, timeoutMs }
  }
  throw new TypeError("gatehouse/validator: tokens.revocations must be { feed }, { redis }, { introspection } or 'unchecked'")
}

function freshnessOf({ maxStalenessMs = 10_000, whenStale = 'deny' }: FreshnessOptions): Required<FreshnessOptions> {
  refuseUnless(maxStalenessMs > 0, 'tokens.revocations.maxStalenessMs must be above 0')
  refuseUnless(whenStale === 'deny' || whenStale === 'allow', 'tokens.revocations.whenStale must be deny or allow')
  return { maxStalenessMs, whenStale }
}

function clientOf({ clientId, clientSecret, path = '/revocations' }: FeedClient): FeedSource {
  refuseUnless(clientId !== '' && clientSecret !== '', 'tokens.revocations.feed needs clientId and clientSecret')
  refuseUnless(PATH.test(path), 'tokens.revocations.feed.path must begin with /')
  return { kind: 'gateway', clientId, clientSecret, path }
}

function redisOf(redis: RedisRevocations['redis']): RedisConfig {
  const urls =
    typeof redis === 'string'
      ? [redis]
      : 'cluster' in redis
        ? redis.cluster
        : 'sentinels' in redis
          ? redis.sentinels
          : [redis.url]
  const isFine = urls.length > 0 && urls.every((url) => URL.canParse(url) && /^rediss?:$/.test(new URL(url).protocol))
  refuseUnless(isFine, 'tokens.revocations.redis must be redis:// or rediss://')
  const ca = typeof redis === 'string' || redis.ca === undefined ? {} : { ca: redis.ca }
  if (typeof redis === 'string' || 'url' in redis) return { kind: 'redis', url: urls[0] ?? '', ...ca }
  if ('cluster' in redis) return { kind: 'cluster', urls, ...ca }
  return { kind: 'sentinel', urls, name: redis.name, ...ca }
}
