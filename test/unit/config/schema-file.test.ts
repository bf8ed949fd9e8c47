import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config/config.ts'
import { schemaFileText } from '../../../src/config/schema-file.ts'
import { selfSigned } from '../../support/certificates.ts'

const ROOT = join(import.meta.dirname, '../../..')
const EXAMPLES = join(ROOT, 'config/examples')
const FILES = [
  join(ROOT, 'gateway.yaml'),
  ...readdirSync(EXAMPLES)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(EXAMPLES, name)),
]
const ENVIRONMENT = {
  JWT_SECRET: 's'.repeat(32),
  JWT_SECRET_PREVIOUS: 'p'.repeat(32),
  REDIS_PASSWORD: 'a-password',
  DATABASE_PASSWORD: 'a-password',
  GATEHOUSE_MASTER_KEY: 'ab'.repeat(32),
  BILLING_SECRET: 'b'.repeat(32),
  OTLP_TOKEN: 'Bearer a-token',
}

const read = (path: string) => readFileSync(path, 'utf8')
const pair = selfSigned('DNS:localhost')
/** What an operator brings is made for the test. */
const readAll = (path: string) => {
  if (!path.startsWith('/etc/gatehouse/')) return read(path)
  return path.endsWith('.key') ? pair.key : pair.certificate
}

describe('config/gateway.schema.json', () => {
  const written: unknown = JSON.parse(read(join(ROOT, 'config/gateway.schema.json')))

  it('is what the grammar says; if not, run node config/write-schema.ts', () => {
    expect(read(join(ROOT, 'config/gateway.schema.json'))).toBe(schemaFileText())
  })

  it.each(FILES)('accepts %s', (file) => {
    const result = schemaOf(written).safeParse(parse(read(file)))
    expect(result.error?.issues ?? []).toEqual([])
  })

  it.each([
    'rotues: []',
    'routes: [{ auth: public }]',
    'upstreams: { u: {} }',
    'revocation: { maxStaleness: 10 }',
    'clients: { c: { tenant: t } }',
    'storage: { sessions: disk }',
    'storage: { sessions: { nodes: [] } }',
    'masterKey: abc',
  ])('refuses %s', (yaml) => {
    expect(schemaOf(written).safeParse(parse(yaml)).success).toBe(false)
  })

  it.each(['revocation: { maxStaleness: "${STALENESS}" }', 'listeners: { public: { limits: { headers: "${HEADERS:-100}" } } }'])(
    'accepts a reference to the environment: %s',
    (yaml) => {
      expect(schemaOf(written).safeParse(parse(yaml)).success).toBe(true)
    },
  )
})

describe('a file that ships with Gatehouse', () => {
  it.each(FILES)('is a configuration: %s', (file) => {
    const config = loadConfig(file, { environment: ENVIRONMENT, readFile: readAll })
    expect(config.routes.length).toBeGreaterThan(0)
    expect(read(file).split('\n')[0]).toMatch(/^# yaml-language-server: \$schema=/)
  })

  it('needs nothing else on the machine and nothing in the environment, when it is gateway.yaml', () => {
    const config = loadConfig(join(ROOT, 'gateway.yaml'), { environment: {}, readFile: read })
    expect(config.storage).toEqual({
      sessions: { kind: 'embedded' },
      accounts: { kind: 'embedded' },
      directory: join(ROOT, 'data'),
      migrate: true,
    })
    expect([config.listeners.public.port, config.listeners.admin]).toEqual([8080, { host: '127.0.0.1', port: 9901 }])
    expect(config.routes.map((route) => [route.name, route.match.path, route.auth, route.target])).toEqual([
      ['accounts', '/auth/*', undefined, { kind: 'service', service: 'accounts' }],
      ['sessions', '/sessions/*', undefined, { kind: 'service', service: 'sessions' }],
      ['oauth', '/oauth/*', undefined, { kind: 'service', service: 'oauth' }],
      ['revocations', '/revocations', undefined, { kind: 'service', service: 'revocations' }],
      ['usernames', '/usernames/*', undefined, { kind: 'service', service: 'usernames' }],
      ['graphql', '/graphql', undefined, { kind: 'service', service: 'graphql' }],
      ['discovery', '/.well-known/*', undefined, { kind: 'service', service: 'discovery' }],
      ['discovery-by-tenant', '/t/*', undefined, { kind: 'service', service: 'discovery' }],
      ['health', '/health', undefined, { kind: 'service', service: 'health' }],
      ['demo', '/api/*', 'required', { kind: 'service', service: 'echo' }],
    ])
  })
})

/** The schema as zod reads it: an implementation of JSON Schema that did not write it. */
function schemaOf(written: unknown): z.ZodType {
  return z.fromJSONSchema(z.record(z.string(), z.any()).parse(written))
}
