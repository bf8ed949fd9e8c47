/** A real redis-server on a free loopback port, on the second core, with an append-only file that is synced every second. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { ended, freePort, owned } from './processes.ts'

export interface BenchRedis {
  readonly url: string
  readonly pid: number
  /** For the measurement itself. */
  readonly admin: Redis
  stop(): Promise<void>
}

export async function startRedis(): Promise<BenchRedis> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-bench-redis-'))
  const place = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
  const keeping = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction']
  const child = owned(spawn('taskset', ['-c', '1', 'redis-server', ...place, ...keeping], { stdio: 'ignore' }))
  // Commands wait until the server is there.
  const admin = new Redis({ port, host: '127.0.0.1', protocol: 2, retryStrategy: () => 50, maxRetriesPerRequest: 100 })
  admin.on('error', () => undefined)
  const stop = async (): Promise<void> => {
    admin.disconnect()
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await admin.ping()
    return { url: `redis://127.0.0.1:${port}`, pid: child.pid ?? 0, admin, stop }
  } catch (error) {
    await stop()
    throw new Error('redis-server does not answer: is it installed? node setup.mjs test', { cause: error })
  }
}
