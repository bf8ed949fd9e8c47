import { describe, expect, it } from 'vitest'
import { wantsOpenMetrics } from '../../../src/telemetry/open-metrics.ts'
import { ADMITTED, createWorld, type World } from './world.ts'

const OPEN = 'application/openmetrics-text;version=1.0.0'

const ACCEPTED: readonly (readonly [string, boolean])[] = [
  [`${OPEN},application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1`, true],
  ['text/plain, Application/OpenMetrics-Text; q=0.5', true],
  ['', false],
  ['*/*', false],
  ['text/plain;version=0.0.4', false],
  [`${OPEN};q=0`, false],
  [`${OPEN};q=0.00`, false],
  ['application/openmetrics-textual', false],
]

function end(world: World, route: string, seconds: number, id?: string): void {
  const trace = id === undefined ? {} : { trace: { id, parent: '', recording: RECORDING } }
  const record = world.telemetry.open({ ...ADMITTED, startedMs: world.clock.monotonicMs - seconds * 1000 })
  const exchange = { ...record.exchange, ...ADMITTED, route: { ...ADMITTED.route, name: route }, ...trace }
  world.telemetry.close(Object.assign(record, { exchange: { ...exchange, startedMs: record.exchange.startedMs }, status: 200 }))
}

const RECORDING = {
  isKept: () => true,
  event: () => undefined,
  step: () => undefined,
  attempt: () => ({ parent: '', answered: () => undefined, ended: () => undefined }),
}

describe('a scrape as OpenMetrics', () => {
  it.each(ACCEPTED)('is what %s asks for: %s', (accept, isWanted) => {
    expect(wantsOpenMetrics(accept)).toBe(isWanted)
  })

  it('has families without _total, no empty line and an end', async () => {
    const world = createWorld()
    end(world, 'orders', 0.004)
    const { contentType, body } = await world.telemetry.scrape(OPEN)
    expect(contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    expect(body).toContain(
      '# TYPE gatehouse_requests counter\ngatehouse_requests_total{route="orders",tenant="acme",code="200"} 1\n',
    )
    expect(body).toMatch(/^# HELP gatehouse_requests Requests answered/m)
    expect(body).not.toMatch(/\n\n|^# (?:TYPE|HELP) \S+_total /m)
    expect(body.endsWith('\n# EOF\n')).toBe(true)
    expect(body).not.toContain(' # {')
  })

  it('says the same as the text of Prometheus', async () => {
    const world = createWorld()
    end(world, 'orders', 0.004)
    const samples = (body: string): string[] => body.split('\n').filter((line) => /^gatehouse_(?!event_loop)/.test(line))
    expect(samples((await world.telemetry.scrape(OPEN)).body)).toEqual(samples((await world.telemetry.scrape()).body))
  })

  it('names the last recorded trace of each bucket, and of no other route than those that are known', async () => {
    const world = createWorld()
    end(world, 'orders', 0.004)
    end(world, 'orders', 0.004, 'a'.repeat(32))
    end(world, 'orders', 0.004, 'b'.repeat(32))
    end(world, 'orders', 99, 'c'.repeat(32))
    end(world, 'forged"} 1\n', 0.004, 'd'.repeat(32))
    const { body } = await world.telemetry.scrape(OPEN)
    const marked = body.split('\n').filter((line) => line.includes(' # {'))
    expect(marked.map((line) => line.replace(/(\d\.\d{3})\d*e?[^ ]*( \d+\.\d+)$/, '$1$2'))).toEqual([
      expect.stringMatching(
        /^gatehouse_request_duration_seconds_bucket\{.*le="0\.005".*\} 3 # \{trace_id="b{32}"\} 0\.004 1769860800\.007$/,
      ),
      expect.stringMatching(
        /^gatehouse_request_duration_seconds_bucket\{.*le="\+Inf".*\} 4 # \{trace_id="c{32}"\} 99 1769860800\.007$/,
      ),
      expect.stringMatching(
        /^gatehouse_request_duration_seconds_bucket\{.*route="none".*\} 1 # \{trace_id="d{32}"\} 0\.004 1769860800\.007$/,
      ),
    ])
    expect((await world.telemetry.scrape()).body).not.toContain('trace_id')
  })
})
