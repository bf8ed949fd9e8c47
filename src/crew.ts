/**
 * The gateway as several processes: workers that answer requests, and this process, the primary, which starts them, replaces
 * those that die and shows operators one gateway.
 *
 * To whoever runs it, it is a gateway like the one of `gateway.ts`. It opens no storage and answers no client.
 *
 * @module
 */
import { acceptOf, askToReload, createAdminFront, isReading, json, pathOf, RELOAD } from './admin/admin.ts'
import type { AdminAnswer, AdminQuestion, ReloadReport } from './admin/admin.ts'
import type { Config } from './config/config.ts'
import { openCrewConsole } from './crew-console.ts'
import { createCrewMetrics } from './crew-metrics.ts'
import { factsOf, listOf, mergeAnalytics, mergeReadiness, mergeUpstreams, type Facts } from './crew-views.ts'
import type { Gateway } from './gateway.ts'
import { createLoginDesk } from './login-counts.ts'
import type { PassedQuestion } from './member.ts'
import { Problem } from './problem/problem.ts'
import { createCounts } from './quota/quota.ts'
import { rateHandlers } from './rate-counts.ts'
import { createLoginThrottle } from './services/accounts/accounts.ts'
import { createTelemetry } from './telemetry/telemetry.ts'
import { createWorkers, startProcess, type Workers } from './workers/workers.ts'
import { monotonicMs, nowMs, random, schedule, tidyUp } from './world.ts'

export interface CrewNeeds {
  /** Takes whole log lines. */
  write(lines: string): void
  /** Text of the configuration, which workers read in place of the file. */
  readonly configuration: string
  /** Reads the configuration again, where an operator asks for it. */
  reload(): Promise<ReloadReport>
}

export type Crew = Pick<Gateway, 'listen' | 'reloadFailed' | 'close' | 'cut' | 'log'> & {
  /** Puts a configuration in force in all workers, or in none. @throws Error that says why it is in none */
  reload(config: Config, text: string): Promise<void>
  /** Rejects when no worker is left and none can be started. */
  readonly lost: Promise<never>
}

/** How much longer than their requests workers may take to end. */
const SLACK_MS = 10_000
/** Probes do not wait long, and a worker that does not answer at once is news by itself. */
const PROBE_MS = 1_000
const ADMIN_MS = 10_000
/** New issuers and names are loaded before a configuration is in force. */
const RELOAD_MS = 30_000

export function openCrew(first: Config, needs: CrewNeeds): Crew {
  let config = first
  let { configuration } = needs
  /** What each worker was started with. */
  const given = new Map<number, string>()
  const startedMs = monotonicMs()
  const telemetry = createTelemetry({ write: needs.write, nowMs, monotonicMs, random, schedule }, config)
  const { log } = telemetry
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2))
  const rates = rateHandlers(createCounts({ monotonicMs, seed: [high, low] }, config.rateLimits.entries))
  const logins = createLoginDesk(createLoginThrottle({ nowMs: monotonicMs }), () => config.tenants)
  const metrics = createCrewMetrics(telemetry.snapshot, (ms) => workers.askAll('metrics', undefined, ms))
  const workers: Workers = createWorkers(
    {
      startProcess,
      monotonicMs,
      schedule,
      welcome(worker) {
        given.set(worker, configuration)
        return { worker, configuration }
      },
      handlers: (life) => ({
        ...logins.handlers(life),
        ...rates,
        counted: (body) => metrics.note(life, body),
        'pass on': (body) => workers.tellAll('passed on', body, life),
      }),
      left(life) {
        logins.left(life)
        metrics.left(life)
        watch.left(life)
      },
      events: { ...telemetry.events.workers, ready: catchUp },
    },
    config.workers,
  )
  telemetry.observe({ workers: () => workers.count().ready })
  const watch = openCrewConsole({
    askAll: (ms) => workers.askAll('pulse', undefined, ms),
    readiness: async (ms) => readiness(await askAll(lookAt('/readyz'), ms)),
    upstreams: async (ms) => mergeUpstreams(await askLists(lookAt('/upstreams'), ms)),
    failed: (cause) => log.error('the console failed', { cause }),
  })
  const admin = createAdminFront(
    { answer, failed: (cause) => log.error('the admin listener failed', { cause }) },
    config.listeners.admin,
  )
  let state: 'starting' | 'running' | 'draining' = 'starting'
  let lastReload: 'ok' | 'failed' | undefined
  return { listen, reload, reloadFailed, close, cut: () => workers.tellAll('cut'), log, lost: workers.lost }

  async function listen() {
    const adminAddress = await admin.listen()
    const address = await workers.start()
    tidyUp(false)
    if (state === 'starting') state = 'running'
    return { public: address, admin: adminAddress }
  }

  async function reload(next: Config, text: string): Promise<void> {
    const before = configuration
    // Workers that start from here on go by it.
    configuration = text
    const reasons = await takenOn(text)
    if (reasons.length === 0) {
      config = next
      telemetry.use(next)
      noteReload('ok')
      return
    }
    configuration = before
    // Those that took it on have to be as the others.
    await takenOn(before)
    reloadFailed()
    throw new Error(`a worker could not take it on: ${reasons.join('; ')}`)
  }

  /** The configuration was replaced while the worker started. */
  function catchUp(worker: number): void {
    if (given.get(worker) === configuration) return
    given.set(worker, configuration)
    takenOn(configuration).then(
      (reasons) => {
        if (reasons.length > 0) log.error('a worker goes by an older configuration', { worker, why: reasons.join('; ') })
      },
      (cause: unknown) => log.error('a worker goes by an older configuration', { worker, cause }),
    )
  }

  /** @returns why it is not in force in all of them; none: it is */
  async function takenOn(text: string): Promise<readonly string[]> {
    const { ready: asked } = workers.count()
    const answers = await workers.askReady('reload', text, RELOAD_MS)
    const reasons = answers.flatMap(({ body }) => (Array.isArray(body) ? body.map(String) : ['it did not answer']))
    return answers.length < asked ? [...reasons, 'it did not answer in time'] : [...new Set(reasons)]
  }

  function reloadFailed(): void {
    noteReload('failed')
  }

  function noteReload(outcome: 'ok' | 'failed'): void {
    lastReload = outcome
    telemetry.reloaded(outcome)
  }

  async function close(): Promise<number> {
    state = 'draining'
    const { drainDelayMs, drainMs } = config.listeners.public.timeouts
    const cutAnswers = await workers.stop(drainDelayMs + drainMs + SLACK_MS)
    await admin.close()
    watch.stop()
    telemetry.stop()
    return cutAnswers
  }

  async function answer(question: AdminQuestion): Promise<AdminAnswer> {
    const shown = watch.answer(question)
    if (shown !== undefined) return shown
    if (pathOf(question.target) === RELOAD) return askToReload(question, needs.reload, config.listeners.admin)
    if (!isReading(question)) return passOn(question)
    const path = pathOf(question.target)
    if (path === '/healthz') return json(200, { status: 'ok' })
    if (path === '/metrics') return { status: 200, ...(await metrics.scrape(acceptOf(question.rawHeaders))) }
    if (path === '/readyz') return ready(question)
    if (path === '/upstreams') return json(200, mergeUpstreams(await askLists(question, ADMIN_MS)))
    if (path === '/usernames/analytics') return json(200, mergeAnalytics(await askAll(question, ADMIN_MS)))
    return passOn(question)
  }

  /** Any of them knows: what is enforced is the same in all. */
  async function passOn(question: AdminQuestion): Promise<AdminAnswer> {
    const answered = asAnswer(await workers.askOne('admin', await passed(question), ADMIN_MS))
    if (answered === undefined) throw new Problem('overloaded', { detail: 'no worker answers', headers: { 'retry-after': '1' } })
    return answered
  }

  async function ready(question: AdminQuestion): Promise<AdminAnswer> {
    const said = readiness(await askAll(question, PROBE_MS))
    return json(said.status === 'ready' || said.status === 'degraded' ? 200 : 503, said)
  }

  function readiness(said: readonly Facts[]) {
    return {
      ...mergeReadiness(said, workers.count(), state),
      uptime_seconds: (monotonicMs() - startedMs) / 1000,
      ...(lastReload !== undefined && { last_reload: lastReload }),
    }
  }

  /** What each of them answers, as an object. */
  async function askAll(question: AdminQuestion, timeoutMs: number): Promise<readonly Facts[]> {
    const answers = await workers.askAll('admin', await passed(question), timeoutMs)
    return answers.flatMap(({ body }) => factsOf(asAnswer(body)?.body ?? ''))
  }

  /** What each of them answers, as a list. */
  async function askLists(question: AdminQuestion, timeoutMs: number): Promise<readonly (readonly Facts[])[]> {
    const answers = await workers.askAll('admin', await passed(question), timeoutMs)
    return answers.map(({ body }) => listOf(asAnswer(body)?.body ?? ''))
  }
}

/** A question of our own. */
function lookAt(target: string): AdminQuestion {
  return { method: 'GET', target, rawHeaders: [], ip: '', requestId: '', contentType: '', readBytes: async () => Buffer.alloc(0) }
}

async function passed(question: AdminQuestion): Promise<PassedQuestion> {
  const { readBytes, ...rest } = question
  return { ...rest, body: (await readBytes()).toString('base64') }
}

function asAnswer(value: unknown): AdminAnswer | undefined {
  if (typeof value !== 'object' || value === null || !('status' in value) || !('body' in value)) return undefined
  const { status, body } = value
  const contentType = 'contentType' in value ? value.contentType : ''
  if (typeof status !== 'number' || typeof body !== 'string' || typeof contentType !== 'string') return undefined
  const headers = 'headers' in value && typeof value.headers === 'object' && value.headers !== null ? value.headers : {}
  return {
    status,
    contentType,
    body,
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, String(text)])),
  }
}
