/**
 * Tokens whose signatures are wrong, by the thousand: they cost processor time, and somebody at the same address has good ones.
 * Neither they nor anybody else are locked out, and a single error stays what it is.
 */
import { afterEach, describe, expect, it } from 'vitest'
import { openScene, type Scene } from '../support/attack.ts'
import { claims, createSigner } from '../support/foreign.ts'
import { postJson } from '../support/gateway.ts'
import { until } from '../support/until.ts'

const ISSUER = 'https://flooded.test/'
const ATTACKER = '192.0.2.1'
const ELSEWHERE = '192.0.2.2'
/** What any budget allows at once. */
const AT_ONCE = 10
const good = createSigner('RS256', 'good')
/** Another key under the name of the good one. */
const forger = createSigner('RS256', 'good')
const stranger = createSigner('RS256', 'stranger')

let scene: Scene | undefined

afterEach(async () => {
  await scene?.close()
  scene = undefined
})

async function open(overload = '{ badSignatures: 6/m }'): Promise<Scene> {
  scene = await openScene({
    listener: `    trustedProxies: [127.0.0.1/32]\n    overload: ${overload}`,
    issuers: `  flooded: { issuer: "${ISSUER}", tenant: acme, audiences: [api], algorithms: [RS256], jwks: { file: flooded.json } }`,
    files: { 'flooded.json': JSON.stringify({ keys: [good.jwk] }) },
    routes: '  - { name: sessions, match: { path: /sessions/* }, service: sessions }',
  })
  return scene
}

const goodToken = () => good.token(claims(ISSUER))
const forged = () => forger.token(claims(ISSUER))

async function send(at: Scene, token: string, from = ATTACKER) {
  const { status, headers, json } = await at.ask({ target: '/admin', token, lines: [`X-Forwarded-For: ${from}`] })
  return { status, error: status === 200 ? undefined : json()['error'], retryAfter: headers.get('retry-after')?.[0] }
}

async function sendMany(at: Scene, count: number, from?: string) {
  const answers = []
  for (let index = 0; index < count; index += 1) answers.push(await send(at, forged(), from))
  return answers
}

const PASSED = { status: 200, error: undefined, retryAfter: undefined }
const FORGED = { status: 401, error: 'invalid_signature', retryAfter: undefined }
const NOT_LOOKED_AT = { status: 429, error: 'rate_limited', retryAfter: expect.stringMatching(/^([1-9]|10)$/) }

describe('forged signatures', () => {
  it('are 401 one by one, and not looked at any more once there are too many from an address', async () => {
    const at = await open()
    const answers = await sendMany(at, AT_ONCE + 20)
    expect(answers.slice(0, AT_ONCE)).toEqual(Array.from({ length: AT_ONCE }, () => FORGED))
    expect(answers.slice(-5)).toContainEqual(NOT_LOOKED_AT)
    expect(answers.filter(({ status }) => status !== 401 && status !== 429)).toEqual([])
    expect(at.upstream.seen).toEqual([])
  })

  it('keep nobody out who was known before, from the same address', async () => {
    const at = await open()
    const known = goodToken()
    expect(await send(at, known)).toEqual(PASSED)
    for (let round = 0; round < 5; round += 1) {
      await sendMany(at, AT_ONCE)
      expect(await send(at, known)).toEqual(PASSED)
    }
  })

  it('keep nobody out who was seen at the address, also with a token that is new', async () => {
    const at = await open()
    expect(await send(at, goodToken())).toEqual(PASSED)
    const forgedByMallory = () => forger.token(claims(ISSUER, { sub: 'mallory' }))
    for (let index = 0; index < AT_ONCE + 10; index += 1) await send(at, forgedByMallory())
    expect(await send(at, goodToken())).toEqual(PASSED)
    expect(await send(at, good.token(claims(ISSUER, { sub: 'bob' })))).toEqual(NOT_LOOKED_AT)
    expect(await send(at, forgedByMallory())).toEqual(NOT_LOOKED_AT)
  })

  it('keep nobody out at another address, and nobody for good', async () => {
    const at = await open('{ badSignatures: 60/m }')
    await sendMany(at, AT_ONCE + 20)
    expect(await send(at, goodToken(), ELSEWHERE)).toEqual(PASSED)
    const late = goodToken()
    await until(async () => (await send(at, late)).status === 200, 'the new token was never taken')
  })

  it('are one account for all addresses of a /64, and a header that nobody vouches for changes none', async () => {
    const at = await open()
    for (let index = 0; index < AT_ONCE; index += 1) await send(at, forged(), `2001:db8:1:2::${index + 1}`)
    const statuses = [
      await send(at, forged(), '2001:db8:1:2:aaaa::1'),
      await send(at, forged(), '2001:db8:1:3::1'),
      await send(at, forged(), `198.51.100.7, 2001:db8:1:2::1`),
    ].map(({ status }) => status)
    expect(statuses).toEqual([429, 401, 429])
  })

  it('do not spend the account of anybody who names an unknown key, has an expired token or none that can be read', async () => {
    const at = await open()
    const cheap = [
      () => stranger.token(claims(ISSUER)),
      () => good.token(claims(ISSUER, { exp: 1 })),
      () => good.token(claims('https://unknown.test/')),
      () => 'garbage',
    ]
    for (let index = 0; index < AT_ONCE + 5; index += 1) {
      for (const token of cheap) expect((await send(at, token())).status).toBe(401)
    }
    expect(await send(at, goodToken())).toEqual(PASSED)
    await sendMany(at, AT_ONCE + 10)
    // And they stay what they are when the account is spent.
    for (const token of cheap) expect((await send(at, token())).status).toBe(401)
  })

  it('are counted at POST /sessions/validate too, which anyone may ask', async () => {
    const at = await open()
    const validate = () =>
      postJson(`${at.gateway.url}/sessions/validate`, { access_token: forged() }, { 'x-forwarded-for': ATTACKER })
    const statuses: number[] = []
    for (let index = 0; index < AT_ONCE + 10; index += 1) statuses.push((await validate()).status)
    expect(statuses.slice(0, AT_ONCE)).toEqual(Array.from({ length: AT_ONCE }, () => 200))
    expect(statuses.slice(AT_ONCE)).toContain(429)
  })

  it('are told in the metrics by their reason, and in no other way', async () => {
    const at = await open()
    await sendMany(at, AT_ONCE + 20)
    const text = await (await fetch(`${at.gateway.adminUrl}/metrics`)).text()
    const refusedFor = (reason: string) =>
      Number(
        new RegExp(`^gatehouse_auth_decisions_total\\{tenant="acme",result="refused",reason="${reason}"\\} (\\d+)`, 'm').exec(
          text,
        )?.[1],
      )
    expect(refusedFor('signature')).toBeGreaterThanOrEqual(AT_ONCE)
    expect(refusedFor('rate_limited')).toBeGreaterThan(0)
    expect(refusedFor('signature') + refusedFor('rate_limited')).toBe(AT_ONCE + 20)
    expect(/^gatehouse_shed_total\{/m.test(text)).toBe(false)
  })
})
