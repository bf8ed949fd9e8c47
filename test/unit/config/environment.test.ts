import { describe, expect, it } from 'vitest'
import { ConfigError, describeConfig, parseConfig } from '../../../src/config/config.ts'
import { faultsOf, marked, needsOf } from './faults-of.ts'

const CANARY = 'canary-7f3a91c0'

function audienceOf(written: string, environment: Readonly<Record<string, string>>): string | undefined {
  const config = parseConfig(
    `tenants: { default: { audience: ${JSON.stringify(written)} } }`,
    '/etc/gatehouse/gateway.yaml',
    needsOf(environment),
  )
  return config.tenants.get('default')?.audience
}

describe('a reference to the environment', () => {
  it.each([
    ['${A}', { A: 'x' }, 'x'],
    ['a-${A}-${B}-c', { A: 'x', B: 'y' }, 'a-x-y-c'],
    ['${A:-fallback}', {}, 'fallback'],
    ['${A:-fallback}', { A: '' }, 'fallback'],
    ['${A:-fallback}', { A: 'x' }, 'x'],
    ['${A:-http://a:1/}', {}, 'http://a:1/'],
    ['${A}', { A: '${B}' }, '${B}'],
    ['$A {A}', { A: 'x' }, '$A {A}'],
    ['${A}', { A: '$&' }, '$&'],
  ] as const)('is replaced: %s with %o', (written, environment, read) => {
    expect(audienceOf(written, environment)).toBe(read)
  })

  it('may hold a number, a size or a list element', () => {
    const config = parseConfig(
      'listeners: { public: { address: "127.0.0.1:${PORT}", limits: { headers: "${HEADERS}", bodyBytes: "${BODY}" }, trustedProxies: ["${PROXY}"] } }\nstorage: { migrate: "${MIGRATE}" }',
      'gateway.yaml',
      needsOf({ PORT: '81', HEADERS: '50', BODY: '1MiB', PROXY: '10.0.0.0/8', MIGRATE: 'false' }),
    )
    const { port, limits, trustedProxies } = config.listeners.public
    expect([port, limits.headers, limits.bodyBytes, trustedProxies, config.storage.migrate]).toEqual([
      81,
      50,
      1024 ** 2,
      ['10.0.0.0/8'],
      false,
    ])
  })

  it.each([
    ['${MISSING}', 'the environment variable MISSING is not set: set it, or write ${MISSING:-default}'],
    ['a ${A} ${MISSING}', 'the environment variable MISSING is not set: set it, or write ${MISSING:-default}'],
    ['${toString}', 'the environment variable toString is not set: set it, or write ${toString:-default}'],
    ['${}', 'a reference to the environment is written ${NAME} or ${NAME:-default}'],
    ['${A', 'a reference to the environment is written ${NAME} or ${NAME:-default}'],
    ['${A-x}', 'a reference to the environment is written ${NAME} or ${NAME:-default}'],
    ['${1A}', 'a reference to the environment is written ${NAME} or ${NAME:-default}'],
  ])('that cannot be replaced is one fault: %s', (written, message) => {
    const { yaml, faults } = marked(`tenants: { default: { audience: §"${written}" } }`, [`tenants.default.audience: ${message}`])
    expect(faultsOf(yaml, needsOf({ A: 'x' }))).toEqual(faults)
  })

  it('never shows in a fault what it holds, wherever it stands', () => {
    const yaml = `listeners: { public: { address: "\${C}", origin: "\${C}", trustedProxies: ["\${C}"], limits: { headers: "\${C}", bodyBytes: "\${C}" } }, admin: { token: { env: "\${C}" } } }
workers: "\${C}"
storage: { sessions: { cluster: ["redis://u:\${C}@h/x", "\${C}"], sentinels: ["redis://\${C}:p@h?"], name: "\${C}" }, accounts: "\${C}", migrate: "\${C}" }
masterKey: "\${C}"
tenants: { default: { hosts: ["\${C}:80"], issuer: "\${C}", signing: "\${C}", accessToken: { lifetime: "\${C}" }, throttle: { login: "\${C}" } } }
issuers: { i: { issuer: "\${C}", tenant: "\${C}", audiences: "\${C}", algorithms: ["\${C}"], jwks: { file: "\${C}" }, secrets: [{ env: "\${C}" }, { file: "\${C}" }] } }
clients: { c: { tenant: "\${C}", secret: { env: "\${C}" }, keys: { file: "\${C}" }, scopes: ["\${C} "] } }
identity: { headers: { user: "\${C} ", tenant: "\${C} " } }
upstreams: { u: { targets: ["\${C}"], balance: "\${C}", hashBy: "header:\${C} ", retries: { on: ["\${C}"] }, health: { path: "\${C}" }, tls: { ca: "\${C}" } } }
routes:
  - { name: "\${C} ", match: { hosts: ["\${C}/"], path: "\${C}", methods: ["\${C}"] }, auth: "\${C}", service: "\${C}" }
  - { name: "\${C}", match: { path: /a }, auth: required, tenants: ["\${C}"], issuers: ["\${C}"], scopes: ["\${C} "], upstream: "\${C}" }
  - { name: "\${C}", match: { path: /b }, auth: public, service: echo, stripPrefix: "/\${C}" }
telemetry: { accessLog: { sample: "\${C}" } }
`
    const faults = faultsOf(yaml, needsOf({ C: CANARY }))
    expect(faults.length).toBeGreaterThan(30)
    expect(faults.filter((fault) => fault.includes(CANARY))).toEqual([])
    expect(faults.filter((fault) => fault.includes('routes.'))).toContainEqual(
      expect.stringMatching(/ routes\.2\.name: is the name of/),
    )
  })
})

const admin = (token: string) => `listeners: { admin: { token: ${token} } }`

describe('a secret', () => {
  const files = {
    '/etc/gatehouse/token': `${CANARY}\n`,
    '/run/secrets/token': `${CANARY}\r\n`,
    '/etc/gatehouse/empty': '\n',
  }
  const needs = needsOf({ TOKEN: CANARY, EMPTY: '', SPACED: `${CANARY} b` }, files)

  it.each(['{ env: TOKEN }', '{ file: token }', '{ file: ./token }', '{ file: /run/secrets/token }'])(
    'is read from %s',
    (written) => {
      expect(parseConfig(admin(written), '/etc/gatehouse/gateway.yaml', needs).listeners.admin.token).toBe(CANARY)
    },
  )

  it.each([
    [CANARY, 'a secret never stands in this file: it must be { env: NAME } or { file: PATH }'],
    ['"${TOKEN}"', 'a secret never stands in this file: it must be { env: NAME } or { file: PATH }'],
    ['12345678', 'a secret never stands in this file: it must be { env: NAME } or { file: PATH }'],
    [`[${CANARY}]`, 'must be { env: NAME } or { file: PATH }'],
    [`{ value: ${CANARY} }`, 'must be { env: NAME } or { file: PATH }'],
    [`{ ${CANARY}: }`, 'must be { env: NAME } or { file: PATH }'],
    ['{}', 'must be { env: NAME } or { file: PATH }'],
    ['{ env: TOKEN, file: token }', 'must be { env: NAME } or { file: PATH }'],
    ['{ env: [TOKEN] }', 'must be { env: NAME } or { file: PATH }'],
    [`{ env: ${CANARY} }`, 'env must be the name of an environment variable'],
    [`{ env: ${CANARY.replace('-', '')} }`, 'the environment variable named here is not set: set it to the secret'],
    ['{ env: MISSING }', 'the environment variable MISSING is not set: set it to the secret'],
    ['{ env: EMPTY }', 'the environment variable EMPTY is empty: set it to the secret'],
    ['{ env: SPACED }', 'the token must be visible ASCII without spaces'],
    [`{ file: ${CANARY} }`, 'the file cannot be read: no such file'],
    ['{ file: empty }', 'the file is empty: write the secret into it'],
  ])('is refused, and not repeated, when it is written %s', (written, message) => {
    const { yaml, faults } = marked(admin(`§${written}`), [`listeners.admin.token: ${message}`])
    expect(faultsOf(yaml, needs)).toEqual(faults)
    expect(message).not.toContain(CANARY)
  })

  it.each([
    `listeners: { admin: { token: "${CANARY} } }`,
    `masterKey: ${CANARY}: b\n`,
    `masterKey: [${CANARY}\nb: c`,
    `masterKey: *${CANARY}`,
    `masterKey: !${CANARY} a`,
    `masterKey: &${CANARY} { b: c }`,
  ])('in a file that is not even YAML is not repeated: %s', (yaml) => {
    const faults = faultsOf(yaml)
    expect(faults.length).toBeGreaterThan(0)
    expect(faults.join('\n')).not.toContain(CANARY)
  })

  it.each([
    ['ab'.repeat(32), 0xab],
    [Buffer.alloc(32, 0xfb).toString('base64'), 0xfb],
    [Buffer.alloc(32, 0xfb).toString('base64url'), 0xfb],
  ])('may be a master key of 32 bytes: %s', (written, byte) => {
    const { masterKeys } = parseConfig('masterKey: { env: KEY }', 'gateway.yaml', needsOf({ KEY: written }))
    expect(masterKeys).toEqual([new Uint8Array(32).fill(byte)])
  })

  it.each(['ab'.repeat(31), Buffer.alloc(31).toString('base64'), 'z'.repeat(64), CANARY])(
    'is no master key of 32 bytes: %s',
    (written) => {
      const { yaml, faults } = marked('masterKey: §{ env: KEY }', [
        'masterKey: the key must be 32 bytes in base64 or hex: make one with openssl rand -base64 32',
      ])
      expect(faultsOf(yaml, needsOf({ KEY: written }))).toEqual(faults)
    },
  )
})

describe('the effective configuration', () => {
  const yaml = `
listeners: { admin: { token: { env: TOKEN } } }
masterKey: { env: KEY }
issuers: { legacy: { issuer: old, tenant: default, audiences: any, algorithms: [HS256], secrets: [{ env: TOKEN_LONG }] } }
upstreams: { u: { targets: ["https://u"], tls: { certificate: cert.pem, key: key.pem } } }
routes: [{ name: r, match: { path: /a, headers: { x-api-key: "\${TOKEN}" } }, auth: public, upstream: u, requestHeaders: { set: { authorization: "Bearer \${TOKEN}", x-env: prod } } }]
`
  const needs = needsOf(
    { TOKEN: CANARY, TOKEN_LONG: CANARY.repeat(3), KEY: 'ab'.repeat(32) },
    {
      '/etc/gatehouse/cert.pem': '-----BEGIN CERTIFICATE-----',
      '/etc/gatehouse/key.pem': `-----BEGIN PRIVATE KEY-----${CANARY}`,
    },
  )
  const parse = (environment: Readonly<Record<string, string>> = {}) =>
    parseConfig(yaml, '/etc/gatehouse/gateway.yaml', { ...needs, environment: { ...needs.environment, ...environment } })

  it('is described as plain JSON, without a secret', () => {
    const described = describeConfig(parse())
    const text = JSON.stringify(described)
    expect(JSON.parse(text)).toEqual(described)
    expect(text).not.toContain(CANARY)
    expect(text).not.toContain('abab')
    expect(described).toMatchObject({
      listeners: { admin: { token: '[redacted]' } },
      masterKeys: ['[redacted]'],
      issuers: { legacy: { keys: { kind: 'secrets', secrets: ['[redacted]'] } } },
      upstreams: {
        u: {
          targets: [{ url: 'https://u/', weight: 1 }],
          tls: { verify: true, certificate: '-----BEGIN CERTIFICATE-----', key: '[redacted]' },
        },
      },
      routes: [
        {
          name: 'r',
          match: { path: '/a', headers: { 'x-api-key': '[redacted]' } },
          requestHeaders: { set: { authorization: '[redacted]', 'x-env': 'prod' }, remove: [] },
        },
      ],
    })
  })

  it('has a version that changes with it, and with its secrets, alone', () => {
    const { version } = parse()
    expect(version).toMatch(/^[0-9a-f]{16}$/)
    expect(parse().version).toBe(version)
    expect(parseConfig(`# a comment\n${yaml}`, '/etc/gatehouse/other.yaml', needs).version).toBe(version)
    expect(parse({ TOKEN_LONG: 'another'.repeat(6) }).version).not.toBe(version)
    expect(parseConfig(yaml.replace('prod', 'test'), '/etc/gatehouse/gateway.yaml', needs).version).not.toBe(version)
  })

  it('is frozen all the way down', () => {
    const config = parse()
    const [route] = config.routes
    for (const part of [
      config,
      config.listeners.public.limits,
      config.routes,
      route,
      route?.match,
      config.tenants.get('default')?.hosts,
    ]) {
      expect(Object.isFrozen(part)).toBe(true)
    }
  })

  it('is not in the message of any fault', () => {
    expect(() => parseConfig(`${yaml}\nbanana: 1`, 'gateway.yaml', { ...needs, readFile: () => '-----BEGIN ' })).toThrow(
      new ConfigError([{ file: 'gateway.yaml', line: 8, column: 1, path: 'banana', message: 'unknown key, remove it' }]),
    )
  })
})
