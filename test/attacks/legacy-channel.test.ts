/** Whoever can publish on the channel of the older service, and has none of its secrets, can end nothing. */
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { claims, compact, createSigner, hs, segment } from '../support/foreign.ts'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway, type Tokens } from '../support/gateway.ts'
import {
  channelCounts,
  hearing,
  LEGACY_ISSUER,
  LEGACY_SECRET,
  legacyToken,
  olderService,
  type OlderService,
} from '../support/legacy.ts'
import { waitFor } from '../support/process.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'

const CORPORATE = 'https://login.corporate.test/'
const corporate = createSigner('RS256', 'k1')
const stranger = createSigner('RS256', 'k1')
const PEM = corporate.publicKey.export({ type: 'spki', format: 'pem' })

let redis: RedisServer
let older: OlderService
let gateway: TestGateway
let own: Tokens
/** Tokens that every attack is after. */
let victims: readonly string[]

beforeAll(async () => {
  redis = await startRedis()
  older = await olderService(redis)
  gateway = await startGateway(
    `storage: { sessions: "${redis.url}", directory: ./data }
masterKey: { env: MASTER_KEY }
revocation: { legacyChannel: {} }
tenants: { default: { signing: ES256 } }
issuers:
  legacy: { issuer: ${LEGACY_ISSUER}, tenant: default, audiences: any, algorithms: [HS256], secrets: [{ env: JWT_SECRET }], maxLifetime: 12h }
  corporate: { issuer: "${CORPORATE}", tenant: default, audiences: any, algorithms: [RS256], jwks: { file: jwks.json } }
routes:${SERVICE_ROUTES}
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
`,
    {
      environment: { JWT_SECRET: LEGACY_SECRET, MASTER_KEY: 'ab'.repeat(32) },
      files: { 'jwks.json': JSON.stringify({ keys: [corporate.jwk] }) },
    },
  )
  await hearing(redis, 2)
  own = await login(gateway.url)
  victims = [own.access_token, legacyToken({ jti: 'victim-jti' }), legacyToken(), corporate.token(claims(CORPORATE))]
})
afterAll(async () => {
  older.close()
  await gateway.close()
  await redis.stop()
})

async function statuses(): Promise<readonly number[]> {
  return Promise.all(victims.map(status))
}

async function status(token: string): Promise<number> {
  const response = await fetch(`${gateway.url}/api/x`, { headers: bearer(token) })
  await response.arrayBuffer()
  return response.status
}

/** Publishes, and waits until each message was dealt with, one way or another. */
async function attack(messages: readonly (string | Buffer)[]): Promise<Readonly<Record<string, number>>> {
  const before = await channelCounts(gateway.adminUrl)
  for (const message of messages) await older.publish(message)
  const inbound = (counts: Readonly<Record<string, number>>): number =>
    Object.entries(counts).reduce((sum, [name, count]) => sum + (name.startsWith('in ') ? count : 0), 0)
  await waitFor(async () => inbound(await channelCounts(gateway.adminUrl)) >= inbound(before) + messages.length)
  const after = await channelCounts(gateway.adminUrl)
  const changes = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
  return Object.fromEntries(changes.filter(([, count]) => count > 0))
}

async function live(): Promise<number> {
  return redis.admin.zcard('revocations:live:{0}')
}

function payloadOf(token: string | undefined): string {
  return token?.split('.')[1] ?? ''
}

describe('a message on the channel ends nothing and writes nothing', () => {
  it.each<[string, () => readonly (string | Buffer)[]]>([
    [
      'a token that is signed with another secret',
      () => [legacyToken({}, 'x'.repeat(32)), legacyToken({ jti: 'victim-jti' }, 'x'.repeat(32))],
    ],
    ['a token without a signature', () => victims.map((token) => `${token.slice(0, token.lastIndexOf('.'))}.`)],
    [
      'a token with alg none',
      () =>
        victims.flatMap((token) => ['none', 'None', 'nOnE'].map((alg) => `${segment({ alg, typ: 'JWT' })}.${payloadOf(token)}.`)),
    ],
    [
      'a token with the signature of another one',
      () => [`${segment({ alg: 'HS256', typ: 'JWT' })}.${payloadOf(victims[1])}.${victims[2]?.split('.')[2]}`],
    ],
    ['a token of an issuer that is not trusted', () => [stranger.token(claims('https://elsewhere.test/'))]],
    ['a token of a trusted issuer with the key of a stranger', () => [stranger.token(claims(CORPORATE))]],
    [
      'the shared secret for an issuer with public keys, and for the gateway itself',
      () =>
        [CORPORATE, 'http://gateway.test/t/default'].map((iss) =>
          compact({ alg: 'HS256', typ: 'JWT' }, claims(iss), hs('HS256', LEGACY_SECRET)),
        ),
    ],
    [
      'the public key of an issuer as if it were the shared secret (RS/HS confusion)',
      () =>
        [PEM, PEM.trim(), JSON.stringify(corporate.jwk)].flatMap((secret) =>
          [CORPORATE, LEGACY_ISSUER].map((iss) => compact({ alg: 'HS256', kid: 'k1' }, claims(iss), hs('HS256', secret))),
        ),
    ],
    [
      'a key pair of somebody for the issuer of the shared secret',
      () => [stranger.token(claims(LEGACY_ISSUER)), corporate.token(claims(LEGACY_ISSUER))],
    ],
    [
      'another HMAC than that of the issuer',
      () => ['HS384', 'HS512'].map((alg) => compact({ alg, typ: 'JWT' }, claims(LEGACY_ISSUER), hs(alg, LEGACY_SECRET))),
    ],
    [
      'a good token that is over, or not yet good',
      () => {
        const now = Math.floor(Date.now() / 1000)
        return [legacyToken({ iat: now - 900, exp: now - 60 }), legacyToken({ nbf: now + 600 }), legacyToken({ exp: undefined })]
      },
    ],
    ['a refresh token of ours', () => [own.refresh_token]],
    [
      'several tokens in one message',
      () => [victims.join('\n'), victims.join(' '), victims.join(','), `Bearer Bearer ${victims[2]}`, `${victims[2]}\0`],
    ],
    [
      'what is no token: nothing, zeros, bytes, deep brackets, markup, commands',
      () => [
        '',
        '\0'.repeat(100),
        Buffer.from([0xff, 0xfe, 0xc0, 0x80]),
        '['.repeat(16_000),
        '..',
        '...',
        'a.b.c',
        '<x/>',
        '*1\r\n$8\r\nFLUSHALL\r\n',
        'true',
        'null',
      ],
    ],
  ])('%s', async (_, messages) => {
    const facts = await live()
    expect(await attack(messages())).toEqual({ 'in refused': messages().length })
    expect(await live()).toBe(facts)
    expect(await statuses()).toEqual([200, 200, 200, 200])
  })

  it('a message in the form of ours, of whatever kind', async () => {
    const facts = await live()
    const now = Math.floor(Date.now() / 1000)
    const ids = [own.session_id, 'victim-jti', 'alice', 'default', '*']
    const typs = ['token', 'session', 'user', 'tenant', 'key', '__proto__']
    const forged = typs.flatMap((typ) =>
      ids.map((id) => JSON.stringify({ v: 1, t: now, typ, tenant: 'default', id, exp: now + 9_999, reason: 'forged' })),
    )
    const broken = ['{', '{}', '{"v":', '{"__proto__":{"typ":"user"}}', `{${'"a":{'.repeat(2_000)}`]
    expect(await attack([...forged, ...broken])).toEqual({ 'in own': forged.length + broken.length })
    expect(await live()).toBe(facts)
    expect(await statuses()).toEqual([200, 200, 200, 200])
  })

  it('a message that is too large, even with a good token in it', async () => {
    const padded = (length: number): string => legacyToken({ pad: 'x'.repeat(length) })
    expect(await attack([`${' '.repeat(17_000)}${victims[2]}`, padded(16_000), 'x'.repeat(1_000_000)])).toEqual({
      'in too_large': 3,
    })
    // Within the bound, and still longer than any token may be.
    expect(await attack([padded(8_000)])).toEqual({ 'in refused': 1 })
    expect(await statuses()).toEqual([200, 200, 200, 200])
  })

  it('a message on another channel', async () => {
    await redis.admin.publish('token_invalidation2', victims[2] ?? '')
    await redis.admin.publish('TOKEN_INVALIDATION', victims[2] ?? '')
    await attack(['x'])
    expect(await statuses()).toEqual([200, 200, 200, 200])
  })
})

describe('a flood of messages', () => {
  it('costs neither requests nor memory: what is too much is dropped and counted', async () => {
    const header = segment({ alg: 'HS256', typ: 'JWT' })
    const payload = segment(claims(LEGACY_ISSUER, { pad: 'x'.repeat(1_000) }))
    const before = await channelCounts(gateway.adminUrl)
    const pipeline = redis.admin.pipeline()
    for (let number = 0; number < 20_000; number += 1) {
      const signature = createHmac('sha256', String(number)).update(payload).digest('base64url')
      pipeline.publish('token_invalidation', `${header}.${payload}.${signature}`)
    }
    const flooding = pipeline.exec()
    const asked: number[] = []
    for (let time = 0; time < 20; time += 1) asked.push(...(await statuses()))
    await flooding
    expect(asked).toEqual(Array(80).fill(200))
    await waitFor(async () => ((await channelCounts(gateway.adminUrl))['in dropped'] ?? 0) > (before['in dropped'] ?? 0))
    // Those that are good are heard once the flood is over.
    const token = legacyToken()
    await waitFor(async () => {
      await older.publish(token)
      return (await status(token)) === 401
    })
    expect(await statuses()).toEqual([200, 200, 200, 200])
  })
})

it('leaves nothing of the messages in the log', () => {
  for (const victim of victims) expect(gateway.log()).not.toContain(victim.split('.')[2])
  expect(gateway.log()).not.toContain('forged')
  expect(gateway.log()).not.toContain('FLUSHALL')
  expect(gateway.lines().flatMap((line) => (line['level'] === 'error' ? [line['msg']] : []))).toEqual([
    'too many messages on the legacy channel: some are dropped',
  ])
})
