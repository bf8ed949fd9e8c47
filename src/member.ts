/**
 * A process that is one of several: what it gets from the primary, tells it, and asks of it.
 *
 * @module
 */
import { describeProblem, Problem } from './problem/problem.ts'
import type { Admin, AdminAnswer, AdminFront, AdminQuestion } from './admin/admin.ts'
import type { Address } from './gateway.ts'
import { createRemoteLoginThrottle } from './login-counts.ts'
import type { SharedCounts } from './quota/quota.ts'
import { createRemoteCounts } from './rate-counts.ts'
import type { LoginThrottle } from './services/accounts/accounts.ts'
import type { Telemetry } from './telemetry/telemetry.ts'
import { createWire, parentProcess, type Parent, type Wire } from './workers/workers.ts'
import { schedule } from './world.ts'

/** What the rooms of a worker take from the primary. */
export interface Membership {
  /** Number of this process, from 1. */
  readonly worker: number
  readonly loginThrottle: LoginThrottle
  readonly neighbours: Neighbours
  /** Of rate limits, where Redis does not have them. */
  readonly counts: SharedCounts
  /**
   * In place of a listener for operators, which the primary has: it passes on what it is asked.
   *
   * @param failed told of faults of ours
   */
  admin(answer: Admin['answer'], failed: (cause: unknown) => void): AdminFront
  /** Where the primary gets the metrics of this process, and what operators watch. */
  observed(telemetry: Pick<Telemetry, 'snapshot' | 'pulse'>): void
}

/** The other workers, by way of the primary: ahead of what they read in the storage, never in its place. */
export interface Neighbours {
  /** All of the others are told, soon and once; who starts just now is not. */
  tell(topic: string, body?: unknown): void
  /** Takes what they tell of it. One for each topic. */
  onTold(topic: string, take: (body: unknown) => void): void
}

export interface Member extends Membership {
  /** Text of the configuration that is in force: the file may be another by now. */
  readonly configuration: string
  /** `stop` also when the primary is gone. */
  onStop(stop: () => void, cut: () => void): void
  /** `take`: another text of the configuration; resolves with why it is not in force, none where it is. */
  onReload(take: (text: string) => Promise<readonly string[]>): void
  ready(address: Address): void
  /** Why it cannot start, or go on. */
  refuse(reason: string): void
  /** The last that is heard of this process. */
  leave(cutAnswers: number): Promise<void>
}

/** Undefined in a process that is the only one, or the primary. Resolves when the primary has said what there is to know. */
export async function joinPrimary(): Promise<Member | undefined> {
  const parent = parentProcess()
  return parent === undefined ? undefined : join(parent)
}

const WELCOME_MS = 60_000
/** The primary says it in its own name. */
const SPEAKER = /^gatehouse: /

interface Tasks {
  answer?: Admin['answer']
  failed?: (cause: unknown) => void
  snapshot?: Telemetry['snapshot']
  pulse?: Telemetry['pulse']
  reload?: (text: string) => Promise<readonly string[]>
  stop?: () => void
  cut?: () => void
}

async function join(parent: Parent): Promise<Member> {
  const tasks: Tasks = {}
  const topics = new Map<string, (body: unknown) => void>()
  let isTold = false
  const wire = createWire(
    { send: parent.send, schedule },
    {
      stop,
      cut: () => tasks.cut?.(),
      reload: (text) => tasks.reload?.(String(text)),
      admin: (body) => answerQuestion(tasks, body),
      metrics: () => tasks.snapshot?.(),
      pulse: () => tasks.pulse?.(),
      'passed on'(said) {
        const { topic, body } = recordOf(said)
        topics.get(String(topic))?.(body)
      },
    },
  )
  parent.onMessage(wire.receive)
  parent.onGone(stop)
  const { worker, configuration } = readWelcome(await wire.ask('welcome', undefined, WELCOME_MS))
  return {
    worker,
    configuration,
    loginThrottle: createRemoteLoginThrottle(wire),
    counts: createRemoteCounts(wire),
    neighbours: {
      tell: (topic, body) => wire.tell('pass on', { topic, body }),
      onTold: (topic, take) => void topics.set(topic, take),
    },
    admin(answer, failed) {
      tasks.answer = answer
      tasks.failed = failed
      return adminFront(wire)
    },
    observed({ snapshot, pulse }) {
      tasks.snapshot = snapshot
      tasks.pulse = pulse
    },
    onStop(whenTold, cut) {
      tasks.stop = whenTold
      tasks.cut = cut
      if (isTold) whenTold()
    },
    onReload(take) {
      tasks.reload = take
    },
    ready: (address) => wire.tell('ready', address),
    refuse: (reason) => wire.tell('refused', reason.replace(SPEAKER, '').trim()),
    async leave(cutAnswers) {
      // What it cannot count any more after all is closed is not worth failing for.
      const snapshot = await tasks.snapshot?.().catch(() => undefined)
      wire.tell('stopped', cutAnswers)
      wire.tell('counted', snapshot)
      parent.leave()
    },
  }

  function stop(): void {
    isTold = true
    tasks.stop?.()
  }
}

/** Nothing listens here: from now on the primary may ask. */
function adminFront(wire: Wire): AdminFront {
  return {
    async listen() {
      wire.tell('open')
      return { host: '', port: 0 }
    },
    close: async () => undefined,
  }
}

/** A question of an operator as it comes from the primary, body and all. */
export interface PassedQuestion {
  readonly method: string
  readonly target: string
  readonly rawHeaders: readonly string[]
  readonly ip: string
  readonly requestId: string
  readonly contentType: string
  /** Base64. */
  readonly body: string
}

/** Refusals are answers, too. */
async function answerQuestion({ answer, failed }: Tasks, body: unknown): Promise<AdminAnswer> {
  const question = readQuestion(body)
  try {
    if (answer === undefined) throw new Problem('overloaded', { headers: { 'retry-after': '1' } })
    return await answer(question)
  } catch (thrown) {
    const problem = Problem.from(thrown)
    if (problem.status >= 500) failed?.(problem.facts.cause)
    const said = describeProblem(problem, question.requestId)
    const { 'content-type': contentType = '', ...headers } = said.headers
    return { status: said.status, contentType, body: said.body, headers }
  }
}

function readQuestion(value: unknown): AdminQuestion {
  const { method, target, rawHeaders, ip, requestId, contentType, body } = recordOf(value)
  return {
    method: String(method),
    target: String(target),
    rawHeaders: Array.isArray(rawHeaders) ? rawHeaders.map(String) : [],
    ip: String(ip),
    requestId: String(requestId),
    contentType: String(contentType),
    readBytes: async () => Buffer.from(String(body), 'base64'),
  }
}

function readWelcome(value: unknown): { readonly worker: number; readonly configuration: string } {
  const { worker, configuration } = recordOf(value)
  if (typeof worker !== 'number' || typeof configuration !== 'string') throw new TypeError('the primary has said something else')
  return { worker, configuration }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {}
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
