/** Issuers, each before its trouble, a gateway that takes the tokens of all, and the load of them. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { claims } from '../support/foreign.ts'
import { MAIN, startProgram, temporaryFolder, waitFor } from '../support/process.ts'
import { createCaller, type Answer, type Caller } from './caller.ts'
import { IS_MEASURED, type Target } from './probe.ts'
import { prefer } from './rig.ts'
import { FORGERIES, startIssuer, type Issuer, type Trouble } from './support-issuers.ts'

/** How often keys are fetched and how long they serve, and how often a token of each issuer is sent. */
export const { REFRESH_MS, STALE_FOR_MS, EVERY_MS } = IS_MEASURED
  ? { REFRESH_MS: 3_000, STALE_FOR_MS: 8_000, EVERY_MS: 100 }
  : { REFRESH_MS: 1_000, STALE_FOR_MS: 4_000, EVERY_MS: 20 }
export const TIMEOUT_MS = 1_000
export const MIN_INTERVAL_MS = 5_000
const CACHED = 5
const GREETING = /ready at http:\/\/localhost:(\d+) /

/** One request, and what it was. */
export interface Use {
  readonly kind: 'good' | 'new key' | 'must not pass'
  readonly what: string
  readonly answer: Omit<Answer, 'body'>
}

/** An issuer and the load of its tokens. */
export interface Scene {
  readonly trouble: Trouble
  readonly issuer: Issuer
  readonly uses: Use[]
  readonly cached: readonly string[]
  readonly revoked: readonly string[]
  turn: number
}

export interface Stage {
  readonly scenes: readonly Scene[]
  readonly caller: Caller
  /** Ends with the load that it was told of. */
  close(): Promise<void>
}

/** Never resolves before the gateway is ready and knows what was revoked. */
export async function openStage(troubles: readonly Trouble[]): Promise<Stage> {
  const scenes = await Promise.all(
    troubles.map(async (trouble, number): Promise<Scene> => {
      const issuer = await startIssuer(`issuer-${number}`, trouble)
      const tokens = (): string[] => Array.from({ length: CACHED }, () => issuer.good.token(claims(issuer.iss)))
      return { trouble, issuer, uses: [], cached: tokens(), revoked: tokens(), turn: 0 }
    }),
  )
  const file = join(temporaryFolder(), 'gateway.yaml')
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, yamlOf(scenes))
  const program = startProgram(process.execPath, [MAIN, 'start', '--config', file], { log: join(file, '../log') })
  await waitFor(() => GREETING.test(program.stderr()), program)
  if (IS_MEASURED) prefer(program)
  const caller = createCaller(Number(GREETING.exec(program.stderr())?.[1]))
  for (const token of scenes.flatMap(({ revoked }) => revoked)) {
    expect(await caller.post('/sessions/revoke', { token })).toMatchObject({ status: 200 })
  }
  return {
    scenes,
    caller,
    async close() {
      caller.close()
      await program.end()
      await Promise.all(scenes.map(({ issuer }) => issuer.close()))
    },
  }
}

function yamlOf(scenes: readonly Scene[]): string {
  const times = `refresh: ${REFRESH_MS}ms, minInterval: ${MIN_INTERVAL_MS}ms, staleFor: ${STALE_FOR_MS}ms, timeout: ${TIMEOUT_MS}ms`
  return `listeners:
  public: { address: '127.0.0.1:0', origin: http://gateway.test, timeouts: { drain: 1s }, overload: { lag: 10s, badSignatures: 100000/m } }
  admin: { address: '127.0.0.1:0' }
storage: { directory: ./data }
tenants: { default: { signing: ES256 } }
issuers:
${scenes
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

/** Each scene at its time, whatever became of what was sent before. Ends when all that was sent is answered. */
export function startLoad({ scenes, caller }: Stage): () => Promise<void> {
  const under = new Set<Promise<void>>()
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
    const sending = caller.get('/api/x', token).then((whole) => {
      const { body: _, ...answer } = whole
      scene.uses.push({ kind, what, answer })
    })
    under.add(sending)
    void sending.finally(() => under.delete(sending))
  }
}

/**
 * What the probe asks, in groups by the number of the scene. Of four tokens three were seen before; where another key follows,
 * as many are of that, of which none or all are good. Half of all goes to the first scene: it is well, and shows what the
 * troubles of the others do to it.
 *
 * @param count - how many tokens in all are to be seen for the first time
 */
export function probedAt({ scenes, caller }: Stage, count: number): readonly Target[] {
  const parts = 2 * Math.max(1, scenes.length - 1)
  return scenes.flatMap((scene, group) => {
    const { issuer, cached, trouble } = scene
    const at = (tokens: readonly string[]): Target => ({ group, port: caller.port, path: '/api/x', tokens })
    const signed = (signer: Issuer['good'], length: number): string[] =>
      Array.from({ length }, () => signer.token(claims(issuer.iss)))
    const of = (signer: Issuer['good'], known: readonly string[]): Target[] => [
      ...Array.from({ length: 3 }, () => at(known)),
      at(signed(signer, Math.ceil(count / parts))),
    ]
    if (trouble.keys === 'replaced') return [...of(issuer.good, cached), ...of(issuer.next, signed(issuer.next, CACHED))]
    return Array.from({ length: group === 0 ? parts / 2 : 1 }, () => of(issuer.good, cached)).flat()
  })
}
