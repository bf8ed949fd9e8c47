import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { ConfigError, loadConfig, parseConfig } from '../../../src/config/config.ts'
import { faultsOf, marked, needsOf } from './faults-of.ts'

/** What is wrong; the file, with `§` before what is wrong; what is said about it. */
type Row = readonly [string, string, ...string[]]

const TEXTS: readonly Row[] = [
  ['is empty', '§', 'is empty: start from the gateway.yaml that ships with Gatehouse'],
  ['has comments only', '§# nothing\n', 'is empty: start from the gateway.yaml that ships with Gatehouse'],
  ['is a list', '§- a\n', 'must be a mapping: keys and values, such as routes: []'],
  ['is a word', '§gateway\n', 'must be a mapping: keys and values, such as routes: []'],
  ['has a bracket that is not closed', 'a: [1\n§b: 2\n', 'is not YAML: wrong indentation, or a bracket that is not closed'],
  ['has a quote that is not closed', 'a: "1§', 'is not YAML: a quote, comma, colon or bracket is missing'],
  ['is indented by a tab', 'a:\n§\tb: 2\n', 'is not YAML: a tab indents this line: use spaces'],
  ['has a wrong escape', 'a: "§\\q"\n', 'is not YAML: this \\ escape is unknown: write \\\\, or use single quotes'],
  ['has a second document', 'a: 1\n§---\nb: 2\n', 'is not YAML: a second document starts here: write one document, without ---'],
  ['says YAML 1.1', '§%YAML 1.1\n---\nworkers: 1\n', 'is YAML 1.1: remove the %YAML line, the file is YAML 1.2'],
  ['says a key twice', 'workers: 1\n§workers: 1\n', 'workers: is written twice in this mapping: remove one'],
  [
    'says a key twice, further down',
    'tenants:\n  a:\n    audience: a\n    §audience: b\n',
    'tenants.a.audience: is written twice in this mapping: remove one',
  ],
  ['has a merge key', 'tenants: { a: {}, b: { §<<: {} } }', 'tenants.b."<<": merge keys are not supported: write the values out'],
  [
    'has a tag',
    'tenants: { a: { audience: !!str §5 } }',
    'tenants.a.audience: tags are not supported: remove what starts with !',
  ],
  [
    'has an alias to nothing',
    'tenants: { a: { audience: §*b } }',
    'tenants.a.audience: no such anchor: put quotes around text that starts with *',
  ],
  ['has a list as a key', 'tenants: { §[a]: {} }', 'tenants: a key must be plain text'],
  ['has a key of every object', 'tenants: { a: { §__proto__: {} } }', 'tenants.a.__proto__: this key is not allowed'],
]

describe('a file is refused when it', () => {
  it.each(TEXTS)('%s', (_, text, ...messages) => {
    const { yaml, faults } = marked(text, messages)
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('is nested too deeply', () => {
    expect(faultsOf('['.repeat(10_000)).join()).toMatch(/^1:\d+ is not YAML: nested more than 32 deep$/)
    expect(faultsOf(`workers: ${'['.repeat(40)}${']'.repeat(40)}`).at(-1)).toMatch(/: nested more than 32 deep$/)
  })

  it('unfolds into a bomb of aliases', () => {
    const bomb = [
      'a: &a [x, x]',
      ...['ab', 'bc', 'cd', 'de', 'ef'].map(([before, name]) => `${name}: &${name} [${`*${before}, `.repeat(9)}]`),
    ]
    expect(faultsOf(bomb.join('\n')).some((line) => line.endsWith('more than 100 aliases: write the values out'))).toBe(true)
  })

  it('is larger than 1 MiB', () => {
    expect(faultsOf(`# ${'x'.repeat(1024 * 1024)}`)).toEqual(['1:1 is larger than 1 MiB'])
  })

  it('is not there, named as the operator named it', () => {
    expect(() => loadConfig('gateway.yaml', needsOf())).toThrow(
      new ConfigError([{ file: 'gateway.yaml', line: 1, column: 1, path: '', message: 'cannot be read: no such file' }]),
    )
  })
})

describe('a file', () => {
  it('may use an anchor for a value, and is pointed at where the value stands', () => {
    const { yaml, faults } = marked('tenants:\n  a: &short { accessToken: { lifetime: §5 } }\n  b: *short\n', [
      'tenants.a.accessToken.lifetime: must be a duration: write a number and s, m, h or d, such as 15m',
    ])
    expect(faultsOf(yaml)).toEqual([...faults, faults[0]?.replace('tenants.a', 'tenants.b')])
  })

  it('is told everything that is wrong with it at once, in the order of its lines', () => {
    const text = `listeners:
  public:
    §adress: 0.0.0.0:8080
    trustedProxies: [§0.0.0.0/0]
  admin: §{ address: 0.0.0.0:9901 }
workers: §many
masterKey: §hunter2hunter2
tenants:
  acme:
    issuer: §acme
    accessToken: { lifetime: §5s }
    sessionsPerUser: §0
issuers:
  corporate: §§{ issuer: i, tenant: acme, algorithms: [RS256] }
upstreams:
  orders:
    targets: [http://127.0.0.1:9001]
    §retry: 3
    connections: §\${CONNECTIONS}
routes:
  - name: orders
    match: { path: §/api/../orders }
    auth: §require
    upstream: §order
  - §name: open
    match: { path: /open }
    upstream: orders
    §upstream: orders
`
    const { yaml, faults } = marked(text, [
      'listeners.public.adress: unknown key, did you mean address?',
      'listeners.public.trustedProxies.0: must not be every address: name the networks of your proxies',
      'listeners.admin.token: is required, since the address is not loopback: write { env: NAME }, or listen on 127.0.0.1',
      'workers: must be a whole number from 1 to 64, or auto for one process for each core',
      'masterKey: a secret never stands in this file: it must be { env: NAME } or { file: PATH }',
      'tenants.acme.issuer: must be an http:// or https:// URL without query or fragment',
      'tenants.acme.accessToken.lifetime: must be between 60s and 12h',
      'tenants.acme.sessionsPerUser: must be a whole number from 1 to 10000',
      'issuers.corporate.audiences: is required: write a list such as [api], or any',
      'issuers.corporate.jwks: is required: write { uri: https://… } or { file: PATH }',
      'upstreams.orders.retry: unknown key, did you mean retries?',
      'upstreams.orders.connections: the environment variable CONNECTIONS is not set: set it, or write ${CONNECTIONS:-default}',
      'routes.orders.match.path: must not have . or .. segments: write the path they lead to',
      'routes.orders.auth: must be required, optional or public',
      'routes.orders.upstream: there is no such upstream, did you mean orders?',
      'routes.open.auth: is required: write required, optional or public',
      'routes.open.upstream: is written twice in this mapping: remove one',
    ])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('that is wrong is reported as one line for each fault', () => {
    expect(() => parseConfig('a: 1\nworkers: 0\n', 'conf/gateway.yaml', needsOf())).toThrow(
      /^conf\/gateway\.yaml:1:1 a: unknown key, remove it\nconf\/gateway\.yaml:2:10 workers: must be a whole number from 1 to 64, or auto for one process for each core$/,
    )
  })

  it('never makes a fault of more than one line, whatever its keys are', () => {
    const [fault = '', ...others] = faultsOf('"a\\nb\\e[31m\\u202e": 1\n')
    expect(others).toEqual([])
    expect(fault).toBe('1:1 "a\\nb\\u001b[31m\\u202e": unknown key, remove it')
  })
})

describe('more faults, found by the caller,', () => {
  const yaml = `routes:
  - { name: a, match: { path: /a }, auth: public, service: ecko }
  - { name: b, match: { path: /b }, auth: public, service: echo }
  - { name: c, match: { path: "\${PATH_OF_C:-/c}" }, auth: public, service: echo }
`

  it('are reported with the rest, about the route they mean', () => {
    const seen: string[][] = []
    const inspect = (config: { readonly routes: readonly { readonly name: string }[] }) => {
      seen.push(config.routes.map((route) => route.name))
      return [{ path: ['routes', 1, 'match'], message: 'ties with the route b' }]
    }
    expect(faultsOf(yaml, { ...needsOf(), inspect })).toEqual([
      '2:60 routes.a.service: must be accounts, sessions, oauth, revocations, usernames, graphql, discovery, health or echo, did you mean echo?',
      '4:23 routes.c.match: ties with the route b',
    ])
    expect(seen).toEqual([['b', 'c']])
  })

  it('do not repeat what came from the environment', () => {
    const needs = needsOf({ PATH_OF_C: '/hidden-path' })
    const remarks = [{ path: ['routes', 1], message: 'the path /hidden-path is taken' }]
    expect(faultsOf(yaml.replace('ecko', 'echo'), { ...needs, inspect: () => remarks })).toEqual([
      '3:5 routes.b: the path ${PATH_OF_C} is taken',
    ])
  })
})

describe('whatever stands in a file,', () => {
  const word = fc.constantFrom(
    'routes',
    'tenants',
    'issuers',
    'a',
    'match',
    'path',
    '/a',
    'auth',
    '*',
    '&a',
    '*a',
    '!!x',
    '${A}',
    '${',
    '5',
    '[',
    ']',
    '{',
    '}',
    ':',
    ' ',
    '\n',
    '\n  ',
    '- ',
    '"',
    "'",
    '|',
    '%',
    '<<',
    'null',
    '__proto__',
    'constructor',
    '\u0000',
    '\ud800',
    '?',
  )

  it('only a ConfigError is thrown', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word, { maxLength: 60 }).map((words) => words.join('')),
        ),
        (text) => {
          for (const fault of faultsOf(text)) expect(fault).toMatch(/^\d+:\d+ [^\n]+$/)
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('only a ConfigError is thrown for well-formed YAML of the wrong shape', () => {
    const key = fc.constantFrom(
      'listeners',
      'public',
      'tenants',
      'default',
      'issuers',
      'i',
      'jwks',
      'secrets',
      'audiences',
      'upstreams',
      'u',
      'targets',
      'routes',
      'match',
      'headers',
      'path',
      'claims',
      'identity',
      'constructor',
      'toString',
    )
    const { tree } = fc.letrec((tie) => ({
      // The first is what is left at the greatest depth.
      tree: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom('x', '', 5, null, true, '/a', 'any', 'http://a', 'default', '10s'),
        fc.dictionary(key, tie('tree'), { maxKeys: 5 }),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
    }))
    const file = fc.dictionary(key, tree)
    fc.assert(
      fc.property(file, (value) => {
        faultsOf(JSON.stringify(value))
      }),
      { numRuns: 1000 },
    )
  })
})
