import { Cluster } from 'ioredis'
import type { Redis } from 'ioredis'
import { createClient, type RedisConfig } from './client.ts'
import { withoutArguments } from './failures.ts'

/** How one server of Redis is set up, as far as it can be seen. */
export interface RedisFacts {
  /** Host and port; a password is in neither. */
  readonly server: string
  readonly version: string
  /** Whether it writes an append-only file. */
  readonly aof: boolean
  /** What it does when memory is full, such as `noeviction`. */
  readonly evicts: string
  /** Bytes; 0: no limit of its own. */
  readonly maxMemory: number
  readonly replicas: number
  /** Whether it refuses writes that no replica would get: `min-replicas-to-write` above 0. */
  readonly needsReplicas: boolean
  /** Of its clock before ours, milliseconds; half of the time of the question may be wrong. */
  readonly aheadMs: number
}

export interface ExamineNeeds {
  random(): number
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number
}

/**
 * Asks each server that takes writes how it is set up, on a connection of its own.
 *
 * @throws Error when Redis cannot be reached or does not let this user ask; without the arguments of commands
 */
export async function examineRedis(needs: ExamineNeeds, config: RedisConfig): Promise<readonly RedisFacts[]> {
  const client = createClient(config, needs.random)
  let cause: unknown
  client.on('error', (error: unknown) => {
    cause = error
  })
  try {
    await client.connect()
    const nodes = client instanceof Cluster ? client.nodes('master') : [client]
    return await Promise.all(nodes.map((node) => factsOf(node, needs)))
  } catch (error) {
    throw withoutArguments(cause ?? error)
  } finally {
    client.disconnect()
  }
}

async function factsOf(node: Redis, { nowMs }: ExamineNeeds): Promise<RedisFacts> {
  if (node.status === 'wait') await node.connect()
  const info = readInfo(await node.info())
  const askedMs = nowMs()
  const [seconds, micros] = await node.time()
  const middleMs = (askedMs + nowMs()) / 2
  return {
    server: `${node.options.host ?? ''}:${node.options.port ?? ''}`,
    version: info.get('redis_version') ?? 'unknown',
    aof: info.get('aof_enabled') === '1',
    evicts: info.get('maxmemory_policy') ?? 'unknown',
    maxMemory: Number(info.get('maxmemory') ?? 0),
    replicas: Number(info.get('connected_slaves') ?? 0),
    needsReplicas: info.has('min_slaves_good_slaves'),
    aheadMs: Number(seconds) * 1000 + Number(micros) / 1000 - middleMs,
  }
}

function readInfo(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return fields
}
