import { describe, expect, it } from 'vitest'
import { describeConfig } from '../../../src/config/config.ts'
import { testConfig } from '../../support/config.ts'
import { faultsOf, marked } from './faults-of.ts'

const ROUTES = 'routes: [{ name: app, match: { path: /a }, auth: public, service: echo }]'
const OTLP = 'otlp: "https://collector.example"'

const FAULTS: readonly (readonly [string, string])[] = [
  [
    'telemetry: { accessLog: { fields: [status], omit: §[path] } }',
    'telemetry.accessLog.omit: must not stand beside fields: they say all there is',
  ],
  [
    `telemetry: { accessLog: { quiet: [§other] } }\n${ROUTES}`,
    'telemetry.accessLog.quiet.0: must be the name of a route of this file',
  ],
  [
    `telemetry: { traces: { ${OTLP}, keep: { slowerThan: §2 } } }`,
    'telemetry.traces.keep.slowerThan: must be a duration: write a number and ms, s, m, h or d, such as 15m',
  ],
  ['telemetry: { traces: §{} }', 'telemetry.traces.otlp: is required: write a URL such as http://127.0.0.1:4318'],
  [
    'telemetry: { traces: { otlp: "http://collector", headers: { authorization: §{ env: JWT_SECRET } } } }',
    'telemetry.traces.headers.authorization: a secret does not go over http to another machine: write otlp: https://…',
  ],
  [
    `telemetry: { traces: { ${OTLP}, headers: { authorization: §{ env: NOT_SET } } } }`,
    'telemetry.traces.headers.authorization: the environment variable NOT_SET is not set: set it to the secret',
  ],
  [
    `telemetry: { traces: { ${OTLP}, headers: { authorization: §Bearer } } }`,
    'telemetry.traces.headers.authorization: a secret never stands in this file: it must be { env: NAME } or { file: PATH }',
  ],
]

describe('telemetry', () => {
  it.each(FAULTS)('has a fault where it says %s', (text, message) => {
    const { yaml, faults } = marked(text, [message])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it('leaves out what is omitted, or all but the fields', () => {
    expect(testConfig('telemetry: { accessLog: { omit: [client, user] } }').telemetry.accessLog).toEqual({
      sample: 1,
      omit: new Set(['client', 'user']),
    })
    const { omit } = testConfig('telemetry: { accessLog: { fields: [status, route] } }').telemetry.accessLog
    expect([omit?.has('status'), omit?.has('path'), omit?.size]).toEqual([false, true, 20])
  })

  it.each([
    ['http://127.0.0.1:4318', 'http://127.0.0.1:4318/v1/traces'],
    ['https://collector.example/otlp/', 'https://collector.example/otlp/v1/traces'],
    ['https://collector.example/v1/traces', 'https://collector.example/v1/traces'],
  ])('takes spans to the path of the protocol: %s', (otlp, url) => {
    expect(testConfig(`telemetry: { traces: { otlp: "${otlp}" } }`).telemetry.traces).toEqual({
      url,
      sample: 0.1,
      serviceName: 'gatehouse',
      resource: new Map(),
      headers: new Map(),
      include: new Set(),
    })
  })

  it.each([
    ['{}', undefined],
    ['{ errors: false }', undefined],
    ['{ errors: true }', { errors: true, slowerThanMs: Number.POSITIVE_INFINITY }],
    ['{ slowerThan: 2s }', { errors: false, slowerThanMs: 2_000 }],
  ])('keeps traces beside the share by their ends: %s', (keep, read) => {
    expect(testConfig(`telemetry: { traces: { ${OTLP}, keep: ${keep} } }`).telemetry.traces?.keep).toEqual(read)
  })

  it('shows no header of an export', () => {
    const config = testConfig(`telemetry: { traces: { ${OTLP}, headers: { X-Key: { env: OTLP_KEY } } } }`, {
      OTLP_KEY: 'a secret',
    })
    expect(config.telemetry.traces?.headers).toEqual(new Map([['x-key', 'a secret']]))
    expect(JSON.stringify(describeConfig(config))).toContain('"x-key":"[redacted]"')
  })
})
