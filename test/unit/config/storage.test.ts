import { describe, expect, it } from 'vitest'
import { describeConfig, parseConfig } from '../../../src/config/config.ts'
import { faultsOf, marked, needsOf } from './faults-of.ts'

const KEY = 'masterKey: { env: KEY }\n'
const ENVIRONMENT = {
  KEY: 'ab'.repeat(32),
  OLD: 'cd'.repeat(32),
  PW: 'canary-5e1f',
  URL: 'rediss://u:canary-5e1f@redis.example:6380/2',
}
const CA = '-----BEGIN CERTIFICATE-----\n'
const FILES = { '/etc/gatehouse/ca.pem': CA, '/etc/gatehouse/text.pem': 'text' }
const needs = needsOf(ENVIRONMENT, FILES)

const ANY =
  'must be embedded, redis://HOST:PORT, rediss://HOST:PORT, { url: redis://… }, { cluster: [redis://…] } or { sentinels: [redis://…], name: NAME }'
const MUST = 'must be redis://HOST:PORT or rediss://HOST:PORT; in a user name or password, write %XX for / ? # @ : and %'
const PASSWORD = 'a password never stands in this file: write redis://:${REDIS_PASSWORD}@HOST:PORT and set the variable'
const DATABASE = 'must have no path but the number of a database, such as redis://127.0.0.1:6379/1'
const NODES = 'must not be empty: write a list such as [redis://10.0.0.1:6379]'

function parse(sessions: string) {
  return parseConfig(`${KEY}storage: { sessions: ${sessions} }`, '/etc/gatehouse/gateway.yaml', needs)
}

describe('storage.sessions', () => {
  it.each([
    ['embedded', { kind: 'embedded' }],
    ['redis://127.0.0.1:6379', { kind: 'redis', url: 'redis://127.0.0.1:6379' }],
    ['"redis://:${PW}@r/3"', { kind: 'redis', url: 'redis://:canary-5e1f@r/3' }],
    ['"redis://gateway:${PW}@[::1]:6379"', { kind: 'redis', url: 'redis://gateway:canary-5e1f@[::1]:6379' }],
    ['"redis://gateway@r"', { kind: 'redis', url: 'redis://gateway@r' }],
    ['"${URL}"', { kind: 'redis', url: ENVIRONMENT.URL }],
    ['"${OTHER:-redis://127.0.0.1:6379}"', { kind: 'redis', url: 'redis://127.0.0.1:6379' }],
    [
      '{ cluster: ["redis://a:7000", "redis://:${PW}@b:7001/0"] }',
      { kind: 'cluster', urls: ['redis://a:7000', 'redis://:canary-5e1f@b:7001/0'] },
    ],
    [
      '{ sentinels: ["redis://a:26379", "redis://b:26379"], name: mymaster }',
      { kind: 'sentinel', urls: ['redis://a:26379', 'redis://b:26379'], name: 'mymaster' },
    ],
    ['{ url: "redis://:${PW}@r/3" }', { kind: 'redis', url: 'redis://:canary-5e1f@r/3' }],
    [
      '{ url: "redis://:${PW}@r/3", replica: "redis://:${PW}@near/3" }',
      { kind: 'redis', url: 'redis://:canary-5e1f@r/3', replica: 'redis://:canary-5e1f@near/3' },
    ],
    ['{ url: "${URL}", ca: ca.pem }', { kind: 'redis', url: ENVIRONMENT.URL, ca: CA }],
    [
      '{ url: "redis://r", replica: "rediss://near", ca: ca.pem }',
      { kind: 'redis', url: 'redis://r', replica: 'rediss://near', ca: CA },
    ],
    ['{ cluster: ["rediss://a"], ca: ca.pem }', { kind: 'cluster', urls: ['rediss://a'], ca: CA }],
    ['{ sentinels: ["rediss://a"], name: m, ca: ca.pem }', { kind: 'sentinel', urls: ['rediss://a'], name: 'm', ca: CA }],
  ])('may be %s', (written, read) => {
    expect(parse(written).storage.sessions).toEqual(read)
  })

  it.each([
    ['§disk', ANY],
    ['§5', ANY],
    ['§"http://r"', ANY],
    ['§"redis:///1"', MUST],
    ['§"redis://r:99999"', MUST],
    ['§"redis://r?db=1"', MUST],
    ['§"redis://%zz@r"', MUST],
    ['§"redis://a_b..c"', MUST],
    ['§"redis://r/x"', DATABASE],
    ['§"redis://:hunter2@r"', PASSWORD],
    ['§"redis://u:hunter2@${PW}"', PASSWORD],
    ['§"redis://:${PW}2@r"', PASSWORD],
    ['§"redis://:${OTHER:-hunter2}@r"', PASSWORD],
    ['§"${OTHER:-redis://:hunter2@r}"', PASSWORD],
  ])('is refused, and not repeated, when it is %s', (written, message) => {
    const { yaml, faults } = marked(`${KEY}storage: { sessions: ${written} }`, [`storage.sessions: ${message}`])
    const found = faultsOf(yaml, needs)
    expect(found).toEqual(faults)
    expect(found.join()).not.toMatch(/hunter2|canary/)
  })

  it.each([
    ['§{}', ['storage.sessions: must name its servers: write url, cluster or sentinels']],
    ['{ cluster: §[] }', [`storage.sessions.cluster: ${NODES}`]],
    ['{ cluster: §"redis://a" }', ['storage.sessions.cluster: must be a list, such as [a, b]']],
    ['{ cluster: [§"redis://a/1"] }', ['storage.sessions.cluster.0: must not name a database: a cluster has one']],
    ['{ cluster: ["redis://a", §"redis://:hunter2@b"] }', [`storage.sessions.cluster.1: ${PASSWORD}`]],
    [
      '{ cluster: §["redis://a", "rediss://b"] }',
      ['storage.sessions.cluster: must be redis:// or rediss:// throughout: a mix would send passwords in the clear'],
    ],
    [
      '§{ sentinels: ["redis://a"] }',
      ['storage.sessions.name: is required: write what the sentinels call the master, such as mymaster'],
    ],
    ['{ sentinels: §[], name: m }', [`storage.sessions.sentinels: ${NODES}`]],
    ['{ cluster: ["redis://a"], name: §m }', ['storage.sessions.name: goes with sentinels only: remove it']],
    [
      '{ cluster: ["redis://a"], sentinels: §["redis://b"], name: m }',
      ['storage.sessions.sentinels: does not go with cluster: remove one of the two'],
    ],
    ['{ url: §"redis://:hunter2@r" }', [`storage.sessions.url: ${PASSWORD}`]],
    ['{ url: §"redis://r?" }', [`storage.sessions.url: ${MUST}`]],
    ['{ url: "redis://r", replica: §"redis://:hunter2@near" }', [`storage.sessions.replica: ${PASSWORD}`]],
    [
      '{ url: "redis://r/1", replica: §"redis://near" }',
      ['storage.sessions.replica: must name the same database as url: a replica has what its master has'],
    ],
    ['{ cluster: ["redis://a"], replica: §"redis://b" }', ['storage.sessions.replica: goes with url only: remove it']],
    ['{ url: "redis://r", cluster: §["redis://a"] }', ['storage.sessions.cluster: does not go with url: remove one of the two']],
    [
      '{ url: "redis://r", sentinels: §["redis://a"], name: m }',
      ['storage.sessions.sentinels: does not go with url: remove one of the two'],
    ],
    ['{ url: "redis://r", ca: §ca.pem }', ['storage.sessions.ca: goes with rediss:// only: remove it']],
    ['{ url: "rediss://r", ca: §none.pem }', ['storage.sessions.ca: the file cannot be read: no such file']],
    ['{ url: "rediss://r", ca: §text.pem }', ['storage.sessions.ca: is not a PEM file']],
    [
      '{ sentinels: [§x, §"redis://b?"], name: m }',
      [`storage.sessions.sentinels.0: ${MUST}`, `storage.sessions.sentinels.1: ${MUST}`],
    ],
  ])('of several machines is refused when it is %s', (written, messages) => {
    const { yaml, faults } = marked(`${KEY}storage: { sessions: ${written} }`, messages)
    expect(faultsOf(yaml, needs)).toEqual(faults)
  })

  it('is described without its credentials, which still count for the version', () => {
    const config = parse('"${URL}"')
    expect(describeConfig(config)).toMatchObject({
      storage: { sessions: { kind: 'redis', url: 'rediss://[redacted]@redis.example:6380/2' } },
      masterKeys: ['[redacted]'],
    })
    const cluster = parse('{ cluster: ["redis://:${PW}@a", "redis://b"] }')
    expect(describeConfig(cluster)).toMatchObject({ storage: { sessions: { urls: ['redis://[redacted]@a', 'redis://b'] } } })
    expect(JSON.stringify([describeConfig(config), describeConfig(cluster)])).not.toContain('canary')
    const near = parse('{ url: "redis://:${PW}@a", replica: "redis://:${PW}@b" }')
    expect(describeConfig(near)).toMatchObject({ storage: { sessions: { replica: 'redis://[redacted]@b' } } })
    expect(JSON.stringify(describeConfig(near))).not.toContain('canary')
    const other = needsOf({ ...ENVIRONMENT, URL: ENVIRONMENT.URL.replace('canary', 'another') })
    const text = `${KEY}storage: { sessions: "\${URL}" }`
    expect(parseConfig(text, '/etc/gatehouse/gateway.yaml', other).version).not.toBe(config.version)
  })
})

describe('the master key', () => {
  it.each(['"redis://r"', '{ cluster: ["redis://r"] }', '{ sentinels: ["redis://r"], name: m }'])(
    'is required where sessions are in %s',
    (written) => {
      const { yaml, faults } = marked(`§storage: { sessions: ${written} }`, [
        'masterKey: is required where sessions are in Redis, the same for every gateway: write { env: GATEHOUSE_MASTER_KEY }',
      ])
      expect(faultsOf(yaml, needs)).toEqual(faults)
    },
  )

  it('may be a list, of which the first one seals', () => {
    const { masterKeys } = parseConfig('masterKey: [{ env: KEY }, { env: OLD }]', '/etc/gatehouse/gateway.yaml', needs)
    expect(masterKeys).toEqual([new Uint8Array(32).fill(0xab), new Uint8Array(32).fill(0xcd)])
  })

  it.each([
    ['§[]', 'masterKey: must not be empty: write [{ env: NEW_KEY }, { env: OLD_KEY }]'],
    ['[{ env: KEY }, §{ env: KEY }]', 'masterKey.1: is the same key again: remove one'],
    [
      '[{ env: KEY }, §{ env: PW }]',
      'masterKey.1: the key must be 32 bytes in base64 or hex: make one with openssl rand -base64 32',
    ],
    ['[{ env: KEY }, §secret]', 'masterKey.1: a secret never stands in this file: it must be { env: NAME } or { file: PATH }'],
    ['§{ value: a }', 'masterKey: must be { env: NAME } or { file: PATH }'],
    ['§abc', 'masterKey: a secret never stands in this file: it must be { env: NAME } or { file: PATH }'],
  ])('is refused when it is %s', (written, message) => {
    const { yaml, faults } = marked(`masterKey: ${written}`, [message])
    expect(faultsOf(yaml, needs)).toEqual(faults)
  })
})

const ANY_DATABASE = 'must be embedded, postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE'
const MUST_DATABASE =
  'must be postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE; in a name or password, write %XX for / ? # @ : and %'

function passwordFault(kind: 'postgres' | 'mysql'): string {
  return `a password never stands in this file: write ${kind}://USER:\${DATABASE_PASSWORD}@HOST:PORT/DATABASE and set the variable`
}

describe('storage.accounts', () => {
  it.each([
    ['embedded', { kind: 'embedded' }],
    ['"postgres://app@db.example/gatehouse"', { kind: 'postgres', url: 'postgres://app@db.example/gatehouse' }],
    ['"postgresql://app@db:5433/g"', { kind: 'postgres', url: 'postgresql://app@db:5433/g' }],
    ['"postgres://app:${PW}@[::1]:5432/g"', { kind: 'postgres', url: 'postgres://app:canary-5e1f@[::1]:5432/g' }],
    ['"mysql://app:${PW}@db/g?sslmode=verify-full"', { kind: 'mysql', url: 'mysql://app:canary-5e1f@db/g?sslmode=verify-full' }],
    ['"postgres://app@db/g?sslmode=require"', { kind: 'postgres', url: 'postgres://app@db/g?sslmode=require' }],
  ])('may be %s', (written, read) => {
    const { storage } = parseConfig(`storage: { accounts: ${written} }`, '/etc/gatehouse/gateway.yaml', needs)
    expect(storage.accounts).toEqual(read)
  })

  it.each([
    ['§oracle', ANY_DATABASE],
    ['§5', ANY_DATABASE],
    ['§"redis://r"', ANY_DATABASE],
    ['§"postgres://db/g"', MUST_DATABASE],
    ['§"postgres://app@db"', MUST_DATABASE],
    ['§"postgres://app@db/"', MUST_DATABASE],
    ['§"postgres://app@db/a/b"', MUST_DATABASE],
    ['§"mysql://app@/g"', MUST_DATABASE],
    ['§"mysql://app@db:99999/g"', MUST_DATABASE],
    ['§"mysql://%zz@db/g"', MUST_DATABASE],
    ['§"mysql://app@db/g#x"', MUST_DATABASE],
    ['§"postgres://app@db/g?options=-c"', 'must have nothing after the ? but sslmode and sslrootcert'],
    [
      '§"mysql://app@10.0.0.1/g?sslmode=verify-full"',
      'sslmode=verify-full needs the name of the host, not its address, with mysql://',
    ],
    ['§"postgres://app@db/g?sslmode=prefer"', 'sslmode must be disable, require, verify-ca or verify-full'],
    ['§"postgres://app@db/g?sslmode=verify-ca&sslrootcert=ca.pem"', 'sslrootcert must be an absolute path'],
    ['§"postgres://app@db/g?sslrootcert=/ca.pem"', 'sslrootcert goes with sslmode=verify-ca or verify-full only'],
    ['§"postgres://app:hunter2@db/g"', passwordFault('postgres')],
    ['§"mysql://app:${PW}2@db/g"', passwordFault('mysql')],
    ['§"${OTHER:-mysql://app:hunter2@db/g}"', passwordFault('mysql')],
  ])('is refused, and not repeated, when it is %s', (written, message) => {
    const { yaml, faults } = marked(`storage: { accounts: ${written} }`, [`storage.accounts: ${message}`])
    const found = faultsOf(yaml, needs)
    expect(found).toEqual(faults)
    expect(found.join()).not.toMatch(/hunter2|canary/)
  })

  it('is shown without its password, and counts in the version', () => {
    const of = (written: string) => parseConfig(`storage: { accounts: "${written}" }`, '/etc/gatehouse/gateway.yaml', needs)
    const config = of('postgres://app:${PW}@db/g')
    expect(describeConfig(config)).toMatchObject({
      storage: { accounts: { kind: 'postgres', url: 'postgres://[redacted]@db/g' } },
    })
    expect(config.version).not.toBe(of('postgres://app@db/g').version)
  })
})
