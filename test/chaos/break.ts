/** One fault from begin to end: a rig, a steady load, the fault, its end, and what is left afterwards. */
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from 'vitest'
import { judge, type Scope, type Times } from './judge.ts'
import { seeded, startLoad, type Load, type Subject } from './load.ts'
import { isAsFast, tellTimes, type FaultTimes, type MatrixRow } from './matrix.ts'
import { IS_MEASURED, startProbe, timingOf, together, warm, type Probe, type Sample } from './probe.ts'
import { createSession, memberAt, metric, peakMiB, startRig, WAYS, type Member, type Rig, type Way } from './rig.ts'

export interface Fault {
  /** The row of the matrix. */
  readonly name: string
  readonly seen: string
  /** Which gateways it is for: all, unless it says otherwise. */
  readonly gateways?: 'one' | 'none'
  /** How many there are when it begins: 3. */
  readonly startWith?: number
  /** Nothing at all can be known from Redis while it lasts. */
  readonly isTotal?: true
  /** Redis comes back without sessions that it had. */
  readonly losesSessions?: true
  /** What ends is ended while it lasts too. */
  readonly endsGoOn?: true
  /** Redis is there often enough for no copy to get too old: nothing is refused for that. */
  readonly staysFresh?: true
  /** A gateway that is started again may have forgotten what was revoked so shortly before: 0. */
  readonly forgetsMs?: number
  /** Whether gateways tell it as `gatehouse_redis_up 0`. */
  readonly isTold?: true
  /** Before the load. */
  prepare?(rig: Rig): Promise<void>
  /** May say when Redis was lost, by `performance.now()`, where that is long before it returns. */
  begin(rig: Rig, affected: readonly Member[]): Promise<number | void>
  end(rig: Rig, affected: readonly Member[]): Promise<void>
}

const GATEWAYS = 3
/** How long the processes are given to compile what they do often, how long each part of a run lasts, and how often the probe asks. */
const { WARM_UP_MS, CALM_MS, LASTS_MS, AFTER_MS, PROBES_A_SECOND } = IS_MEASURED
  ? { WARM_UP_MS: 6_000, CALM_MS: 13_000, LASTS_MS: 18_000, AFTER_MS: 13_000, PROBES_A_SECOND: 1_200 }
  : { WARM_UP_MS: 2_000, CALM_MS: 3_500, LASTS_MS: 6_000, AFTER_MS: 1_500, PROBES_A_SECOND: 100 }
/** Far more than it takes: a machine may be busy. */
const RECOVERY_MS = 30_000
/** Of a test that may make its fault twice. */
export const SUFFER_LIMIT_MS = 300_000
/** What had to wait for the end of the fault is done by then. */
const SETTLE_MS = IS_MEASURED ? 2_000 : 0
/** How old the copy of a gateway is at most that follows. */
const FRESH_SECONDS = 1
const MOST_MIB = 300
const SHOWN = 20
/** Of 30 that are asked for; a machine that is busy may not get to all. */
const MOST_ENDS = 15

/** Makes the fault and asserts everything but the numbers of the row. What is measured and looks slower is measured once more: both count. */
export async function suffer(fault: Fault): Promise<MatrixRow> {
  const first = await sufferOnce(fault)
  if (!IS_MEASURED || isAsFast(first.times)) return first
  const second = await sufferOnce(fault)
  const both = (of: keyof FaultTimes) => together([first.times[of], second.times[of]])
  return {
    ...first,
    wrongAccepts: first.wrongAccepts + second.wrongAccepts,
    goodFailed: first.goodFailed + second.goodFailed,
    times: { before: both('before'), during: both('during'), after: both('after') },
    recoverMs: Math.max(first.recoverMs, second.recoverMs),
  }
}

async function sufferOnce(fault: Fault): Promise<MatrixRow> {
  const rig = await startRig(fault.startWith ?? GATEWAYS)
  try {
    return await sufferOn(rig, fault)
  } finally {
    await rig.close()
  }
}

async function sufferOn(rig: Rig, fault: Fault): Promise<MatrixRow> {
  await fault.prepare?.(rig)
  const load = await startLoad(rig, seeded(1))
  const affected = affectedBy(fault, rig)
  const { times, seen } = await probed(rig, load, () => goThrough(rig, load, fault, affected))
  const samples = warm(seen, WARM_UP_MS)
  const scope: Scope = {
    affected: new Set(fault.gateways === undefined ? [...affected, ...rig.members] : affected),
    isTotal: fault.isTotal === true,
    losesSessions: fault.losesSessions === true,
    staysFresh: fault.staysFresh === true,
    forgetsMs: fault.forgetsMs ?? 0,
  }
  const verdict = judge(load, times, scope)
  const took: FaultTimes = {
    before: timingOf(samples, { fromMs: times.calmMs, toMs: times.beginsMs }),
    during: timingOf(samples, { fromMs: times.begunMs, toMs: times.lookedMs }),
    after: timingOf(samples, { fromMs: times.recoveredMs + SETTLE_MS, toMs: times.overMs }),
  }
  tellTimes(fault.name, took)
  tellDetails(fault.name, load, times)
  expect(some(faultsLogged(rig))).toEqual([])
  expect(some(verdict.writesBroken)).toEqual([])
  expect(load.mixedUp).toEqual([])
  expect(seen.filter(({ status }) => status !== 200)).toEqual([])
  if (fault.endsGoOn === true) expect(endedDuring(load, times)).toBeGreaterThan(MOST_ENDS)
  await expectEnded(rig, load.ended(), load.good)
  await expectWell(rig, load)
  expect(some([...verdict.wrongAccepts, ...verdict.goodFailed])).toEqual([])
  return {
    fault: fault.name,
    wrongAccepts: verdict.wrongAccepts.length,
    goodFailed: verdict.goodFailed.length,
    times: took,
    recoverMs: times.recoveredMs - times.endsMs,
    seen: fault.seen,
  }
}

function endedDuring(load: Load, { begunMs, endsMs }: Times): number {
  return load.ended().filter(({ ackedMs = 0 }) => ackedMs > begunMs && ackedMs < endsMs).length
}

function affectedBy({ gateways }: Fault, rig: Rig): readonly Member[] {
  if (gateways === 'none') return []
  return gateways === 'one' ? [memberAt(rig, 2)] : [...rig.members]
}

async function goThrough(rig: Rig, load: Load, fault: Fault, affected: readonly Member[]): Promise<Times> {
  await pause(WARM_UP_MS)
  const calmMs = performance.now()
  await pause(CALM_MS)
  const beginsMs = performance.now()
  const lostMs = await fault.begin(rig, affected)
  const begunMs = performance.now()
  await pause(LASTS_MS)
  const lookedMs = performance.now()
  if (fault.isTold === true) await Promise.all(affected.map((member) => told(member, 0)))
  const endsMs = performance.now()
  await fault.end(rig, affected)
  await Promise.all(rig.members.map((member, number) => works(member, load, number)))
  const recoveredMs = performance.now()
  await pause(SETTLE_MS + AFTER_MS)
  const overMs = performance.now()
  await load.stop()
  return { calmMs, beginsMs, lostMs: lostMs ?? begunMs, begunMs, lookedMs, endsMs, recoveredMs, overMs }
}

/** Meanwhile every gateway is asked by the probe. */
async function probed(
  rig: Rig,
  load: Load,
  run: () => Promise<Times>,
): Promise<{ readonly times: Times; readonly seen: readonly Sample[] }> {
  const probe = startProbe(PROBES_A_SECOND)
  rig.changed = () => ask(probe, rig, load)
  rig.changed()
  try {
    const times = await run()
    return { times, seen: await probe.end() }
  } finally {
    rig.changed = () => undefined
    probe.close()
  }
}

/** Good tokens, on ways that let them in whatever Redis does. */
function ask(probe: Probe, { members }: Rig, { good }: Load): void {
  const tokens = good.map(({ pair }) => pair.access_token)
  const ways = WAYS.filter(({ method, whenStale }) => method === 'GET' && whenStale === 'pass')
  probe.ask(members.flatMap(({ caller: { port } }) => ways.map(({ path }) => ({ group: port, port, path, tokens }))))
}

function told(member: Member, value: 0 | 1): Promise<void> {
  return expect.poll(() => metric(member, 'gatehouse_redis_up'), { timeout: RECOVERY_MS, interval: 100 }).toBe(value)
}

/** What is revoked is known again, what is good is let in, sessions begin, and operators are told so. */
async function works(member: Member, load: Load, number: number): Promise<void> {
  const [subject] = load.good
  const token = subject?.pair.access_token ?? ''
  const staleness = (): Promise<number> => metric(member, 'gatehouse_revocation_staleness_seconds')
  await expect.poll(staleness, { timeout: RECOVERY_MS, interval: 50 }).toBeLessThan(FRESH_SECONDS)
  const isLetIn = async (): Promise<number> => (await member.caller.get('/deny', token)).status
  await expect.poll(isLetIn, { timeout: RECOVERY_MS, interval: 20 }).toBe(200)
  const begins = (): Promise<string> => createSession(member, `after-${number}`).then(String, (error: Error) => error.message)
  await expect.poll(begins, { timeout: RECOVERY_MS, interval: 50 }).toBe('[object Object]')
  await told(member, 1)
}

/** What ended is over on every way into every gateway, one that starts now included; what is good is good there too. */
async function expectEnded(rig: Rig, ended: readonly Subject[], good: readonly Subject[]): Promise<void> {
  expect(ended.length).toBeGreaterThan(20)
  await rig.add()
  const faults: string[] = []
  const call = async (number: number, way: Way, subject: Subject, wanted: number): Promise<void> => {
    const { status, error } = await memberAt(rig, number).caller.get(way.path, subject.pair.access_token, way.method)
    if (status !== wanted) faults.push(`gateway ${number} ${way.method} ${way.path} ${subject.user}: ${status} ${error}`)
  }
  for (const way of WAYS) {
    for (const [number] of rig.members.entries()) {
      await Promise.all([...ended.map((one) => call(number, way, one, 401)), ...good.map((one) => call(number, way, one, 200))])
    }
  }
  expect(some(faults)).toEqual([])
}

/** The processes are whole, took no more memory than they should, and wrote no token anywhere. */
async function expectWell(rig: Rig, load: Load): Promise<void> {
  for (const { program } of rig.members) {
    expect({ code: program.child.exitCode, signal: program.child.signalCode }).toEqual({ code: null, signal: null })
    expect(peakMiB(program)).toBeLessThan(MOST_MIB)
  }
  const subjects = [...load.good, ...load.ended()]
  const secrets = subjects.flatMap(({ pair }) => [secretOf(pair.access_token), secretOf(pair.refresh_token)])
  for (const { program } of rig.members) await program.end('SIGTERM')
  for (const program of rig.programs()) {
    const text = program.stdout() + program.stderr()
    expect(secrets.filter((secret) => text.includes(secret))).toEqual([])
  }
  expect(await Promise.all(rig.members.map(({ program }) => program.exited))).toEqual(
    rig.members.map(() => ({ code: 0, signal: null })),
  )
}

/** Faults of its own that a gateway has logged, each in its line. */
function faultsLogged(rig: Rig): readonly string[] {
  const lines = rig.programs().flatMap((program) => (program.stdout() + program.stderr()).split('\n'))
  return lines.filter((line) =>
    /fault outside of a request|internal_error|unhandled|"class":"(?:Type|Syntax|Range)Error"/i.test(line),
  )
}

/** Enough to see what is wrong. */
function some(faults: readonly string[]): readonly string[] {
  return faults.length <= SHOWN ? faults : [...faults.slice(0, SHOWN), `and ${faults.length - SHOWN} more`]
}

/** The end of a token: a signature, or a MAC. */
function secretOf(token: string): string {
  return token.slice(-24)
}

function tellDetails(name: string, { uses, writes }: Load, times: Times): void {
  const during = writes.filter(({ answer }) => answer.sentMs > times.begunMs && answer.sentMs < times.endsMs)
  const refused = during.filter(({ answer }) => answer.status === 503)
  const slowest = Math.max(0, ...refused.map(({ answer }) => answer.doneMs - answer.sentMs))
  const policy = WAYS.map((way) => {
    const own = uses.filter((use) => use.way === way && use.answer.sentMs > times.begunMs)
    const stale = own.filter(({ answer }) => answer.status === 503)
    return `${way.method} ${way.path} ${stale.length}/${own.length}`
  })
  process.stdout.write(
    `[chaos] ${name}: 503 ${policy.join(', ')}; writes refused ${refused.length}/${during.length}, the slowest after ${slowest.toFixed(0)} ms\n`,
  )
}
