/** Measures subjects in turns: every round has each of them once, in another order each time. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { runLoad, type Measured } from './load.ts'
import { findProgram, treeResidentMiB } from './programs.ts'
import { CLIENTS, type Rig } from './rig.ts'
import type { Running, Subject } from './subjects.ts'

export interface Turns {
  readonly rounds: number
  readonly seconds: number
}

export interface Result {
  readonly subject: Subject
  readonly rounds: readonly Measured[]
  /** Of the process and those below it after the last round. */
  readonly residentMiB: number
  readonly version?: string
}

const WARM_UP_SECONDS = 4
/** A second takes as many tokens as are verified in it, and each has to be signed before. */
const COLD_SECONDS = 2
/** More than the gateway verifies. Those that are left over in a round are of no use. */
const COLD_PER_SECOND = 24_000

interface Player {
  readonly subject: Subject
  readonly running: Running
  readonly rounds: Measured[]
}

/**
 * Who is not installed, does not work, or fails on the way is left out from then on, which is said on the standard error; where that
 * is the gateway the run ends with 1.
 */
export async function measureInTurns(rig: Rig, wanted: readonly Subject[], turns: Turns): Promise<readonly Result[]> {
  const players: Player[] = []
  for (const subject of wanted.filter(isThere)) {
    const running = await start(rig, subject)
    if (running !== undefined) players.push({ subject, running, rounds: [] })
  }
  const cold = createColdTurns(turns)
  const once = async ({ subject, running }: Player, seconds: number): Promise<Measured | undefined> => {
    const turn = isCold(subject) ? cold.next(subject.name) : { seconds }
    return measureOnce(rig, [subject, running], turn).catch((error: unknown) => leaveOut(subject, String(error)))
  }
  let well: readonly Player[] = players
  for (let round = 0; round <= turns.rounds; round += 1) {
    const failed = new Set<Player>()
    for (const player of rotated(well, round)) {
      const measured = await once(player, round === 0 ? WARM_UP_SECONDS : turns.seconds)
      if (measured === undefined) failed.add(player)
      // Round 0 warms up and is thrown away.
      else if (round > 0) player.rounds.push(measured)
    }
    well = well.filter((player) => !failed.has(player))
    const rates = well.map(({ subject, rounds }) => `${subject.name} ${Math.round(rounds.at(-1)?.perSecond ?? 0)}/s`)
    console.error(round === 0 ? `warmed up: ${well.length}` : `round ${round} of ${turns.rounds}: ${rates.join(', ')}`)
  }
  return well.map(({ subject, running, rounds }) => {
    const version = versionOf(subject)
    return { subject, rounds, residentMiB: treeResidentMiB(running.pid), ...(version === undefined ? {} : { version }) }
  })
}

function leaveOut({ name, isPeer }: Subject, why: string): undefined {
  console.error(`${name} is left out: ${why}`)
  if (!isPeer) process.exitCode = 1
}

/** The same in another order: each is once the first, the second and so on. */
export function rotated<T>(all: readonly T[], by: number): readonly T[] {
  const at = all.length === 0 ? 0 : by % all.length
  return [...all.slice(at), ...all.slice(0, at)]
}

interface Turn {
  readonly seconds: number
  /** For the cold ones: tokens of this turn, and of all turns. */
  readonly window?: { readonly offset: number; readonly count: number }
  readonly all?: number
}

/**
 * Each turn of a subject has tokens that it did not have before. The first one, which warms up, also fills what the gateway remembers
 * tokens in, as it is where it has run for a while.
 */
function createColdTurns({ rounds, seconds }: Turns): { next(name: string): Turn } {
  const each = Math.min(COLD_SECONDS, seconds)
  const all = COLD_PER_SECOND * (WARM_UP_SECONDS + each * rounds)
  const shown = new Map<string, number>()
  return {
    next(name) {
      const offset = shown.get(name) ?? 0
      const turn = offset === 0 ? WARM_UP_SECONDS : each
      const count = COLD_PER_SECOND * turn
      shown.set(name, offset + count)
      return { seconds: turn, window: { offset, count }, all }
    },
  }
}

async function measureOnce(rig: Rig, [subject, running]: readonly [Subject, Running], turn: Turn): Promise<Measured> {
  const tokenFile = await tokensOf(rig, subject, turn.all ?? 0)
  await running.prepare?.()
  try {
    const measured = await runLoad(
      {
        url: `http://127.0.0.1:${running.port}${subject.path}`,
        seconds: turn.seconds,
        connections: CLIENTS,
        pid: running.pid,
        ...(subject.bodyBytes === undefined ? {} : { bodyBytes: subject.bodyBytes }),
        ...(turn.window === undefined ? {} : { window: turn.window }),
        ...(tokenFile === undefined ? {} : { tokenFile }),
      },
      rig.wrkScript,
    )
    if (measured.errors > measured.requests / 1000)
      throw new Error(`${subject.name}: ${measured.errors} of ${measured.requests} failed`)
    // Whoever remembers tokens must not have seen one before; others may.
    if (!subject.isPeer && turn.window !== undefined && measured.requests > turn.window.count) {
      throw new Error(`${subject.name}: tokens were shown twice, since it is faster than ${COLD_PER_SECOND}/s`)
    }
    return measured
  } finally {
    running.tidy?.()
  }
}

function isCold({ tokens }: Subject): boolean {
  return tokens === 'RS256 once' || tokens === 'ES256 once'
}

function tokensOf(rig: Rig, { tokens }: Subject, count: number): Promise<string | undefined> {
  if (tokens === 'none') return Promise.resolve(undefined)
  if (tokens === 'one') return Promise.resolve(rig.oneToken)
  if (tokens === 'warm') return Promise.resolve(rig.warmTokens)
  return rig.coldTokens(tokens === 'RS256 once' ? 'RS256' : 'ES256', count)
}

function isThere({ name, program, needs }: Subject): boolean {
  const missing = program !== undefined && findProgram(program) === undefined ? program : undefined
  const lacking = missing ?? (needs !== undefined && !existsSync(needs) ? needs.split('/').at(-1) : undefined)
  if (lacking !== undefined) console.error(`${name} is left out: ${lacking} is not installed`)
  return lacking === undefined
}

async function start(rig: Rig, subject: Subject): Promise<Running | undefined> {
  try {
    const running = await subject.start(rig)
    const fault = await faultOf(rig, subject, running)
    return fault === undefined ? running : leaveOut(subject, fault)
  } catch (error) {
    return leaveOut(subject, String(error))
  }
}

/** Nobody is measured who does not do what is claimed. */
async function faultOf(rig: Rig, { path, tokens, verifies }: Subject, { port }: Running): Promise<string | undefined> {
  const url = `http://127.0.0.1:${port}${path}`
  if (!verifies) return (await ask(url)).status === 200 ? undefined : 'it does not answer'
  const algorithm = tokens === 'ES256 once' ? 'ES256' : 'RS256'
  const [good = ''] = algorithm === 'ES256' ? await rig.issuer.mint('ES256', 1) : [rig.token]
  if ((await ask(url, good)).status !== 200) return 'it does not take a good token'
  if ((await ask(url, rig.issuer.forge(algorithm))).status !== 401) return 'it takes a forged token'
  if ((await ask(url)).status !== 401) return 'it takes a request without a token'
  if (!path.endsWith('/small') || path.startsWith('/echo')) return undefined
  const seen = (await ask(url.replace('/small', '/whoami'), good)).body
  return seen === 'user-0' ? undefined : 'who calls does not arrive at the upstream'
}

/** Says that it is somebody else, which nobody who verifies may pass on. */
async function ask(url: string, token?: string): Promise<{ readonly status: number; readonly body: string }> {
  const headers = { 'x-user-id': 'somebody-else', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
  const response = await fetch(url, { headers })
  return { status: response.status, body: await response.text() }
}

/** The first number with dots that it says. */
function versionOf({ program, version }: Subject): string | undefined {
  if (program === undefined || version === undefined) return undefined
  const { stdout, stderr } = spawnSync(findProgram(program) ?? program, version, { encoding: 'utf8' })
  return /\d+\.\d+(?:\.\d+)?/.exec(stdout + stderr)?.[0]
}
