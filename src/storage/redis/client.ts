import { isIP } from 'node:net'
import { Cluster, Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'
import type { SessionStorageConfig } from '../../config/config.ts'
import { refuseSurplus } from './surplus.ts'

/** Where Redis is: one server, a cluster, or a master that sentinels name. */
export type RedisConfig = Exclude<SessionStorageConfig, { readonly kind: 'embedded' }>

/** A new connection takes no longer; nor does one that was asked something and says nothing. */
const CONNECT_MS = 2_000
const SILENCE_MS = 3_000
/** The first attempt to reconnect is made within this: most breaks are of one connection, and nothing is wrong with Redis. */
const AT_ONCE_MS = 20
/** Between those that follow: doubled each time, and anywhere in its upper half. What is back for half a second is found. */
const FIRST_RETRY_MS = 50
const LAST_RETRY_MS = 500
/** A slot that moves sends commands on, or back for a moment, before it does anything with them. Over before the caller is. */
const CLUSTER_MOVES = 16
const MOVING_MS = 50

/**
 * A client that is not connected yet. It never sends a command again by itself: what was answered `storage_unavailable`
 * must not happen later, and what was sent once may have happened.
 *
 * A user name and a password stand in the URL: of a cluster's first one for all nodes, of the sentinels' first one for
 * them and for the master.
 */
export function createClient(config: RedisConfig, random: () => number): Redis | Cluster {
  const client = clientOf(config, random)
  if (client instanceof Cluster) client.on('+node', refuseSurplus)
  else refuseSurplus(client)
  return client
}

/** Hosts and ports, without users and passwords. */
export function placesOf(config: RedisConfig): string {
  const urls = config.kind === 'redis' ? [config.url] : config.urls
  return urls.map((url) => new URL(url).host).join(', ')
}

/** How long to wait before the next attempt; from 1. */
export function retryDelayMs(times: number, random: () => number): number {
  if (times <= 1) return AT_ONCE_MS * random()
  const fullMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times - 2, 10))
  return (fullMs / 2) * (1 + random())
}

function clientOf(config: RedisConfig, random: () => number): Redis | Cluster {
  const retry = (times: number): number => retryDelayMs(times, random)
  if (config.kind === 'redis') return new Redis({ ...COMMON, ...addressOf(config.url, config.ca), ...single(retry) })
  const first = addressOf(config.urls[0] ?? '', config.ca)
  if (config.kind === 'sentinel') {
    const { username, password, tls, db } = first
    return new Redis({
      ...COMMON,
      ...single(retry),
      ...(username === undefined ? {} : { username, sentinelUsername: username }),
      ...(password === undefined ? {} : { password, sentinelPassword: password }),
      ...(tls === undefined ? {} : { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
      ...(db === undefined ? {} : { db }),
      name: config.name,
      role: 'master',
      sentinels: config.urls.map((url) => nodeOf(url, SENTINEL_PORT)),
      sentinelRetryStrategy: retry,
      sentinelCommandTimeout: CONNECT_MS,
      failoverDetector: true,
    })
  }
  const { username, password, tls } = first
  return new Cluster(
    config.urls.map((url) => nodeOf(url, REDIS_PORT)),
    {
      lazyConnect: true,
      clusterRetryStrategy: retry,
      scaleReads: 'master',
      maxRedirections: CLUSTER_MOVES,
      retryDelayOnTryAgain: MOVING_MS,
      // A command that was under way when its node was lost is not sent to another one.
      retryDelayOnFailover: 0,
      slotsRefreshTimeout: CONNECT_MS,
      slotsRefreshInterval: 5_000,
      redisOptions: {
        ...COMMON,
        ...(username === undefined ? {} : { username }),
        ...(password === undefined ? {} : { password }),
        ...(tls === undefined ? {} : { tls }),
      },
    },
  )
}

const REDIS_PORT = 6379
const SENTINEL_PORT = 26379

type Options = Omit<RedisOptions, 'replyMapping'>

const COMMON = {
  lazyConnect: true,
  // Nothing of RESP3 is used, and proxies know RESP2.
  protocol: 2,
  disableClientInfo: true,
  connectionName: 'gatehouse',
  connectTimeout: CONNECT_MS,
  socketTimeout: SILENCE_MS,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
} as const satisfies Options

function single(retry: (times: number) => number): Options {
  // A server that became a replica is left: the name may lead to the new master.
  return { enableOfflineQueue: false, retryStrategy: retry, reconnectOnError: (error) => error.message.startsWith('READONLY') }
}

function addressOf(text: string, ca: string | undefined): Options {
  const url = new URL(text)
  const { host, port } = nodeOf(text, REDIS_PORT)
  // RFC 6066 §3: an address is no server name.
  const tls = { ...(isIP(host) === 0 ? { servername: host } : {}), ...(ca === undefined ? {} : { ca }) }
  return {
    host,
    port,
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(url.protocol === 'rediss:' ? { tls } : {}),
    ...(url.pathname.length > 1 ? { db: Number(url.pathname.slice(1)) } : {}),
  }
}

function nodeOf(text: string, defaultPort: number): { readonly host: string; readonly port: number } {
  const url = new URL(text)
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? defaultPort : Number(url.port) }
}
