/** `gatehouse doctor` as an operator runs it, beside real servers that are set up well, and badly. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { createAuthority } from '../support/authority.ts'
import { freePort } from '../support/ports.ts'
import { gatehouse, startGatewayProcess, temporaryFolder, type Output } from '../support/process.ts'
import { startReceiver } from '../support/otlp.ts'
import { startPostgres } from '../support/postgres.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const ROUTES = 'routes:\n  - { name: accounts, match: { path: /auth/* }, service: accounts }\n'
/** So few that any machine lets a process have them. */
const FEW_CONNECTIONS = 'listeners: { public: { limits: { connections: 100 } } }\n'
const PASSWORD = 'a-password-that-nobody-prints'
const MASTER_KEY = 'ab'.repeat(32)

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

interface Finding {
  readonly level: string
  readonly check: string
  readonly what: string
  readonly advice?: string
}

interface Report {
  readonly ok: boolean
  readonly failed: number
  readonly checks: readonly Finding[]
}

async function redis(settings: readonly string[] = []): Promise<RedisServer> {
  const server = await startRedis(settings)
  closers.push(() => server.stop())
  return server
}

function folderWith(yaml: string): string {
  const folder = temporaryFolder()
  const listeners = yaml.includes('listeners:') ? '' : FEW_CONNECTIONS
  writeFileSync(join(folder, 'gateway.yaml'), `${listeners}${yaml}\n${ROUTES}`)
  return folder
}

const onRedis = (url: string, more = ''): string =>
  `storage: { sessions: "${url}", directory: ./data }\nmasterKey: { env: MASTER_KEY }\n${more}`

function doctor(folder: string, args: readonly string[] = []): Promise<Output> {
  const environment = { MASTER_KEY, PASSWORD }
  return gatehouse(['doctor', '--config', join(folder, 'gateway.yaml'), ...args], { environment })
}

async function report(folder: string): Promise<Report & { readonly code: number | null; levelOf(check: string): string[] }> {
  const { code, stdout } = await doctor(folder, ['--json'])
  const found = JSON.parse(stdout) as Report
  return { ...found, code, levelOf: (check) => found.checks.flatMap((one) => (one.check === check ? [one.level] : [])) }
}

it('finds a new gateway on embedded storage well, and says so line by line', async () => {
  const { code, stdout, stderr } = await doctor(folderWith('storage: { directory: ./data }'))
  expect(stderr).toBe('')
  const lines = stdout.trimEnd().split('\n')
  expect(lines.slice(0, -2).map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([
    ['ok', 'configuration'],
    ['ok', 'secrets'],
    ['ok', 'master key'],
    ['ok', 'open files'],
    ['ok', 'directory'],
    ['ok', 'audit record'],
    ['ok', 'storage'],
    ['ok', 'keys default'],
    ['ok', 'revocation drill'],
  ])
  expect(stdout).toMatch(/a token was refused \d+ ms after the end of its session was answered/)
  expect([lines.at(-1), code]).toEqual(['all is well', 0])
})

it('runs beside a gateway on the same directory, which goes on', async () => {
  const gateway = await startGatewayProcess(ROUTES)
  const { code, levelOf } = await report(gateway.folder)
  expect([code, levelOf('revocation drill')]).toEqual([0, ['ok']])
  expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
  await gateway.end()
}, 30_000)

it('finds a Redis that is set up well: only the replica is missing', async () => {
  const server = await redis()
  const found = await report(folderWith(onRedis(server.url)))
  expect(found.checks.filter(({ level }) => level !== 'ok').map(({ check }) => check)).toEqual(['redis replicas'])
  for (const check of ['redis version', 'redis persistence', 'redis memory', 'clock', 'storage', 'revocation drill']) {
    expect([check, found.levelOf(check)]).toEqual([check, ['ok']])
  }
  expect(found).toMatchObject({ code: 0, ok: true, failed: 0 })
  // Nothing of the drill is left but what keeps its token refused.
  expect(await server.admin.keys('tenant:default:refresh:*')).toEqual([])
  expect(await server.admin.keys('tenant:default:sessions:*')).toEqual([])
}, 30_000)

it('asks a database of accounts, and fails where there is none, without its password', async () => {
  const server = await startPostgres()
  closers.push(() => server.stop())
  const url = await server.newDatabase()
  const folder = folderWith('storage: { directory: ./data, accounts: "${ACCOUNTS}" }')
  const look = (accounts: string): Promise<Output> =>
    gatehouse(['doctor', '--json', '--config', join(folder, 'gateway.yaml')], { environment: { ACCOUNTS: accounts } })
  const well = JSON.parse((await look(url)).stdout) as Report
  expect(well.checks.filter(({ check }) => check === 'accounts')).toEqual([
    { level: 'ok', check: 'accounts', what: expect.stringMatching(/^postgres, opened and migrated, answered within \d+ ms$/) },
  ])
  const away = new URL(url)
  away.port = String(await freePort())
  const { code, stdout } = await look(away.href)
  const ill = JSON.parse(stdout) as Report
  expect([code, ill.checks.filter(({ check }) => check === 'storage')]).toEqual([
    1,
    [expect.objectContaining({ level: 'fail', what: expect.stringContaining('cannot be used: PostgreSQL: ECONNREFUSED') })],
  ])
  expect(stdout).not.toContain(away.password)
}, 120_000)

it('sees a replica, and hears its channel', async () => {
  const [server, replica] = [await redis(), await redis()]
  await replica.admin.replicaof('127.0.0.1', server.port)
  await expect.poll(() => server.admin.info('replication'), { timeout: 15_000 }).toMatch(/state=online/)
  const found = await report(folderWith(onRedis(server.url, 'revocation: { legacyChannel: { name: token_invalidation } }')))
  expect([found.levelOf('redis replicas'), found.levelOf('channel'), found.code]).toEqual([['ok'], ['ok'], 0])
}, 30_000)

it('fails on a Redis that forgets: no append-only file, keys evicted', async () => {
  const server = await redis(['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru', '--maxmemory', '64mb'])
  const found = await report(folderWith(onRedis(server.url)))
  expect([found.levelOf('redis persistence'), found.levelOf('redis memory')]).toEqual([['fail'], ['fail']])
  expect(found).toMatchObject({ code: 1, ok: false, failed: 2 })
  const advice = found.checks.flatMap((one) => one.advice ?? [])
  expect(advice).toEqual(expect.arrayContaining(['set appendonly yes', 'set maxmemory-policy noeviction']))
}, 30_000)

it('fails where the revocations cannot be read, and does not wait for ever', async () => {
  const server = await redis()
  await server.admin.set('revocations:live:{0}', 'no set')
  const found = await report(folderWith(onRedis(server.url)))
  expect([found.levelOf('storage'), found.levelOf('revocation drill'), found.code]).toEqual([['ok'], ['fail'], 1])
}, 30_000)

it.each([
  [400, 'ok'],
  [3, 'warn'],
  [-1, 'fail'],
])('looks at the certificates of the listener: one that ends in %s days is %s', async (days, level) => {
  const folder = folderWith(
    'listeners: { public: { tls: { certificate: cert.pem, key: key.pem } } }\nstorage: { directory: ./data }',
  )
  const { certificate, key } = createAuthority().server(['gateway.test'], days)
  writeFileSync(join(folder, 'cert.pem'), certificate)
  writeFileSync(join(folder, 'key.pem'), key)
  const found = await report(folder)
  expect(found.levelOf('certificate')).toEqual([level])
})

it('looks at the certificate of a Redis behind TLS', async () => {
  const folder = temporaryFolder()
  const file = (name: string): string => join(folder, name)
  const openssl = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=localhost']
  openssl('req', '-x509', ...key, '-days', '90', '-keyout', 'ca.key', '-out', 'ca.pem')
  const port = await freePort()
  const settings = ['--tls-port', String(port), '--tls-ca-cert-file', file('ca.pem'), '--tls-auth-clients', 'no']
  for (const [days, level] of [
    ['90', 'ok'],
    ['3', 'warn'],
  ] as const) {
    const names = ['-days', days, '-addext', 'subjectAltName=DNS:localhost', '-CA', 'ca.pem', '-CAkey', 'ca.key']
    openssl('req', '-x509', ...key, ...names, '-keyout', 'redis.key', '-out', 'redis.pem')
    const server = await startRedis([...settings, '--tls-cert-file', file('redis.pem'), '--tls-key-file', file('redis.key')])
    try {
      const sessions = `{ url: "rediss://localhost:${port}", ca: ca.pem }`
      const yaml = `storage: { sessions: ${sessions}, directory: ./data }\nmasterKey: { env: MASTER_KEY }\n${ROUTES}`
      writeFileSync(file('gateway.yaml'), yaml)
      const found = await report(folder)
      expect(found.levelOf('redis certificate')).toEqual([level])
      expect([found.levelOf('revocation drill'), found.code]).toEqual([['ok'], 0])
    } finally {
      await server.stop()
    }
  }
}, 60_000)

it('fails where Redis is not, or does not know the password, and never prints it', async () => {
  const server = await redis(['--requirepass', 'another'])
  for (const url of [`redis://:\${PASSWORD}@127.0.0.1:${server.port}`, `redis://:\${PASSWORD}@127.0.0.1:${await freePort()}`]) {
    const folder = folderWith(onRedis(url))
    const found = await report(folder)
    expect([found.code, found.levelOf('redis'), found.levelOf('storage')]).toEqual([1, ['fail'], ['fail']])
    const { stdout, stderr } = await doctor(folder)
    for (const secret of [PASSWORD, MASTER_KEY]) expect(`${stdout}${stderr}${JSON.stringify(found)}`).not.toContain(secret)
  }
}, 60_000)

it('fails where keys were sealed by another master key', async () => {
  const server = await redis()
  const folder = folderWith(onRedis(server.url))
  expect((await report(folder)).code).toBe(0)
  const { code, stdout } = await gatehouse(['doctor', '--config', join(folder, 'gateway.yaml')], {
    environment: { MASTER_KEY: 'cd'.repeat(32) },
  })
  expect(code).toBe(1)
  expect(stdout).toMatch(/^fail {2}storage .*master key/m)
}, 60_000)

it('looks at issuers, upstreams and the folder', async () => {
  const issuer = createServer((request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(request.url === '/good' ? '{"keys":[{"kty":"EC"}]}' : '{"keys":[]}')
  })
  issuer.listen(0, '127.0.0.1')
  await once(issuer, 'listening')
  closers.push(() => new Promise((done) => issuer.close(done)))
  const { port } = issuer.address() as AddressInfo
  const one = (name: string, path: string): string =>
    `  ${name}: { issuer: "https://${name}.example", tenant: default, audiences: [api], algorithms: [ES256], jwks: { uri: "http://127.0.0.1:${port}${path}" } }\n`
  const folder = folderWith(
    `storage: { directory: ./data }\nissuers:\n${one('good', '/good')}${one('empty', '/empty')}upstreams:
  there: { targets: ["http://127.0.0.1:${port}"] }
  gone: { targets: ["http://127.0.0.1:${await freePort()}"] }\n`,
  )
  mkdirSync(join(folder, 'data'), { mode: 0o755 })
  chmodSync(join(folder, 'data'), 0o755)
  const found = await report(folder)
  const rows = ['directory', 'issuer good', 'issuer empty', 'upstream there', 'upstream gone']
  expect(rows.map((check) => [check, ...found.levelOf(check)])).toEqual([
    ['directory', 'warn'],
    ['issuer good', 'ok', 'ok'],
    ['issuer empty', 'fail', 'ok'],
    ['upstream there', 'ok'],
    ['upstream gone', 'warn'],
  ])
  expect(found.code).toBe(1)
}, 30_000)

it.each([
  [0, 'ok'],
  [20, 'warn'],
  [-20, 'warn'],
  [90, 'fail'],
  [-90, 'fail'],
])(
  'compares the clock of an issuer, which is %d s ahead: %s',
  async (ahead, level) => {
    const issuer = createServer((_, response) => {
      response.setHeader('date', new Date(Date.now() + ahead * 1000).toUTCString())
      response.end('{"keys":[{"kty":"EC"}]}')
    })
    issuer.listen(0, '127.0.0.1')
    await once(issuer, 'listening')
    closers.push(() => new Promise((done) => issuer.close(done)))
    const { port } = issuer.address() as AddressInfo
    const found = await report(
      folderWith(
        `storage: { directory: ./data }\nissuers:\n  one: { issuer: "https://one.example", tenant: default, audiences: [api], algorithms: [ES256], jwks: { uri: "http://127.0.0.1:${port}/" } }\n`,
      ),
    )
    const [keys, clock] = found.checks.filter(({ check }) => check === 'issuer one')
    expect([keys?.level, clock?.level, clock?.advice === undefined]).toEqual(['ok', level, level === 'ok'])
    expect(clock?.what).toMatch(/^its clock is \d+ s (ahead|behind), clockSkew is 30 s$/)
    expect(found.code).toBe(level === 'fail' ? 1 : 0)
  },
  30_000,
)

it('says what to do about everything that is not well', async () => {
  const folder = folderWith(onRedis(`redis://127.0.0.1:${await freePort()}`, 'revocation: { legacyChannel: {} }'))
  writeFileSync(join(folder, 'data'), 'no folder')
  const found = await report(folder)
  const ill = found.checks.filter(({ level }) => level !== 'ok')
  expect(ill.map(({ check }) => check)).toEqual(
    expect.arrayContaining(['directory', 'audit record', 'redis', 'channel', 'storage']),
  )
  expect(ill.filter(({ advice }) => advice === undefined)).toEqual([])
}, 60_000)

it('ends with 2 where the configuration is faulty, or more is asked of it', async () => {
  expect((await doctor(folderWith('storage: { sessions: redis://localhost }'))).code).toBe(2)
  expect((await doctor(folderWith('storage: { directory: ./data }'), ['--tenant', 'acme'])).code).toBe(2)
}, 30_000)

it('holds the files that a process may open against the connections that there may be', async () => {
  const yaml = 'listeners: { public: { limits: { connections: 1000000 } } }\nstorage: { directory: ./data }'
  const found = await report(folderWith(yaml))
  const [files] = found.checks.filter(({ check }) => check === 'open files')
  const [, most] = /^(\d+|Infinity) for a process, which may need 1000200$/.exec(files?.what ?? '') ?? []
  const level = Number(most) >= 1_000_200 ? 'ok' : 'warn'
  expect([files?.level, files?.advice === undefined, found.code]).toEqual([level, level === 'ok', 0])
}, 30_000)

it('asks the receiver of traces whether it takes them, and shows no header', async () => {
  const receiver = await startReceiver()
  closers.push(() => receiver.close())
  const traces = (url: string): string =>
    `storage: { directory: ./data }\ntelemetry: { traces: { otlp: "${url}", headers: { authorization: { env: PASSWORD } } } }`
  const good = await report(folderWith(traces(receiver.url)))
  expect(good.levelOf('traces')).toEqual(['ok'])
  expect(receiver.exports.map(({ path, headers }) => [path, headers.authorization])).toEqual([['/v1/traces', PASSWORD]])
  receiver.answer = 401
  expect((await report(folderWith(traces(receiver.url)))).levelOf('traces')).toEqual(['warn'])
  const { stdout, code } = await doctor(folderWith(traces(`http://127.0.0.1:${await freePort()}`)))
  expect([code, stdout.includes('spans are dropped until it takes them'), stdout.includes(PASSWORD)]).toEqual([0, true, false])
}, 60_000)

it('asks a receiver of traces with the authority and the certificate that spans would go with', async () => {
  const authority = createAuthority()
  const { certificate: cert, key } = authority.server(['localhost'])
  const receiver = await startReceiver(0, { cert, key, ca: authority.certificate, requestCert: true })
  closers.push(() => receiver.close())
  const folder = folderWith(`storage: { directory: ./data }\ntelemetry: { traces: { otlp: "${receiver.url}" } }`)
  const client = authority.client('/CN=gatehouse')
  const files = { ca: authority.certificate, certificate: client.certificate, key: client.key }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `${name}.pem`), text)
  const OTEL = 'OTEL_EXPORTER_OTLP_'
  const trusting = { [`${OTEL}CERTIFICATE`]: join(folder, 'ca.pem') }
  const named = {
    ...trusting,
    [`${OTEL}CLIENT_CERTIFICATE`]: join(folder, 'certificate.pem'),
    [`${OTEL}CLIENT_KEY`]: join(folder, 'key.pem'),
  }
  const found = async (environment: Readonly<Record<string, string>>): Promise<Finding | undefined> => {
    const { stdout } = await gatehouse(['doctor', '--json', '--config', join(folder, 'gateway.yaml')], { environment })
    const { checks } = JSON.parse(stdout) as Report
    return checks.find(({ check }) => check === 'traces')
  }
  const host = new URL(receiver.url).host
  expect(await found({})).toMatchObject({
    level: 'warn',
    what: `${host} cannot be reached: SELF_SIGNED_CERT_IN_CHAIN`,
  })
  expect(await found(named)).toEqual({ level: 'ok', check: 'traces', what: `${host} takes spans` })
  expect(await found(trusting)).toMatchObject({ level: 'warn' })
  expect(receiver.exports.length).toBe(1)
}, 60_000)

it('says when there are more workers than cores', async () => {
  const { code, stdout } = await doctor(folderWith('workers: 64\nstorage: { directory: ./data }'), ['--json'])
  const { checks } = JSON.parse(stdout) as Report
  expect(checks.filter(({ check }) => check === 'workers')).toEqual([
    {
      level: 'warn',
      check: 'workers',
      what: expect.stringMatching(/^64 workers, \d+ cores?$/),
      advice: 'they wait for each other and take memory: write auto, or no more than there are cores',
    },
  ])
  expect(code).toBe(0)
})
