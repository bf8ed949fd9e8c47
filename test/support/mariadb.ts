/** A real MariaDB on a free loopback port, with a folder of its own. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import type { RowDataPacket } from 'mysql2/promise'
import type { DatabaseServer } from './database.ts'
import { accountOf, find, newCertificate, newFolder, startServer } from './database.ts'

const USER = 'gatehouse'
const PASSWORD = 'mariadb-canary-3f9'
const PLACES = ['/usr/sbin', '/usr/bin', '/usr/local/bin', '/usr/local/sbin', '/opt/homebrew/bin'] as const

export async function startMariadb(): Promise<DatabaseServer> {
  const account = accountOf('mysql')
  const folder = newFolder('mariadb', account)
  const data = join(folder, 'data')
  const who = account.uid === undefined ? [] : ['--user=mysql']
  const words = ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db', ...who]
  execFileSync(find('mariadb-install-db', ...PLACES), words, { cwd: folder, stdio: 'pipe' })
  const first = join(folder, 'first.sql')
  const user = `'${USER}'@'127.0.0.1'`
  writeFileSync(first, `CREATE USER IF NOT EXISTS ${user} IDENTIFIED BY '${PASSWORD}';\nGRANT ALL ON *.* TO ${user};\n`)
  const { certificate, key } = newCertificate(folder, account)
  const settings = {
    'ssl-cert': certificate,
    'ssl-key': key,
    datadir: data,
    'bind-address': '127.0.0.1',
    socket: join(folder, 'socket'),
    'pid-file': join(folder, 'pid'),
    'log-error': join(folder, 'log'),
    'init-file': first,
    'innodb-flush-log-at-trx-commit': '2',
    'innodb-buffer-pool-size': '32M',
    'max-connections': '60',
  }
  const given = Object.entries(settings).map(([key, value]) => `--${key}=${value}`)
  const server = await startServer(
    find('mariadbd', ...PLACES),
    (port) => ['--no-defaults', ...given, `--port=${port}`, '--skip-name-resolve', ...who],
    { folder },
    (port) => admin(urlOf(port, 'mysql'), 'SELECT 1'),
  )
  const main = urlOf(server.port, 'mysql')
  let made = 0
  return {
    ...server,
    kind: 'mysql',
    certificate,
    async newDatabase() {
      const name = `gatehouse_${++made}`
      await admin(main, `CREATE DATABASE ${name}`)
      return urlOf(server.port, name)
    },
    admin,
    async cutConnections() {
      const rows = await admin(main, "SELECT id FROM information_schema.processlist WHERE db LIKE 'gatehouse%'")
      for (const { id } of rows) await admin(main, `KILL CONNECTION ${String(id)}`).catch(() => undefined)
    },
    pause: () => void process.kill(server.pid(), 'SIGSTOP'),
    resume: () => void process.kill(server.pid(), 'SIGCONT'),
  }
}

function urlOf(port: number, database: string): string {
  return `mysql://${USER}:${PASSWORD}@127.0.0.1:${port}/${database}`
}

async function admin(url: string, statement: string): Promise<readonly Record<string, unknown>[]> {
  const connection = await createConnection({ uri: url, connectTimeout: 5_000 })
  try {
    const [rows] = await connection.query<RowDataPacket[]>(statement)
    return Array.isArray(rows) ? rows : []
  } finally {
    connection.destroy()
  }
}
