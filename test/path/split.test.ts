/** A route with several upstreams: the same one for the same user, for requests and WebSockets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openScene, recordingUpstream, valuesOf, type Recorder, type Scene } from '../support/attack.ts'
import { HANDSHAKE } from '../support/websocket.ts'

const USERS = Array.from({ length: 40 }, (_, at) => `user-${at}`)

let scene: Scene
let canary: Recorder

beforeAll(async () => {
  canary = await recordingUpstream()
  scene = await openScene({
    upstreams: `  canary: { targets: ["http://127.0.0.1:${canary.port}"] }`,
    routes: `
  - { name: shop, match: { path: /shop/* }, auth: optional, websocket: true, split: [{ upstream: recorder, weight: 50 }, { upstream: canary, weight: 50 }] }
  - { name: cart, match: { path: /cart/* }, auth: required, split: [{ upstream: canary, weight: 50 }, { upstream: recorder, weight: 50 }] }
  - { name: off, match: { path: /off/* }, auth: required, split: [{ upstream: canary, weight: 0 }, { upstream: recorder, weight: 1 }] }`,
  })
})
afterAll(async () => {
  await scene.close()
  await canary.close()
})

/** Which upstream each user comes to. */
async function sidesOf(path: string, lines: readonly string[] = []): Promise<readonly string[]> {
  const sides: string[] = []
  for (const sub of USERS) {
    scene.upstream.seen.length = 0
    canary.seen.length = 0
    await scene.ask({ target: `${path}/x`, token: scene.token({ sub }), lines })
    sides.push([...scene.upstream.seen.map(() => 'stable'), ...canary.seen.map(() => 'canary')].join())
  }
  return sides
}

describe('a split route', () => {
  it('takes each user to one side, on every route of the same upstreams, and with a WebSocket too', async () => {
    const sides = await sidesOf('/shop')
    expect(new Set(sides)).toEqual(new Set(['stable', 'canary']))
    expect(await sidesOf('/shop')).toEqual(sides)
    expect(await sidesOf('/cart')).toEqual(sides)
    expect(await sidesOf('/shop', HANDSHAKE)).toEqual(sides)
  })

  it('takes a client without a token to one side', async () => {
    scene.upstream.seen.length = 0
    canary.seen.length = 0
    for (let count = 0; count < 5; count += 1) expect((await scene.ask({ target: '/shop/x' })).status).toBe(200)
    expect([
      [5, 0],
      [0, 5],
    ]).toContainEqual([scene.upstream.seen.length, canary.seen.length])
  })

  it('tells each side who asks in a passport for itself', async () => {
    await sidesOf('/shop')
    for (const [name, side] of [
      ['recorder', scene.upstream],
      ['canary', canary],
    ] as const) {
      const [passport = ''] = valuesOf(side.seen.at(-1)?.rawHeaders ?? [], 'x-gatehouse-identity')
      if (passport === '') continue
      const claims = JSON.parse(Buffer.from(passport.split('.')[1] ?? '', 'base64url').toString()) as { aud?: string }
      expect(claims.aud).toBe(name)
    }
  })

  it('takes nobody to a side without weight', async () => {
    expect(new Set(await sidesOf('/off'))).toEqual(new Set(['stable']))
  })

  it('tells in metrics and log which side it was', async () => {
    const metrics = await (await fetch(`${scene.gateway.adminUrl}/metrics`)).text()
    expect(metrics).toMatch(/gatehouse_upstream_duration_seconds_count\{upstream="canary"\} [1-9]/)
    expect(metrics).toMatch(/gatehouse_upstream_duration_seconds_count\{upstream="recorder"\} [1-9]/)
    const upstreams = scene.gateway.lines().flatMap((line) => (line['route'] === 'shop' ? [line['upstream']] : []))
    expect(new Set(upstreams)).toEqual(new Set(['recorder', 'canary']))
  })
})
