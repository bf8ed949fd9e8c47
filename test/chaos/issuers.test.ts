/**
 * Issuers that fail in every way at the same time, each before a steady load of its own tokens: nothing forged or revoked passes at
 * any time, what is good passes as long as the known keys may serve, nobody else notices, and all is well when they are.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { claims } from '../support/foreign.ts'
import { MAIN, startProgram, temporaryFolder, waitFor, type Program } from '../support/process.ts'
import { createCaller, type Answer, type Caller } from './caller.ts'
import { recordRows, type FaultTimes, type MatrixRow } from './matrix.ts'
import { IS_MEASURED, startProbe, timingOf, together, type Sample, type Span, type Target } from './probe.ts'
import { prefer } from './rig.ts'
import { FORGERIES, startIssuer, TROUBLES, type Issuer, type Trouble } from './support-issuers.ts'

/** How often keys are fetched and how long they serve, how long each part of a run lasts, the load, and what the probe asks. */
const { REFRESH_MS, STALE_FOR_MS, WARM_MS, HEALTHY_MS, EVERY_MS, PROBES_A_SECOND, PROBED_TOKENS } = IS_MEASURED
  ? {
      REFRESH_MS: 3_000,
      STALE_FOR_MS: 12_000,
      WARM_MS: 10_000,
      HEALTHY_MS: 12_000,
      EVERY_MS: 100,
      PROBES_A_SECOND: 2_600,
      PROBED_TOKENS: 3_000,
    }
  : {
      REFRESH_MS: 1_000,
      STALE_FOR_MS: 4_000,
      WARM_MS: 2_000,
      HEALTHY_MS: 2_000,
      EVERY_MS: 20,
      PROBES_A_SECOND: 110,
      PROBED_TOKENS: 20,
    }
const TIMEOUT_MS = 1_000
const MIN_INTERVAL_MS = 5_000
/** How much later than the bound a gateway may have fetched what an issuer wrote, and be answering still. */
const SLACK_MS = TIMEOUT_MS + 500
const AFTER_MS = 1_000
/** What had to wait is done by then. */
const SETTLE_MS = IS_MEASURED ? 1_000 : 0
/** Between two looks at whether all is well again. */
const LOOK_MS = 20
/** What was asked for this long before the fault was answered before it. */
const EDGE_MS = 300
const RECOVER_LIMIT_MS = 30_000
const CACHED = 5
const GREETING = /ready at http:\/\/localhost:(\d+) /

/** One request, and what it was. */
interface Use {
  readonly kind: 'good' | 'new key' | 'must not pass'
  readonly what: string
  readonly answer: Omit<Answer, 'body'>
}

interface Times {
  readonly calmMs: number
  readonly begunMs: number
  readonly endedMs: number
  readonly recoveredMs: number
  /** Of all issuers. */
  readonly wellMs: number
  readonly overMs: number
}

/** An issuer and the load of its tokens. */
interface Scene {
  readonly trouble: Trouble
  readonly issuer: Issuer
  readonly uses: Use[]
  readonly cached: readonly string[]
  readonly revoked: readonly string[]
  turn: number
}

let scenes: readonly Scene[] = []
let program: Program
let caller: Caller
const under = new Set<Promise<void>>()

beforeAll(async () => {
  scenes = await Promise.all(
    TROUBLES.map(async (trouble, number): Promise<Scene> => {
      const issuer = await startIssuer(`issuer-${number}`, trouble)
      const tokens = (): string[] => Array.from({ length: CACHED }, () => issuer.good.token(claims(issuer.iss)))
      return { trouble, issuer, uses: [], cached: tokens(), revoked: tokens(), turn: 0 }
    }),
  )
  const file = join(temporaryFolder(), 'gateway.yaml')
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, yamlOf(scenes))
  program = startProgram(process.execPath, [MAIN, 'start', '--config', file], { log: join(file, '../log') })
  await waitFor(() => GREETING.test(program.stderr()), program)
  if (IS_MEASURED) prefer(program)
  caller = createCaller(Number(GREETING.exec(program.stderr())?.[1]))
  for (const token of scenes.flatMap(({ revoked }) => revoked)) {
    expect(await caller.post('/sessions/revoke', { token })).toMatchObject({ status: 200 })
  }
}, 60_000)
afterAll(async () => {
  caller.close()
  await program.end()
  await Promise.all(scenes.map(({ issuer }) => issuer.close()))
})

function yamlOf(of: readonly Scene[]): string {
  const times = `refresh: ${REFRESH_MS}ms, minInterval: ${MIN_INTERVAL_MS}ms, staleFor: ${STALE_FOR_MS}ms, timeout: ${TIMEOUT_MS}ms`
  return `listeners:
  public: { address: '127.0.0.1:0', origin: http://gateway.test, timeouts: { drain: 1s }, overload: { lag: 10s, badSignatures: 100000/m } }
  admin: { address: '127.0.0.1:0' }
storage: { directory: ./data }
tenants: { default: { signing: ES256 } }
issuers:
${of
  .map(
    ({ issuer }) =>
      `  ${issuer.name}: { issuer: '${issuer.iss}', tenant: default, audiences: [api], algorithms: [ES256, RS256], clockSkew: 0s, jwks: { uri: 'http://127.0.0.1:${issuer.port}/keys', ${times} } }`,
  )
  .join('\n')}
routes:
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`
}

test('none of them lets anything in that is not good, or keeps out what is, while its keys may serve', async () => {
  const stop = startLoad()
  const probe = startProbe(PROBES_A_SECOND)
  try {
    probe.ask(scenes.flatMap(probedAt))
    await pause(WARM_MS)
    const calmMs = performance.now()
    await pause(HEALTHY_MS)
    const begunMs = performance.now()
    await Promise.all(scenes.map(({ issuer }) => issuer.begin()))
    await pause(STALE_FOR_MS + SLACK_MS + AFTER_MS)
    const endedMs = performance.now()
    await Promise.all(scenes.map(({ issuer }) => issuer.end()))
    const recoveries = await Promise.all(scenes.map(recovered))
    const wellMs = performance.now()
    await pause(IS_MEASURED ? HEALTHY_MS : AFTER_MS)
    const overMs = performance.now()
    await stop()
    const samples = await probe.end()
    const times = recoveries.map((recoveredMs): Times => ({ calmMs, begunMs, endedMs, recoveredMs, wellMs, overMs }))
    expect(scenes.filter((scene, number) => !wasFelt(scene, times[number])).map(({ trouble }) => trouble.fault)).toEqual([])
    const verdicts = scenes.map((scene, number) => judge(scene, times[number], timesOf(samples, number, times[number])))
    expect(verdicts.map(({ wrong }) => wrong)).toEqual(scenes.map(() => []))
    expect(scenes.map((scene) => tooManyFetches(scene))).toEqual(scenes.map(() => undefined))
    expect(scenes.map(({ issuer }) => issuer.followed())).toEqual(scenes.map(() => 0))
    recordRows(
      'issuers',
      verdicts.map(({ row }) => row),
    )
  } finally {
    await stop()
    probe.close()
  }
}, 120_000)

/** Of four tokens three that were seen before; where another key follows, as many of that, of which none or all are good. */
function probedAt({ issuer, cached, trouble }: Scene, group: number): readonly Target[] {
  const at = (tokens: readonly string[]): Target => ({ group, port: caller.port, path: '/api/x', tokens })
  const signed = (signer: Issuer['good'], count: number): string[] =>
    Array.from({ length: count }, () => signer.token(claims(issuer.iss)))
  const of = (signer: Issuer['good'], known: readonly string[]): Target[] => [
    ...Array.from({ length: 3 }, () => at(known)),
    at(signed(signer, PROBED_TOKENS)),
  ]
  return [...of(issuer.good, cached), ...(trouble.keys === 'replaced' ? of(issuer.next, signed(issuer.next, CACHED)) : [])]
}

/** With nothing broken issuers are alike, and what the tokens of all of them took is the more certain. */
function timesOf(samples: readonly Sample[], number: number, times: Times | undefined): FaultTimes {
  if (times === undefined) throw new Error('no times')
  const of = (group: number, span: Span) =>
    timingOf(
      samples.filter((sample) => sample.group === group),
      span,
    )
  const ofAll = (span: Span) => together(scenes.map((_, group) => of(group, span)))
  return {
    before: ofAll({ fromMs: times.calmMs, toMs: times.begunMs }),
    during: of(number, { fromMs: times.begunMs, toMs: times.endedMs }),
    after: ofAll({ fromMs: times.wellMs + SETTLE_MS, toMs: times.overMs }),
  }
}

/** Each scene at its time, whatever became of what was sent before. */
function startLoad(): () => Promise<void> {
  const startedMs = performance.now()
  let sent = 0
  const ticking = setInterval(() => {
    const due = ((performance.now() - startedMs) / EVERY_MS) * scenes.length
    for (; sent < due; sent += 1) {
      const scene = scenes[sent % scenes.length]
      if (scene !== undefined) sendNext(scene)
    }
  }, 1)
  return async function stop() {
    clearInterval(ticking)
    await Promise.all(under)
  }
}

/** Six of ten are good, and half of those are seen for the first time. */
function sendNext(scene: Scene): void {
  const { issuer, trouble, cached, revoked } = scene
  const turn = scene.turn++
  const forgery = Object.entries(FORGERIES)[turn % 5]
  if (turn % 2 === 0) send(scene, 'good', 'known', cached[(turn / 2) % CACHED] ?? '')
  if (turn % 2 === 1) send(scene, 'good', 'new', issuer.good.token(claims(issuer.iss)))
  if (turn % 2 === 0 && forgery !== undefined) send(scene, 'must not pass', forgery[0], forgery[1](issuer))
  if (turn % 4 === 1) send(scene, 'must not pass', 'revoked', revoked[turn % CACHED] ?? '')
  if (turn % 4 === 3 && trouble.keys === 'replaced') {
    send(scene, 'new key', 'of the key that is published next', issuer.next.token(claims(issuer.iss)))
  }
}

function send(scene: Scene, kind: Use['kind'], what: string, token: string): void {
  const sent = caller.get('/api/x', token).then((whole) => {
    const { body: _, ...answer } = whole
    scene.uses.push({ kind, what, answer })
  })
  under.add(sent)
  void sent.finally(() => under.delete(sent))
}

/** When a token that is seen for the first time passed again, and the one after it. */
async function recovered({ issuer }: Scene): Promise<number> {
  const limitMs = performance.now() + RECOVER_LIMIT_MS
  let passedMs: number | undefined
  while (performance.now() < limitMs) {
    const answer = await caller.get('/api/x', issuer.good.token(claims(issuer.iss)))
    if (answer.status === 200 && passedMs !== undefined) return passedMs
    passedMs = answer.status === 200 ? answer.doneMs : undefined
    await pause(LOOK_MS)
  }
  throw new Error(`${issuer.name} is not well again`)
}

function judge(
  scene: Scene,
  times: Times | undefined,
  took: FaultTimes,
): { readonly wrong: readonly string[]; readonly row: MatrixRow } {
  if (times === undefined) throw new Error('no times')
  const { trouble, uses } = scene
  const letIn = uses.filter((use) => use.answer.status === 200 && mustNotPass(scene, use, times))
  const keptOut = uses.filter((use) => use.answer.status !== 200 && mustPass(scene, use, times))
  const tell = (why: string) => (use: Use) =>
    `${trouble.fault}: ${why} ${use.what} at ${(use.answer.sentMs - times.begunMs).toFixed(0)} ms: ${use.answer.status} ${use.answer.error}`
  const row: MatrixRow = {
    fault: trouble.fault,
    wrongAccepts: letIn.length,
    goodFailed: keptOut.length,
    times: took,
    recoverMs: Math.max(0, times.recoveredMs - times.endedMs),
    seen: trouble.seen,
  }
  return { wrong: [...letIn.map(tell('let in')), ...keptOut.map(tell('kept out'))], row }
}

function mustNotPass({ trouble, issuer }: Scene, { kind, answer }: Use, { begunMs, endedMs }: Times): boolean {
  if (kind === 'must not pass') return true
  const { sentMs, doneMs } = answer
  if (kind === 'new key') return doneMs < begunMs
  if (doneMs >= endedMs || sentMs < begunMs || trouble.keys === 'serves') return false
  if (trouble.keys === 'lost') return sentMs > (issuer.fetches.findLast((ms) => ms < begunMs) ?? 0) + STALE_FOR_MS + SLACK_MS
  return issuer.fetches.some((fetchedMs) => fetchedMs > begunMs && sentMs > fetchedMs + SLACK_MS)
}

function mustPass({ trouble, issuer }: Scene, { kind, answer }: Use, { begunMs, endedMs, recoveredMs }: Times): boolean {
  const { sentMs, doneMs } = answer
  const fetchedMs = issuer.fetches.find((ms) => ms > begunMs)
  if (kind === 'must not pass') return false
  if (kind === 'new key') return fetchedMs !== undefined && sentMs > fetchedMs + SLACK_MS && doneMs < endedMs
  if (trouble.keys === 'serves' || doneMs < begunMs || sentMs > recoveredMs) return true
  if (trouble.keys === 'lost') return doneMs < lastGoodMs(issuer, begunMs) + STALE_FOR_MS
  return fetchedMs === undefined || doneMs < fetchedMs
}

/** A fetch that was surely answered before the fault: what came of it serves for `staleFor` from then on. */
function lastGoodMs({ fetches }: Issuer, begunMs: number): number {
  return fetches.findLast((ms) => ms < begunMs - EDGE_MS) ?? 0
}

/** Whether the load had a chance to show what the fault does. */
function wasFelt({ trouble, issuer, uses }: Scene, times: Times | undefined): boolean {
  if (times === undefined) return false
  const within = uses.filter(({ answer }) => answer.sentMs > times.begunMs && answer.doneMs < times.endedMs)
  const was = (kind: Use['kind'], passed: boolean): boolean =>
    within.some((use) => use.kind === kind && (use.answer.status === 200) === passed)
  if (trouble.keys === 'serves') return was('good', true) && issuer.fetches.some((ms) => ms > times.begunMs && ms < times.endedMs)
  return was('good', true) && was('good', false) && (trouble.keys === 'lost' || was('new key', true))
}

/** One each `refresh`, with its jitter, and for tokens that no known key signed two and then one each `minInterval`. */
function tooManyFetches({ issuer }: Scene): string | undefined {
  const { fetches } = issuer
  const lastedMs = (fetches.at(-1) ?? 0) - (fetches[0] ?? 0)
  const most = Math.ceil(lastedMs / (REFRESH_MS * 0.9)) + 3 + Math.ceil(lastedMs / MIN_INTERVAL_MS)
  return fetches.length <= most ? undefined : `${issuer.name}: ${fetches.length} fetches in ${lastedMs.toFixed(0)} ms`
}
