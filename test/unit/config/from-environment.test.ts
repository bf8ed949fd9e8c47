import { describe, expect, it } from 'vitest'
import { describeConfig, parseConfig } from '../../../src/config/config.ts'
import { faultsOf, marked, needsOf } from './faults-of.ts'

const SECRET = 'canary-secret-of-thirty-two-bytes'
const PREVIOUS = 'canary-previous-of-thirty-two-bytes'
const OLDER = { JWT_SECRET: SECRET, REDIS_ADDR: 'redis.internal:6380', REDIS_PASSWORD: 'canary:/?#@%' }

function parse(yaml: string, environment: Readonly<Record<string, string>>) {
  return parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needsOf(environment))
}

describe('the environment of an older authentication service', () => {
  it('alone makes its tokens and its invalidations count', () => {
    const config = parse('{}', OLDER)
    expect(Object.fromEntries(config.issuers)).toEqual({
      legacy: {
        name: 'legacy',
        issuer: 'authentication-service',
        tenant: 'default',
        audiences: 'any',
        algorithms: ['HS256'],
        keys: { kind: 'secrets', secrets: [new TextEncoder().encode(SECRET)] },
        clockSkewSeconds: 30,
        maxLifetimeSeconds: 43_200,
        claims: { user: 'sub', userElse: 'user_id', scope: 'scope', session: 'sid', token: 'jti' },
      },
    })
    expect(config.storage.sessions).toEqual({ kind: 'redis', url: 'redis://:canary%3A%2F%3F%23%40%25@redis.internal:6380/0' })
    expect(config.revocation.legacyChannel).toEqual({ name: 'token_invalidation', publishRawToken: false })
    expect(config.masterKeys).toEqual([])
    expect(config.fromEnvironment).toEqual([
      { variable: 'JWT_SECRET', key: 'issuers.legacy' },
      { variable: 'REDIS_ADDR', key: 'storage.sessions' },
      { variable: 'REDIS_PASSWORD', key: 'storage.sessions' },
      { variable: 'REDIS_ADDR', key: 'revocation.legacyChannel' },
    ])
    expect(JSON.stringify(describeConfig(config))).not.toContain('canary')
  })

  it('may have a previous secret, and the master key of a fleet', () => {
    const config = parse('{}', { ...OLDER, JWT_SECRET_PREVIOUS: PREVIOUS, GATEHOUSE_MASTER_KEY: 'ab'.repeat(32) })
    const secrets = [SECRET, PREVIOUS].map((text) => new TextEncoder().encode(text))
    expect(config.issuers.get('legacy')?.keys).toEqual({ kind: 'secrets', secrets })
    expect(config.masterKeys).toEqual([new Uint8Array(32).fill(0xab)])
    expect(config.fromEnvironment?.map(({ variable }) => variable)).toEqual(
      'JWT_SECRET JWT_SECRET_PREVIOUS REDIS_ADDR REDIS_PASSWORD GATEHOUSE_MASTER_KEY REDIS_ADDR'.split(' '),
    )
  })

  it.each([
    ['127.0.0.1', 'redis://127.0.0.1/0'],
    ['127.0.0.1:6379', 'redis://127.0.0.1:6379/0'],
    ['[::1]:6379', 'redis://[::1]:6379/0'],
  ])('may name Redis alone, and without a password: %s', (REDIS_ADDR, url) => {
    const config = parse('{}', { REDIS_ADDR, REDIS_PASSWORD: '', JWT_SECRET: '', JWT_SECRET_PREVIOUS: PREVIOUS })
    expect(config.storage.sessions).toEqual({ kind: 'redis', url })
    expect([config.issuers.size, config.revocation.legacyChannel]).toEqual([0, undefined])
  })

  it('may hold the secret alone: tokens are taken, and there is no channel', () => {
    const config = parse('{}', { JWT_SECRET: SECRET })
    expect([...config.issuers.keys()]).toEqual(['legacy'])
    expect([config.storage.sessions, config.revocation.legacyChannel]).toEqual([{ kind: 'embedded' }, undefined])
  })

  it('is left alone where the file speaks itself', () => {
    const config = parse('issuers: {}\nstorage: { sessions: embedded, directory: d }\nrevocation: { maxStaleness: 5s }', OLDER)
    expect([config.issuers.size, config.storage.sessions, config.revocation.legacyChannel, config.fromEnvironment]).toEqual([
      0,
      { kind: 'embedded' },
      undefined,
      undefined,
    ])
  })

  it('keeps what else the file says of storage and revocation', () => {
    const config = parse('storage: { directory: d }\nrevocation: { maxStaleness: 5s, legacyChannel: { name: other } }', OLDER)
    expect(config.storage.directory).toBe('/etc/gatehouse/d')
    expect([config.revocation.maxStalenessMs, config.revocation.legacyChannel?.name]).toEqual([5_000, 'other'])
  })

  it('does nothing where it is not set', () => {
    expect(parse('{}', {}).fromEnvironment).toBe(undefined)
  })

  it.each([
    [{ JWT_SECRET: 'x'.repeat(31) }, 'JWT_SECRET is too short: HS256 needs at least 32 bytes'],
    [{ JWT_SECRET: SECRET, JWT_SECRET_PREVIOUS: 'canary' }, 'JWT_SECRET_PREVIOUS is too short: HS256 needs at least 32 bytes'],
    [{ REDIS_ADDR: 'redis://canary' }, 'REDIS_ADDR must be HOST or HOST:PORT, such as 127.0.0.1:6379'],
    [{ REDIS_ADDR: 'a@canary:1' }, 'REDIS_ADDR must be HOST or HOST:PORT, such as 127.0.0.1:6379'],
  ])('is refused when it is %j', (environment, message) => {
    const found = faultsOf('{}', needsOf(environment))
    expect(found).toEqual([`1:1 the environment variable ${message}`])
    expect(found.join()).not.toContain('canary')
  })

  it('hides no fault of the file', () => {
    expect(faultsOf('storage:\nrevocation:\nissuers:', needsOf(OLDER)).length).toBe(3)
  })
})

describe('revocation.legacyChannel', () => {
  const REDIS = 'masterKey: { env: KEY }\nstorage: { sessions: redis://r }\n'
  const needs = needsOf({ KEY: 'ab'.repeat(32) })

  it.each([
    ['{}', { name: 'token_invalidation', publishRawToken: false }],
    ['{ name: "older:ended", publishRawToken: true }', { name: 'older:ended', publishRawToken: true }],
  ])('may be %s', (written, read) => {
    const config = parseConfig(`${REDIS}revocation: { legacyChannel: ${written} }`, '/etc/gatehouse/gateway.yaml', needs)
    expect(config.revocation.legacyChannel).toEqual(read)
  })

  it('needs sessions in Redis', () => {
    const message = 'goes with storage.sessions in Redis only: remove it, or write redis://HOST:PORT there'
    const { yaml, faults } = marked('revocation: { legacyChannel: §{} }', [`revocation.legacyChannel: ${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it.each([['""'], ['"a b"'], ['"\\n"'], [`"${'x'.repeat(129)}"`], ['5']])('is no channel: %s', (name) => {
    expect(faultsOf(`${REDIS}revocation: { legacyChannel: { name: ${name} } }`, needs)).toEqual([
      expect.stringMatching(
        /revocation\.legacyChannel\.name: must be the name of a channel: visible ASCII, 1 to 128 characters$/,
      ),
    ])
  })
})
