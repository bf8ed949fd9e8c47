import { afterAll, describe, expect, it } from 'vitest'
import { createTelemetry } from '../../src/telemetry/telemetry.ts'
import { testConfig } from '../support/config.ts'
import { codeIn, codesIn, readPage, rowsOf } from './documents.ts'

const telemetry = createTelemetry(
  { write: () => undefined, nowMs: () => 0, monotonicMs: () => 0, random: () => 0, schedule: () => () => undefined },
  testConfig('{}'),
)
afterAll(() => telemetry.stop())

describe('docs/metrics.md', () => {
  const page = readPage('docs/metrics.md')
  const documented = ['Requests', 'Authentication', 'Revocation', 'Usernames', 'Process'].flatMap((heading) =>
    rowsOf(page, heading),
  )

  it('has every metric of a scrape with its type, and no other', async () => {
    const { body } = await telemetry.scrape()
    const registered = [...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`)
    expect(documented.map(([name, type]) => `${codeIn(name)} ${type}`).toSorted()).toEqual(registered.toSorted())
  })

  it('says what each of ours means', () => {
    expect(documented.filter(([name, , , meaning]) => codeIn(name).startsWith('gatehouse_') && !meaning)).toEqual([])
  })

  it('names the labels of what is counted', async () => {
    const { events } = telemetry
    events.authenticator.decided('default', 'accepted', 'ok')
    events.authenticator.cache('hit')
    events.authenticator.validated('access', 'RS256')
    events.authenticator.jwksFetched('corporate', 'ok')
    events.revocation.checked('clear', 'replica')
    events.sessions.event('default', 'created')
    events.usernames.checked('default', 'filter', 'free')
    events.usernames.checkSeconds(0.001, 'filter')
    events.usernames.probing('default', 'series')
    events.usernames.squatting('default', 'holds')
    events.upstream.answered('orders', 0.01)
    const record = telemetry.open(ARRIVED)
    telemetry.close(Object.assign(record, { status: 404 }))
    telemetry.observe({
      jwksAgesSeconds: () => [['corporate', 1]],
      usernameFilterNames: () => [['default', 1]],
      upstreamTargets: () => [{ upstream: 'orders', target: 0, healthy: true }],
    })
    const { body } = await telemetry.scrape()
    for (const [name, type, labels] of documented) {
      const sample = new RegExp(`^${codeIn(name)}${type === 'histogram' ? '_count' : ''}\\{(.*)\\} `, 'm').exec(body)
      if (sample === null) continue
      const used = [...(sample[1] ?? '').matchAll(/(\w+)="/g)].map((match) => match[1])
      expect([name, used]).toEqual([name, codesIn(labels ?? '')])
    }
  })
})

const ARRIVED = {
  id: 'r-1',
  method: 'GET',
  target: '/',
  host: '',
  authority: '',
  rawHeaders: [],
  peer: '127.0.0.1',
  trusted: false,
  client: '127.0.0.1',
  scheme: 'http',
  upgrade: false,
  bodyLength: 0,
  expectsContinue: false,
  startedMs: 0,
} as const
