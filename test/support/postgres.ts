/** A real PostgreSQL on a free loopback port, with a folder of its own. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import type { DatabaseServer } from './database.ts'
import { accountOf, find, newCertificate, newFolder, startServer, versionsIn } from './database.ts'

const USER = 'gatehouse'
const PASSWORD = 'postgres-canary-7d1'

export async function startPostgres(): Promise<DatabaseServer> {
  const account = accountOf('postgres')
  const folder = newFolder('postgres', account)
  const places = [...versionsIn('/usr/lib/postgresql'), '/usr/local/bin', '/opt/homebrew/bin', '/usr/bin']
  const data = join(folder, 'data')
  writeFileSync(join(folder, 'password'), PASSWORD, { mode: 0o644 })
  const words = ['-D', data, '-U', USER, '--auth=scram-sha-256', `--pwfile=${join(folder, 'password')}`, '-N']
  execFileSync(find('initdb', ...places), [...words, '--encoding=UTF8', '--locale=C'], { ...account, cwd: folder, stdio: 'pipe' })
  const { certificate, key } = newCertificate(folder, account)
  const settings = {
    ssl: 'on',
    ssl_cert_file: certificate,
    ssl_key_file: key,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    max_connections: '100',
    shared_buffers: '32MB',
  }
  const given = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  const server = await startServer(
    find('postgres', ...places),
    (port) => ['-D', data, '-p', String(port), ...given],
    { ...account, folder },
    (port) => admin(urlOf(port, 'postgres'), 'SELECT 1'),
  )
  const main = urlOf(server.port, 'postgres')
  let made = 0
  return {
    ...server,
    kind: 'postgres',
    certificate,
    async newDatabase() {
      const name = `gatehouse_${++made}`
      await admin(main, `CREATE DATABASE ${name}`)
      return urlOf(server.port, name)
    },
    admin,
    cutConnections: async () =>
      void (await admin(
        main,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname LIKE 'gatehouse%'`,
      )),
    pause: () => signalAll('SIGSTOP'),
    resume: () => signalAll('SIGCONT'),
  }

  /** Each connection has a process. */
  function signalAll(signal: NodeJS.Signals): void {
    for (const pid of [String(server.pid()), ...childrenOf(server.pid())]) process.kill(Number(pid), signal)
  }
}

function childrenOf(pid: number): readonly string[] {
  try {
    return execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
  } catch {
    return []
  }
}

function urlOf(port: number, database: string): string {
  return `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${database}`
}

async function admin(url: string, statement: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(statement)
    return rows
  } finally {
    await client.end()
  }
}
