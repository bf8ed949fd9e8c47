/** The gateway in its variants, and the upstream without a gateway. */
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { startRedis } from '../support/redis-server.ts'
import type { GatewayVariant } from './configs.ts'
import type { Rig } from './rig.ts'
import { startGateway, type Running, type Subject } from './subjects.ts'

const MILLION = 1_000_000
/** From one change of the configuration to the next. */
const RELOAD_EVERY_MS = 1000
/** Past the bound on the age of the revocations. */
const PAST_STALENESS_MS = 2500

const MEBIBYTE = 1024 * 1024

const token = { path: '/api/small', tokens: 'warm', verifies: true, accessLog: true, isPeer: false } as const

/** No peer signs anything for the upstream. */
const HEADERS_ALONE: GatewayVariant = { upstream: ', passport: false' }

const alone = {
  verifies: false,
  isPeer: true,
  accessLog: false,
  start: (rig: Rig) => Promise.resolve({ port: rig.upstream.port, pid: rig.upstream.pid }),
} as const

export const GATEWAYS = [
  { ...alone, name: 'direct', title: 'the upstream without a gateway', path: '/small', tokens: 'none' },
  {
    name: 'pass-through',
    title: 'Gatehouse, public route',
    path: '/public/small',
    tokens: 'none',
    verifies: false,
    isPeer: false,
    accessLog: true,
    start: (rig) => startGateway(rig),
  },
  { ...token, name: 'jwt-warm', title: 'Gatehouse, RS256, 1,000 tokens in turn', start: (rig) => startGateway(rig) },
  {
    ...token,
    name: 'jwt-cold',
    title: 'Gatehouse, RS256, each token once, the user in headers as peers have it',
    tokens: 'RS256 once',
    start: (rig) => startGateway(rig, HEADERS_ALONE),
  },
  {
    ...token,
    name: 'jwt-cold-passport',
    title: 'jwt-cold, and a passport signed for each token, as by default',
    tokens: 'RS256 once',
    start: (rig) => startGateway(rig),
  },
  {
    ...token,
    name: 'jwt-cold-es256',
    title: 'Gatehouse, ES256, each token once, the user in headers as peers have it',
    tokens: 'ES256 once',
    start: (rig) => startGateway(rig, HEADERS_ALONE),
  },
  {
    ...token,
    name: 'jwt-policy',
    title: 'jwt-warm, with scopes and a rate limit for each user in memory',
    start: (rig) =>
      startGateway(rig, { route: ', scopes: ["orders:read"], rateLimit: { requests: 1000000, per: 1s, by: user }' }),
  },
  {
    ...token,
    name: 'logs-off',
    title: 'jwt-warm, without access log',
    accessLog: false,
    start: (rig) => startGateway(rig, { sections: 'telemetry: { accessLog: { sample: 0% } }\n' }),
  },
  { ...token, name: 'redis', title: 'jwt-warm, storage in Redis', start: (rig) => startOnRedis(rig) },
  {
    ...token,
    name: 'revocations-1m',
    title: 'redis, with 1,000,000 live revocations',
    start: (rig) => startOnRedis(rig, MILLION),
  },
  {
    ...token,
    name: 'redis-black-holed',
    title: 'redis, stopped for longer than the revocations may be old',
    start: startBlackHoled,
  },
  { ...token, name: 'reload-under-load', title: 'jwt-warm, another configuration every second', start: startReloading },
  ...bodies('body-down', '/mebibyte'),
  ...bodies('body-up', '/upload', MEBIBYTE),
  {
    name: 'health',
    title: 'Gatehouse, GET /health',
    path: '/health',
    tokens: 'none',
    verifies: false,
    isPeer: false,
    accessLog: true,
    start: (rig) => startGateway(rig),
  },
  { ...token, name: 'echo', title: 'Gatehouse, service echo, token', path: '/echo/small', start: (rig) => startGateway(rig) },
] as const satisfies readonly Subject[]

/** Alone and through the gateway. */
function bodies<const N extends string>(name: N, path: string, bodyBytes?: number) {
  const what = bodyBytes === undefined ? 'answers of 1 MiB' : 'requests of 1 MiB'
  const body = bodyBytes === undefined ? {} : { bodyBytes }
  return [
    { ...alone, ...body, tokens: 'one', name: `${name}-direct`, title: `${what}, without a gateway`, path },
    {
      ...token,
      ...body,
      tokens: 'one',
      name,
      title: `Gatehouse, ${what}`,
      path: `/api${path}`,
      start: (rig: Rig) => startGateway(rig),
    },
  ] as const
}

async function startOnRedis(rig: Rig, revocations = 0): Promise<Running & { readonly redisPid: number }> {
  const redis = await startRedis()
  rig.onStop(() => redis.stop())
  const expiresAt = Math.floor(Date.now() / 1000) + 3600
  for (let first = 0; first < revocations; first += 10_000) {
    // As docs/redis.md says: half sessions, half tokens.
    const members = Array.from({ length: 10_000 }, (_, index) => {
      const id = crypto.randomUUID().replaceAll('-', '')
      return [expiresAt, JSON.stringify([index % 2 === 0 ? 's' : 't', 'default', id])] as const
    })
    await redis.admin.zadd('revocations:live:{0}', ...members.flat())
  }
  const sections = `storage: { sessions: "${redis.url}" }
masterKey: { env: BENCH_MASTER_KEY }
revocation: { whenStale: allow, maxStaleness: 1s }
`
  const environment = { BENCH_MASTER_KEY: randomBytes(32).toString('base64') }
  return { ...(await startGateway(rig, { sections, environment })), redisPid: redis.pid }
}

async function startBlackHoled(rig: Rig): Promise<Running> {
  const { redisPid, ...running } = await startOnRedis(rig)
  return {
    ...running,
    async prepare() {
      process.kill(redisPid, 'SIGSTOP')
      await new Promise((resolve) => setTimeout(resolve, PAST_STALENESS_MS))
    },
    tidy() {
      process.kill(redisPid, 'SIGCONT')
      running.tidy?.()
    },
  }
}

async function startReloading(rig: Rig): Promise<Running> {
  const variant: GatewayVariant = { sections: 'reload: { interval: 100ms }\n' }
  const running = await startGateway(rig, variant)
  let timer: NodeJS.Timeout | undefined
  let changes = 0
  return {
    ...running,
    prepare() {
      timer = setInterval(() => {
        changes += 1
        const text = readFileSync(running.configFile, 'utf8').replace(/, requestHeaders: \{.*?\} \}$/m, ' }')
        writeFileSync(
          running.configFile,
          text.replace(/(name: api,.*) \}$/m, `$1, requestHeaders: { set: { x-change: "${changes}" } } }`),
        )
      }, RELOAD_EVERY_MS)
      return Promise.resolve()
    },
    tidy() {
      clearInterval(timer)
      running.tidy()
    },
  }
}
