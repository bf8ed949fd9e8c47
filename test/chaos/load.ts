/**
 * A steady load without affinity: good, revoked and soon revoked tokens on every way into every gateway, sent at their time whatever
 * became of those before; beside it sessions that begin, go on and end. What was sent and what came of it is written down.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { FaultProxy } from '../support/fault-proxy.ts'
import type { Answer } from './caller.ts'
import { IS_MEASURED } from './probe.ts'
import { AS_CLIENT, createSession, memberAt, WAYS, type Member, type Pair, type Rig, type Way } from './rig.ts'

const REQUESTS_A_SECOND = IS_MEASURED ? 150 : 300
const TICK_MS = 10
const GOOD = 12
const REVOKED = 12
/** More than are ended in any run. */
const SOON = IS_MEASURED ? 300 : 150
const REFRESHED = 12
const EVERY_MS = { revoke: 200, create: 500, refresh: 300, login: 1_000 }
const PREPARE_MS = 30_000
const PASSWORD = 'correct horse battery staple'

/** A session, and what became of it. */
export interface Subject {
  pair: Pair
  readonly user: string
  /** Since then its end may be in force: the first request for it was sent. */
  askedMs?: number
  /** Since then it has to be: the request for it was answered. */
  ackedMs?: number
  /** The gateway that answered. */
  ackedBy?: Member
}

/** One request with a token. */
export interface Use {
  readonly subject: Subject
  readonly member: Member
  readonly way: Way
  /** Without its body, which nobody looks at: what is kept of so many is collected for, on the cores that gateways need. */
  readonly answer: Omit<Answer, 'body'>
}

/** One request that changes sessions. */
export interface Write {
  readonly kind: 'revoke' | 'create' | 'refresh' | 'login'
  readonly member: Member
  readonly answer: Answer
}

export interface Load {
  readonly uses: readonly Use[]
  readonly writes: readonly Write[]
  /** Answers that were those of somebody else. */
  readonly mixedUp: readonly string[]
  readonly good: readonly Subject[]
  /** Those whose end was answered. */
  ended(): readonly Subject[]
  /** Ends when all that was sent is answered. */
  stop(): Promise<void>
}

/** @param random - from 0, below 1; the same numbers make the same load */
export async function startLoad(rig: Rig, random: () => number): Promise<Load> {
  const uses: Use[] = []
  const writes: Write[] = []
  const mixedUp: string[] = []
  const under = new Set<Promise<unknown>>()
  const good = await begin(GOOD, 'good')
  const soon = [...(await begin(REVOKED, 'revoked')), ...(await begin(SOON, 'soon'))]
  const refreshed = await begin(REFRESHED, 'refreshed')
  const emails = new Map(await Promise.all(rig.members.map(register)))
  for (const [turn, subject] of soon.slice(0, REVOKED).entries()) await end(subject, turn)
  let next = REVOKED
  /** Those whose end was refused, and those that were not refreshed. */
  const refused: number[] = []
  const unrefreshed = new Set<Subject>()
  let [isAgain, isRetry] = [false, false]
  let turn = 0
  const startedMs = performance.now()
  let sent = 0
  const ticking = setInterval(tick, TICK_MS)
  const timers = [
    every(EVERY_MS.revoke, endNext),
    every(EVERY_MS.create, create),
    every(EVERY_MS.refresh, refreshNext),
    // A password takes a core for a tenth of a second, and is not asked for while Redis is away.
    ...(IS_MEASURED ? [] : [every(EVERY_MS.login, login)]),
  ]
  return {
    uses,
    writes,
    mixedUp,
    good,
    ended: () => soon.filter((subject) => subject.ackedMs !== undefined),
    async stop() {
      clearInterval(ticking)
      for (const timer of timers) clearInterval(timer)
      while (under.size > 0) await Promise.all(under)
    },
  }

  function begin(count: number, name: string): Promise<Subject[]> {
    return Promise.all(
      Array.from({ length: count }, async (_, number): Promise<Subject> => {
        const user = `${name}-${number}`
        return { user, pair: await prepare(memberAt(rig, number), user) }
      }),
    )
  }

  function tick(): void {
    const due = ((performance.now() - startedMs) / 1000) * REQUESTS_A_SECOND
    for (; sent < due; sent += 1) noted(use(choose(), memberAt(rig, sent), WAYS[Math.floor(random() * WAYS.length)]))
  }

  /** Of ten, six that are good, two of long ago, and two whose end is near, under way or new. */
  function choose(): Subject | undefined {
    const one = random() * 10
    if (one < 6) return good[Math.floor(random() * GOOD)]
    if (one < 8) return soon[Math.floor(random() * REVOKED)]
    return soon[Math.min(SOON + REVOKED - 1, Math.max(REVOKED, next - 12 + Math.floor(random() * 14)))]
  }

  async function use(subject: Subject | undefined, member: Member, way: Way | undefined): Promise<void> {
    if (subject === undefined || way === undefined) throw new Error('nothing to send')
    const { body: _, ...answer } = await member.caller.get(way.path, subject.pair.access_token, way.method)
    uses.push({ subject, member, way, answer })
  }

  function every(intervalMs: number, work: () => Promise<unknown>): NodeJS.Timeout {
    return setInterval(() => noted(work()), intervalMs)
  }

  /** What fails here is a fault of the test: the callers do not reject. */
  function noted(work: Promise<unknown>): void {
    under.add(work)
    void work.finally(() => under.delete(work))
  }

  function any(): Member {
    return memberAt(rig, Math.floor(random() * rig.members.length))
  }

  async function write(kind: Write['kind'], member: Member, path: string, body: unknown): Promise<Answer> {
    const answer = await member.caller.post(path, body, kind === 'create' || kind === 'revoke' ? AS_CLIENT : {})
    writes.push({ kind, member, answer })
    return answer
  }

  /** Asks once for an end in one of three forms: of the token, of its session, of all of its user. */
  async function end(subject: Subject, form: number): Promise<boolean> {
    const member = any()
    const { access_token: access, refresh_token: refreshToken } = subject.pair
    subject.askedMs ??= performance.now()
    const answer =
      form % 3 === 2
        ? await write('revoke', member, '/sessions/revoke-all', { tenant_id: 'acme', user_id: subject.user })
        : await write('revoke', member, '/sessions/revoke', { token: form % 3 === 0 ? access : refreshToken })
    if (answer.status !== 200) return false
    subject.ackedMs = answer.doneMs
    subject.ackedBy = member
    return true
  }

  /**
   * A refusal to end something may be answered by asking again, and is, in every other turn until it is done: with Redis broken as
   * many are asked for as without, so that what differs are the gateways and not the load.
   */
  async function endNext(): Promise<void> {
    isAgain = !isAgain
    const number = (isAgain ? refused.shift() : undefined) ?? next++
    const subject = soon[number]
    if (subject !== undefined && !(await end(subject, number))) refused.push(number)
  }

  /** A session that was promised serves at once, at any gateway. */
  async function create(): Promise<void> {
    const user = `new-${random()}`
    const answer = await write('create', any(), '/sessions', { tenant_id: 'acme', user_id: user, scope: '' })
    if (answer.status !== 201) return
    const pair = answer.body as Pair
    if (userOf(pair) !== user) mixedUp.push(`session of ${user}`)
    await use({ user, pair }, any(), WAYS[1])
  }

  /** As with ends: as many are asked for, and what was refused comes before its turn, while its token may still be used again. */
  async function refreshNext(): Promise<void> {
    isRetry = !isRetry
    const [waiting] = isRetry ? unrefreshed : []
    await refresh(waiting ?? refreshed[turn++ % REFRESHED])
  }

  /** One that was refused is asked for again with the same token, as a client does. */
  async function refresh(subject: Subject | undefined): Promise<void> {
    if (subject === undefined || subject.askedMs !== undefined) return
    subject.askedMs = performance.now()
    const answer = await write('refresh', any(), '/sessions/refresh', { refresh_token: subject.pair.refresh_token })
    delete subject.askedMs
    unrefreshed.delete(subject)
    if (answer.status === 503) unrefreshed.add(subject)
    if (answer.status !== 200) return
    const pair = answer.body as Pair
    if (pair.session_id !== subject.pair.session_id || userOf(pair) !== subject.user) mixedUp.push(`refresh of ${subject.user}`)
    subject.pair = pair
    await use({ user: subject.user, pair }, any(), WAYS[1])
  }

  /** Accounts are on the disk of each gateway, also when it is started again. */
  async function login(): Promise<void> {
    const member = any()
    const email = emails.get(member.proxy)
    if (email !== undefined) await write('login', member, '/auth/login', { email, password: PASSWORD })
  }
}

/** Before anything is broken, and many at once: on a machine that is busy Redis is late for some of them. */
async function prepare(member: Member, user: string): Promise<Pair> {
  const startedMs = performance.now()
  for (;;) {
    try {
      return await createSession(member, user)
    } catch (error) {
      if (performance.now() - startedMs > PREPARE_MS) throw error
    }
    await pause(100)
  }
}

async function register(member: Member, number: number): Promise<[FaultProxy, string]> {
  const email = `user-${number}@example.com`
  const answer = await member.caller.post('/auth/register', { email, password: PASSWORD })
  if (answer.status !== 201) throw new Error(`register: ${answer.status} ${answer.error}`)
  return [member.proxy, email]
}

function userOf(pair: Pair): string {
  const claims: unknown = JSON.parse(Buffer.from(pair.access_token.split('.')[1] ?? '', 'base64url').toString())
  return typeof claims === 'object' && claims !== null && 'sub' in claims ? String(claims.sub) : ''
}

/** A generator of the same numbers for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
