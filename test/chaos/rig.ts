/** Gateways as processes on one Redis, each with a relay of its own before it, so that Redis can be broken for one or for all. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { basic } from '../support/clients.ts'
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts'
import { MAIN, startProgram, temporaryFolder, waitFor, type Program } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { createCaller, type Caller } from './caller.ts'
import { IS_MEASURED } from './probe.ts'

/** How old the copy of the revocations may be on every route. */
export const MAX_STALENESS_MS = 3_000

/** One way into the gateways, and what it does when the copy is older than that. */
export interface Way {
  readonly path: string
  readonly method: 'GET' | 'POST'
  /** `pass`: lets in what is not known to be revoked; `refuse`: 503; `ask`: asks Redis, and refuses when that says nothing. */
  readonly whenStale: 'pass' | 'refuse' | 'ask'
}

export const WAYS: readonly Way[] = [
  { path: '/deny', method: 'GET', whenStale: 'refuse' },
  { path: '/allow', method: 'GET', whenStale: 'pass' },
  { path: '/verify', method: 'GET', whenStale: 'ask' },
  { path: '/safe', method: 'GET', whenStale: 'pass' },
  { path: '/safe', method: 'POST', whenStale: 'refuse' },
]

const SECRET = 'the secret of a backend'
const ENVIRONMENT = { SECRET, MASTER_KEY: 'ab'.repeat(32) }
const POLICIES = [
  ['deny', 'deny'],
  ['allow', 'allow'],
  ['verify', 'verify'],
  ['safe', 'safe-methods'],
] as const

const yamlOf = (port: number): string => `
listeners:
  public: { address: '127.0.0.1:0', origin: http://gateway.test, timeouts: { drain: 2s }, overload: { lag: 10s } }
  admin: { address: '127.0.0.1:0' }
storage: { sessions: 'redis://127.0.0.1:${port}', directory: ./data }
masterKey: { env: MASTER_KEY }
tenants:
  default: { signing: ES256 }
  acme: { signing: ES256 }
clients: { acme: { tenant: acme, secret: { env: SECRET }, scopes: [sessions:write] } }
revocation: { maxStaleness: ${MAX_STALENESS_MS}ms }
routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: health, match: { path: /health }, service: health }
${POLICIES.map(([path, policy]) => `  - { name: ${path}, match: { path: /${path} }, auth: required, revocation: { whenStale: ${policy} }, service: echo }`).join('\n')}
`

export interface Pair {
  readonly access_token: string
  readonly refresh_token: string
  readonly session_id: string
}

/** One gateway, with its relay to Redis. */
export interface Member {
  readonly proxy: FaultProxy
  readonly adminUrl: string
  readonly caller: Caller
  /** The process as it runs now. */
  readonly program: Program
}

export interface Rig {
  readonly members: Member[]
  /** The Redis that the relays lead to. */
  redis: RedisServer
  /** Starts one more gateway. */
  add(): Promise<Member>
  /**
   * Takes a gateway out of the load, kills it, and starts it again in the same folder.
   *
   * @param meanwhile - what to do between
   */
  restart(number: number, meanwhile?: () => Promise<void>): Promise<void>
  /** Every gateway process that there was. */
  programs(): readonly Program[]
  /** Told when a gateway came or is about to go. */
  changed(): void
  /** Further servers that the rig stops in the end. */
  readonly servers: Set<RedisServer>
  close(): Promise<void>
}

/** Never resolves before every gateway is ready. */
export async function startRig(count: number): Promise<Rig> {
  const redis = await startRedis()
  const programs: Program[] = []
  const folders = new Map<Member, string>()
  const rig: Rig = {
    members: [],
    redis,
    servers: new Set([redis]),
    programs: () => programs,
    changed: () => undefined,
    async add() {
      const proxy = await startFaultProxy(rig.redis.port)
      const folder = temporaryFolder()
      const member = await start(proxy, folder)
      folders.set(member, folder)
      rig.members.push(member)
      rig.changed()
      return member
    },
    async restart(number, meanwhile = async () => undefined) {
      const old = memberAt(rig, number)
      rig.members.splice(number, 1)
      rig.changed()
      await pause(SETTLE_MS)
      await old.program.end('SIGKILL')
      old.caller.close()
      await meanwhile()
      const folder = folders.get(old) ?? ''
      const member = await start(old.proxy, folder)
      folders.set(member, folder)
      rig.members.push(member)
      rig.changed()
    },
    async close() {
      for (const member of rig.members) member.caller.close()
      await Promise.all(rig.members.map((member) => member.program.end('SIGKILL')))
      await Promise.all(rig.members.map((member) => member.proxy.close()))
      await Promise.all([...rig.servers].map((server) => server.stop()))
    },
  }
  await Promise.all(Array.from({ length: count }, () => rig.add()))
  return rig

  async function start(proxy: FaultProxy, folder: string): Promise<Member> {
    const file = join(folder, 'gateway.yaml')
    mkdirSync(folder, { recursive: true })
    writeFileSync(file, yamlOf(proxy.port))
    const log = join(folder, `${programs.length}.log`)
    const program = startProgram(process.execPath, [MAIN, 'start', '--config', file], { environment: ENVIRONMENT, log })
    programs.push(program)
    await waitFor(() => GREETING.test(program.stderr()), program)
    if (IS_MEASURED) prefer(program)
    const [, port = '', adminUrl = ''] = GREETING.exec(program.stderr()) ?? []
    return { proxy, adminUrl, program, caller: createCaller(Number(port)) }
  }
}

/** What breaks a gateway has other work while something is broken, and the machine is the same: that must not make it look slower. */
export function prefer({ pid }: Program): void {
  try {
    setPriority(pid, PREFERRED)
  } catch {
    // Only the superuser may; without it the figures are those of a process that waits for its turn.
  }
}

const PREFERRED = -5
/** What was sent to a gateway is answered by then. */
const SETTLE_MS = 300
const GREETING = /ready at http:\/\/localhost:(\d+) \(console, metrics and health at (http:[^)]+)\)/

export function memberAt(rig: Rig, number: number): Member {
  const member = rig.members[number % rig.members.length]
  if (member === undefined) throw new Error('there is no gateway')
  return member
}

export const AS_CLIENT = { authorization: basic('acme', SECRET) }

export async function createSession(member: Member, user: string): Promise<Pair> {
  const answer = await member.caller.post('/sessions', { tenant_id: 'acme', user_id: user, scope: '' }, AS_CLIENT)
  if (answer.status !== 201) throw new Error(`create: ${answer.status} ${answer.error}`)
  return answer.body as Pair
}

/** A number of the metrics of a gateway, without labels. */
export async function metric(member: Member, name: string): Promise<number> {
  const response = await fetch(`${member.adminUrl}/metrics`)
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await response.text())?.[1])
}

/** Resident memory at its highest, MiB. */
export function peakMiB(program: Program): number {
  return Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8'))?.[1]) / 1024
}
