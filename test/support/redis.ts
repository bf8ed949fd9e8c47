/**
 * Real redis-server processes on free loopback ports, each with a folder of its own and an append-only file: one alone, a
 * master with a replica, or a cluster of three masters. They are stopped by the processes that were started here.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from './ports.ts'

export interface RedisServer {
  readonly port: number
  readonly url: string
  /** For the test itself: looks at keys, kills connections, cuts streams. */
  readonly admin: Redis
  /** Holds the process where it is: connections stay, and nothing answers. */
  pause(): void
  resume(): void
  /** Kills the process; what was acknowledged is in its append-only file within a second. */
  kill(): Promise<void>
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface RedisSentinels {
  readonly urls: readonly string[]
  stop(): Promise<void>
}

export interface RedisClusterServers {
  readonly nodes: readonly RedisServer[]
  readonly urls: readonly string[]
  stop(): Promise<void>
}

const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

/** Between two attempts to connect, to a server that is there and to one that was killed. */
const [SOON_MS, AWAY_MS] = [20, 10_000]

/** @param settings - further arguments of redis-server, such as `--requirepass`, `secret` */
export async function startRedis(settings: readonly string[] = []): Promise<RedisServer> {
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'))
  const base = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', '--appendonly', 'yes']
  const command = [
    ...base,
    '--appendfsync',
    'everysec',
    '--maxmemory-policy',
    'noeviction',
    '--repl-diskless-sync-delay',
    '0',
    ...settings,
  ]
  let child = run(command)
  const password = settings[settings.indexOf('--requirepass') + 1]
  const access = settings.includes('--requirepass') && password !== undefined ? { password } : {}
  let isAway = false
  // Nobody waits for a server that was killed, and looking for it all the time would be work beside what is tested.
  const retryStrategy = (): number => (isAway ? AWAY_MS : SOON_MS)
  const admin = new Redis({ port, host: '127.0.0.1', protocol: 2, connectionName: 'test', retryStrategy, ...access })
  admin.on('error', () => undefined)
  try {
    await answering(admin)
  } catch (error) {
    admin.disconnect()
    await end(child, 'SIGKILL')
    throw error
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    admin,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    kill() {
      isAway = true
      return end(child, 'SIGKILL')
    },
    async restart() {
      isAway = false
      child = run(command)
      await until(async () => {
        if (admin.status === 'reconnecting') await admin.connect()
        return (await admin.ping()) === 'PONG'
      })
    },
    async stop() {
      admin.disconnect()
      // Its folder goes too, and while it writes the first append-only file it would not listen to SIGTERM.
      await end(child, 'SIGKILL')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** A replica that is in step when it is there. @param port - where it reaches the master, such as a proxy before it */
export async function startReplicaOf(master: RedisServer, port: number = master.port): Promise<RedisServer> {
  const replica = await startRedis(['--repl-timeout', '3'])
  await replica.admin.replicaof('127.0.0.1', port)
  await until(async () => /state=online/.test(await master.admin.info('replication')))
  return replica
}

/** Three masters that share the slots. */
export async function startRedisCluster(): Promise<RedisClusterServers> {
  const nodes = await Promise.all([0, 1, 2].map(startNode))
  const [first] = nodes
  if (first === undefined) throw new Error('no node')
  for (const [index, node] of nodes.entries()) {
    await node.admin.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
    const [from, to] = [Math.floor((16_384 * index) / 3), Math.floor((16_384 * (index + 1)) / 3) - 1]
    await node.admin.call('CLUSTER', 'ADDSLOTSRANGE', from, to)
  }
  for (const node of nodes.slice(1)) {
    const bus = String(await node.admin.config('GET', 'cluster-port')).split(',')[1] ?? ''
    await first.admin.call('CLUSTER', 'MEET', '127.0.0.1', node.port, bus)
  }
  await until(async () => {
    const infos = await Promise.all(nodes.map((node) => node.admin.cluster('INFO')))
    return infos.every((info) => /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info))
  })
  return {
    nodes,
    urls: nodes.map((node) => node.url),
    stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))),
  }
}

/** One sentinel that watches a master by the name `mymaster` and puts a replica in its place half a second after it is lost. */
export async function startSentinel(master: RedisServer): Promise<RedisSentinels> {
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-sentinel-'))
  const file = join(directory, 'sentinel.conf')
  const watch = `sentinel monitor mymaster 127.0.0.1 ${master.port} 1`
  const haste = 'sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000'
  writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${directory}\n${watch}\n${haste}\n`)
  const child = run([file, '--sentinel'])
  const admin = new Redis({ port, host: '127.0.0.1', protocol: 2, retryStrategy: () => 20, enableReadyCheck: false })
  admin.on('error', () => undefined)
  await until(async () => /slaves=1,/.test(await admin.info('sentinel')))
  return {
    urls: [`redis://127.0.0.1:${port}`],
    async stop() {
      admin.disconnect()
      await end(child, 'SIGTERM')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function startNode(): Promise<RedisServer> {
  const bus = await freePort()
  return startRedis(['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '2000'])
}

function run(command: readonly string[]): ChildProcess {
  const child = spawn('redis-server', command, { stdio: 'ignore' })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  // A process that is held takes a signal only when it goes on.
  child.kill('SIGCONT')
  await exited
}

function answering(admin: Redis): Promise<void> {
  return until(async () => (await admin.ping()) === 'PONG')
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await isTrue().catch(() => false))) {
    if (Date.now() > deadline) throw new Error('redis-server did not get ready: is it installed? node setup.mjs test')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
