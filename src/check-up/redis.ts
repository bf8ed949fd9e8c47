/**
 * Judges how Redis is set up.
 *
 * @module
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Finding } from './check-up.ts'
import type { Config, SessionStorageConfig } from '../config/config.ts'
import { examineRedis, openChannel, type RedisFacts } from '../storage/redis/redis.ts'
import { monotonicMs, nowMs, random, schedule } from '../world.ts'

const OLDEST = 7
/** Scripts correct the time that a gateway says to within two seconds. */
const MOST_SKEW_MS = 2_000
const SOME_SKEW_MS = 500
const CHANNEL_MS = 3_000

/** Nothing where sessions are not in Redis. */
export async function adviceOnRedis(config: SessionStorageConfig): Promise<readonly Finding[]> {
  if (config.kind === 'embedded') return []
  const servers = await examineRedis({ random, nowMs }, config)
  return servers.flatMap((facts) => judge(facts))
}

/** What is to be said of one server. */
export function judge(facts: RedisFacts): readonly Finding[] {
  const { server, aheadMs } = facts
  const skew = `${server}: its clock is ${Math.abs(aheadMs).toFixed(0)} ms ${aheadMs < 0 ? 'behind' : 'ahead'}`
  return [
    Number.parseInt(facts.version, 10) >= OLDEST
      ? { level: 'ok', check: 'redis version', what: `${server}: ${facts.version}` }
      : { level: 'fail', check: 'redis version', what: `${server}: ${facts.version}`, advice: `use ${OLDEST} or newer` },
    facts.aof
      ? { level: 'ok', check: 'redis persistence', what: `${server}: appendonly yes` }
      : {
          level: 'fail',
          check: 'redis persistence',
          what: `${server}: appendonly no: a restart forgets sessions and revocations`,
          advice: 'set appendonly yes',
        },
    memoryOf(facts),
    replicasOf(facts),
    Math.abs(aheadMs) <= SOME_SKEW_MS
      ? { level: 'ok', check: 'clock', what: skew }
      : {
          level: Math.abs(aheadMs) > MOST_SKEW_MS ? 'fail' : 'warn',
          check: 'clock',
          what: skew,
          advice: 'keep the clocks of all machines in step, by NTP',
        },
  ]
}

function memoryOf({ server, evicts, maxMemory }: RedisFacts): Finding {
  const check = 'redis memory'
  const limit = maxMemory === 0 ? 'no maxmemory' : `maxmemory ${Math.floor(maxMemory / 1024 / 1024)} MiB`
  if (evicts === 'noeviction') return { level: 'ok', check, what: `${server}: noeviction, ${limit}` }
  return {
    level: 'fail',
    check,
    what: `${server}: maxmemory-policy ${evicts}, ${limit}: it forgets revocations when memory is short`,
    advice: 'set maxmemory-policy noeviction',
  }
}

function replicasOf({ server, replicas, needsReplicas }: RedisFacts): Finding {
  const check = 'redis replicas'
  const what = `${server}: ${replicas}, min-replicas-to-write ${needsReplicas ? 'set' : '0'}`
  if (replicas > 0) return { level: 'ok', check, what }
  return { level: 'warn', check, what, advice: 'with its machine everyone is logged out: give it a replica' }
}

/** Says something on a channel beside the configured one, and waits to hear it: others shall not take it for theirs. */
export async function checkChannel({ revocation, storage }: Config): Promise<readonly Finding[]> {
  const name = revocation.legacyChannel?.name
  if (name === undefined || storage.sessions.kind === 'embedded') return []
  const word = `doctor ${random()}`
  const state = { isHeard: false, isListening: false }
  const channel = openChannel(
    {
      random,
      schedule,
      hear: (message) => (state.isHeard ||= message.toString() === word),
      heard: (now) => (state.isListening = now === 'up'),
    },
    storage.sessions,
    `${name}.doctor`,
  )
  try {
    const startedMs = monotonicMs()
    while (!state.isHeard && monotonicMs() - startedMs < CHANNEL_MS) {
      // It fails until the speaker is connected, which the time limit tells.
      if (state.isListening) await channel.publish(word).catch(() => undefined)
      await pause(20)
    }
  } finally {
    channel.close()
  }
  if (state.isHeard) return [{ level: 'ok', check: 'channel', what: `${name}: what is published is heard` }]
  return [{ level: 'fail', check: 'channel', what: `${name}: nothing is heard`, advice: 'allow this user its channels (ACL)' }]
}
