/** The older authentication service, as far as a gateway meets it: its tokens, and its channel. */
import { Redis } from 'ioredis'
import { claims, compact, hs, type Json } from './foreign.ts'
import { waitFor } from './process.ts'
import type { RedisServer } from './redis.ts'

export const LEGACY_SECRET = 'canary-secret-of-the-older-service'
export const LEGACY_PREVIOUS = 'canary-former-secret-of-that-service'
export const LEGACY_ISSUER = 'authentication-service'
export const CHANNEL = 'token_invalidation'

/** A token as that service makes them: no id, no session, no audience, twelve hours. No two are alike. */
export function legacyToken(more: Json = {}, secret = LEGACY_SECRET): string {
  const now = Math.floor(Date.now() / 1000)
  const made = {
    aud: undefined,
    scope: undefined,
    jti: undefined,
    nonce: crypto.randomUUID(),
    exp: now + 43_200,
    iat: now,
    ...more,
  }
  return compact({ alg: 'HS256', typ: 'JWT' }, claims(LEGACY_ISSUER, made), hs('HS256', secret))
}

export interface OlderService {
  /** What was said on the channel so far, our own messages left out. */
  readonly heard: string[]
  /** Publishes as that service does. */
  publish(message: string | Buffer): Promise<number>
  /** Waits until so much was heard. */
  hears(count: number): Promise<readonly string[]>
  close(): void
}

/** A subscriber of the channel with a plain client. */
export async function olderService(redis: RedisServer, channel = CHANNEL): Promise<OlderService> {
  const options = {
    host: '127.0.0.1',
    port: redis.port,
    protocol: 2,
    ...(redis.admin.options.password && { password: redis.admin.options.password }),
  } as const
  const [listener, speaker] = [new Redis(options), new Redis(options)]
  const heard: string[] = []
  const said: string[] = []
  listener.on('message', (_, message) => {
    const own = said.indexOf(message)
    if (own === -1) heard.push(message)
    else said.splice(own, 1)
  })
  await listener.subscribe(channel)
  return {
    heard,
    publish(message) {
      said.push(String(message))
      return speaker.publish(channel, message)
    },
    async hears(count) {
      await waitFor(() => heard.length >= count)
      return heard
    },
    close() {
      listener.disconnect()
      speaker.disconnect()
    },
  }
}

/** Samples of `gatehouse_legacy_channel_messages_total`: `in revoked` → count. */
export async function channelCounts(adminUrl: string): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text()
  const samples = text.matchAll(/^gatehouse_legacy_channel_messages_total\{direction="(\w+)",result="(\w+)"\} (\d+)$/gm)
  return Object.fromEntries([...samples].map(([, direction, result, count]) => [`${direction} ${result}`, Number(count)]))
}

/** Waits until a gateway hears the channel. */
export async function hearing(redis: RedisServer, gateways = 1, channel = CHANNEL): Promise<void> {
  await waitFor(async () => {
    const [, count] = (await redis.admin.pubsub('NUMSUB', channel)) as readonly unknown[]
    return Number(count) >= gateways
  })
}
