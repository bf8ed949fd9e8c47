/**
 * Issuers that fail in every way, each before a steady load of its own tokens: nothing forged or revoked passes at any time, what
 * is good passes as long as the known keys may serve, nobody else notices, and all is well when they are.
 *
 * All fail at the same time; for the document each besides alone, for what one of them costs is not seen where ten do.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { claims } from '../support/foreign.ts'
import { judge, SLACK_MS, tooManyFetches, wasFelt, type Times } from './issuers-judge.ts'
import { openStage, probedAt, STALE_FOR_MS, startLoad, type Scene, type Stage } from './issuers-stage.ts'
import { isAsFast, recordRows, tellTimes, type FaultTimes, type MatrixRow } from './matrix.ts'
import { IS_MEASURED, startProbe, timingOf, together, type Probe, type Sample, type Span } from './probe.ts'
import { TROUBLES, type Trouble } from './support-issuers.ts'

/** How long each part of a run lasts, and how often the probe asks. */
const { WARM_MS, HEALTHY_MS, PROBES_A_SECOND } = IS_MEASURED
  ? { WARM_MS: 7_000, HEALTHY_MS: 8_000, PROBES_A_SECOND: 2_000 }
  : { WARM_MS: 2_000, HEALTHY_MS: 2_000, PROBES_A_SECOND: 110 }
const AFTER_MS = 1_000
/** What had to wait is done by then. */
const SETTLE_MS = IS_MEASURED ? 1_000 : 0
/** Between two looks at whether all is well again. */
const LOOK_MS = 20
const RECOVER_LIMIT_MS = 30_000
/** About a quarter of what the probe asks in a run. */
const SEEN_FIRST = (PROBES_A_SECOND / 4) * ((WARM_MS + 2 * HEALTHY_MS + STALE_FOR_MS) / 1000 + 5)

const [WELL, ...ILL] = TROUBLES

interface Run {
  readonly scenes: readonly Scene[]
  readonly times: readonly Times[]
  readonly samples: readonly Sample[]
}

it('none of them lets anything in that is not good, or keeps out what is, while its keys may serve', async () => {
  const run = await breakAll(TROUBLES)
  const rows = rowsOf(run, (number) => [number])
  recordRows('issuers', IS_MEASURED ? rows.slice(0, 1) : rows)
}, 120_000)

it.each(IS_MEASURED ? ILL : [])(
  'alone: $fault',
  async (trouble) => {
    const row = await alone(trouble)
    recordRows('issuers', [isAsFast(row.times) ? row : bothOf(row, await alone(trouble))])
  },
  240_000,
)

/** The row of one that is ill beside one that is well: the tokens of either tell how long requests took. */
async function alone(trouble: Trouble): Promise<MatrixRow> {
  if (WELL === undefined) throw new Error('no issuer is well')
  const [, row] = rowsOf(await breakAll([WELL, trouble]), () => [0, 1])
  if (row === undefined) throw new Error('no row')
  tellTimes(row.fault, row.times)
  return row
}

/** What is measured and looks slower is measured once more: both count. */
function bothOf(one: MatrixRow, other: MatrixRow): MatrixRow {
  const both = (of: keyof FaultTimes) => together([one.times[of], other.times[of]])
  return {
    ...one,
    wrongAccepts: one.wrongAccepts + other.wrongAccepts,
    goodFailed: one.goodFailed + other.goodFailed,
    times: { before: both('before'), during: both('during'), after: both('after') },
    recoverMs: Math.max(one.recoverMs, other.recoverMs),
  }
}

async function breakAll(troubles: readonly Trouble[]): Promise<Run> {
  const stage = await openStage(troubles)
  const stop = startLoad(stage)
  const probe = startProbe(PROBES_A_SECOND)
  try {
    probe.ask(probedAt(stage, SEEN_FIRST))
    const times = await goThrough(stage)
    await stop()
    return { scenes: stage.scenes, times, samples: await probe.end() }
  } finally {
    await end(stage, stop, probe)
  }
}

async function end(stage: Stage, stop: () => Promise<void>, probe: Probe): Promise<void> {
  probe.close()
  await stop()
  await stage.close()
}

/** The moments of each scene. */
async function goThrough({ scenes, caller }: Stage): Promise<readonly Times[]> {
  await pause(WARM_MS)
  const calmMs = performance.now()
  await pause(HEALTHY_MS)
  const begunMs = performance.now()
  await Promise.all(scenes.map(({ issuer }) => issuer.begin()))
  await pause(STALE_FOR_MS + SLACK_MS + AFTER_MS)
  const endedMs = performance.now()
  await Promise.all(scenes.map(({ issuer }) => issuer.end()))
  const recoveries = await Promise.all(scenes.map((scene) => recovered(scene, caller)))
  const wellMs = performance.now()
  await pause(IS_MEASURED ? SETTLE_MS + HEALTHY_MS : AFTER_MS)
  const overMs = performance.now()
  return recoveries.map((recoveredMs) => ({ calmMs, begunMs, endedMs, recoveredMs, wellMs, overMs }))
}

/** When a token that is seen for the first time passed again, and the one after it. */
async function recovered({ issuer }: Scene, caller: Stage['caller']): Promise<number> {
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

/**
 * Asserts everything but times.
 *
 * @param groups - whose requests tell how long they took while that scene was ill
 */
function rowsOf({ scenes, times, samples }: Run, groups: (number: number) => readonly number[]): readonly MatrixRow[] {
  const whole = scenes.map((scene, number) => {
    const own = times[number]
    if (own === undefined) throw new Error('no times')
    return { scene, own, verdict: judge(scene, own), took: timesOf(samples, groups(number), own) }
  })
  expect(whole.filter(({ scene, own }) => !wasFelt(scene, own)).map(({ scene }) => scene.trouble.fault)).toEqual([])
  expect(whole.flatMap(({ verdict }) => verdict.wrong)).toEqual([])
  expect(scenes.map((scene) => tooManyFetches(scene))).toEqual(scenes.map(() => undefined))
  expect(scenes.map(({ issuer }) => issuer.followed())).toEqual(scenes.map(() => 0))
  return whole.map(({ scene: { trouble }, own, verdict, took }) => ({
    fault: trouble.fault,
    wrongAccepts: verdict.wrongAccepts,
    goodFailed: verdict.goodFailed,
    times: took,
    recoverMs: Math.max(0, own.recoveredMs - own.endedMs),
    seen: trouble.seen,
  }))
}

function timesOf(samples: readonly Sample[], groups: readonly number[], times: Times): FaultTimes {
  const of = (span: Span) =>
    together(
      groups.map((group) =>
        timingOf(
          samples.filter((sample) => sample.group === group),
          span,
        ),
      ),
    )
  return {
    before: of({ fromMs: times.calmMs, toMs: times.begunMs }),
    during: of({ fromMs: times.begunMs, toMs: times.endedMs }),
    after: of({ fromMs: times.wellMs + SETTLE_MS, toMs: times.overMs }),
  }
}
