import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { gatehouse, startGatewayProcess, temporaryFolder, type Output } from '../support/process.ts'
import { startRedis } from '../support/redis.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')

describe('a start that cannot be', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  it('names the listener whose port is taken, and leaves nothing open', async () => {
    const port = await takenPort(servers)
    const folder = temporaryFolder()
    expect(await start(folder, { port })).toEqual(
      refused(`listeners.public.address: 127.0.0.1:${port} is taken by another process`),
    )
    expect(await start(folder, { adminPort: port })).toEqual(
      refused(`listeners.admin.address: 127.0.0.1:${port} is taken by another process`),
    )
    expect(existsSync(join(folder, 'data', 'sessions.db-wal'))).toBe(false)
  })

  it('names an address that the machine does not have', async () => {
    expect(await start(temporaryFolder(), { host: '192.0.2.1' })).toEqual(
      refused('listeners.public.address: 192.0.2.1:0 is not an address of this machine'),
    )
  })

  it('names a database that is none', async () => {
    const folder = folderWith({ 'sessions.db': 'this is no database, whatever its name says' })
    expect(await start(folder)).toEqual(
      refused(`the database ${join(folder, 'data', 'sessions.db')} cannot be opened: file is not a database`),
    )
  })

  it('names a folder that cannot be made', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'data'), 'a file')
    const output = await start(folder)
    expect(output).toMatchObject({ code: 1, stdout: '' })
    expect(output.stderr).toMatch(/^gatehouse: .*file already exists.*data'\n$/)
  })

  it('asks for a master key that nobody else can read', async () => {
    const folder = folderWith({ 'master.key': `${KEY}\n` })
    const file = join(folder, 'data', 'master.key')
    chmodSync(file, 0o644)
    expect(await start(folder)).toEqual(refused(`${file} can be read by others: run chmod 600 ${file}`))
  })

  it('asks for the master key that was there before', async () => {
    const gateway = await startGatewayProcess('routes: []')
    await gateway.end()
    const file = join(gateway.folder, 'data', 'master.key')
    const right = readFileSync(file, 'utf8')
    writeFileSync(file, `${KEY}\n`)
    const output = await start(gateway.folder)
    expect(output).toMatchObject({ code: 1, stdout: '' })
    expect(output.stderr).toMatch(/^gatehouse: .*sealed by another master key: put back the master key that made them\n$/)
    expect(output.stderr).not.toContain(KEY)
    writeFileSync(file, right)
    const again = await startGatewayProcess('routes: []', { folder: gateway.folder })
    expect(await again.end()).toEqual({ code: 0, signal: null })
  })
})

describe('a Redis that cannot be used', () => {
  it('is named, with the reason, by whatever needs it, and its password is not', async () => {
    const redis = await startRedis(['--requirepass', 'right'])
    try {
      const place = `127.0.0.1:${redis.port}`
      expect(await all(`redis://${place}`)).toEqual(
        refusedByAll(`Redis at ${place} cannot be used: NOAUTH Authentication required.`),
      )
      expect(await all(`redis://:wr0ng-one@${place}`)).toEqual(
        refusedByAll(`Redis at ${place} cannot be used: WRONGPASS invalid username-password pair or user is disabled.`),
      )
      await redis.kill()
      expect(await all(`redis://:wr0ng-one@${place}`)).toEqual(
        refusedByAll(`Redis at ${place} cannot be used: connect ECONNREFUSED ${place}`),
      )
    } finally {
      await redis.stop()
    }
  }, 60_000)
})

/** A start, a command that changes nothing, and one that prints for machines. */
async function all(url: string): Promise<readonly unknown[]> {
  const folder = temporaryFolder()
  const file = join(folder, 'redis.yaml')
  const yaml = `storage: { sessions: "\${REDIS}", directory: ./data }\nmasterKey: { env: MASTER_KEY }\n`
  writeFileSync(file, `listeners: { public: { address: '127.0.0.1:0' }, admin: { address: '127.0.0.1:0' } }\n${yaml}routes: []\n`)
  const environment = { REDIS: url, MASTER_KEY: KEY }
  const run = (...words: readonly string[]) => gatehouse([...words, '--config', file], { environment })
  const outputs = await Promise.all([
    run('start'),
    run('explain', 'GET', '/x'),
    run('keys', 'list', '--tenant', 'default', '--json'),
  ])
  // A gateway that starts logs that Redis is away, too.
  return outputs.map(({ code, stdout, stderr }, at) => ({ code, stderr, stdout: at === 0 ? '' : stdout }))
}

function refusedByAll(reason: string): readonly unknown[] {
  const ofKeys = `the storage cannot be reached, nothing was changed: ${reason}`
  return [
    { code: 1, stdout: '', stderr: `gatehouse: ${reason}\n` },
    { code: 1, stdout: '', stderr: `gatehouse: ${reason}\n` },
    { code: 1, stdout: `${JSON.stringify({ ok: false, error: ofKeys })}\n`, stderr: `gatehouse: ${ofKeys}\n` },
  ]
}

interface Places {
  readonly host?: string
  readonly port?: number
  readonly adminPort?: number
}

function start(folder: string, { host = '127.0.0.1', port = 0, adminPort = 0 }: Places = {}): Promise<Output> {
  const file = join(folder, 'other.yaml')
  const listeners = `listeners: { public: { address: '${host}:${port}', origin: 'https://gateway.test' }, admin: { address: '127.0.0.1:${adminPort}' } }`
  writeFileSync(file, `${listeners}\nstorage: { directory: ./data }\nroutes: []\n`)
  return gatehouse(['start', '--config', file])
}

/** With these files in the folder of the storage. */
function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'data'), { mode: 0o700 })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'data', name), text, { mode: 0o600 })
  return folder
}

async function takenPort(servers: Server[]): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** One line, without a stack. */
function refused(reason: string): Output {
  return { code: 1, signal: null, stdout: '', stderr: `gatehouse: ${reason}\n` }
}
