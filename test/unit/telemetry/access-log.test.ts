import { describe, expect, it } from 'vitest'
import { Problem } from '../../../src/problem/problem.ts'
import { ADMITTED, ARRIVED, PRINCIPAL, createWorld } from './world.ts'

describe('the access log', () => {
  it('has one line for a request that was forwarded, without its query and its token', () => {
    const world = createWorld()
    const record = world.telemetry.open(ARRIVED)
    Object.assign(record, { exchange: ADMITTED, status: 200, upstream: 'orders', upstreamMs: 1.5, bytesIn: 3, bytesOut: 42 })
    world.clock.monotonicMs = 1012.3456
    world.telemetry.close(record)
    expect(world.lines()).toEqual([
      {
        time: '2026-01-31T12:00:00.007Z',
        level: 'info',
        msg: 'request',
        request_id: 'r-1',
        method: 'GET',
        host: 'api.example.com',
        path: '/api/orders',
        route: 'orders',
        tenant: 'acme',
        user: 'u-1',
        client: '10.0.0.1',
        status: 200,
        duration_ms: 12.346,
        upstream: 'orders',
        upstream_ms: 1.5,
        bytes_in: 3,
        bytes_out: 42,
        user_agent: 'curl/8.0',
        revocation: 'checked',
      },
    ])
    expect(world.writes.join('')).not.toContain('hidden')
  })

  it('has ten lines a second for requests that were refused because of overload, and all others', () => {
    const world = createWorld()
    const end = (kind: 'overloaded' | 'storage_unavailable') => {
      const record = world.telemetry.open(ARRIVED)
      record.problem = new Problem(kind)
      record.status = 503
      world.telemetry.close(record)
    }
    for (let count = 0; count < 50; count += 1) end('overloaded')
    expect(world.lines()).toHaveLength(10)
    end('storage_unavailable')
    world.clock.monotonicMs += 1000
    end('overloaded')
    expect(
      world
        .lines()
        .map((line) => line['error'])
        .slice(9),
    ).toEqual(['overloaded', 'storage_unavailable', 'overloaded'])
  })

  it('has as few for tokens that were not looked at any more, and counts them all', async () => {
    const world = createWorld()
    const problem = new Problem('rate_limited', { isOneOfMany: true })
    for (let count = 0; count < 50; count += 1) {
      const record = world.telemetry.open(ARRIVED)
      record.problem = problem
      record.status = 429
      world.telemetry.close(record)
    }
    expect(world.lines().map((line) => line['status'])).toEqual(Array.from({ length: 10 }, () => 429))
    expect((await world.telemetry.scrape()).body).toMatch(/^gatehouse_requests_total\{.*code="429"\} 50$/m)
  })

  it('names thousands of users, hosts and clients each as it is, however often', () => {
    const world = createWorld()
    const said: unknown[] = []
    for (let round = 0; round < 2; round += 1) {
      for (let number = 0; number < 1500; number += 1) {
        const fleeting = number % 3 === 0 ? { fleeting: true as const } : {}
        const principal = { ...PRINCIPAL, user: `u-${number}`, ...fleeting }
        const exchange = { ...ADMITTED, principal, host: `h${number}.example.com`, client: `10.0.${number >> 8}.${number & 255}` }
        const record = world.telemetry.open(ARRIVED)
        Object.assign(record, { exchange, status: 200 + (number % 100) })
        world.telemetry.close(record)
        said.push([principal.user, exchange.host, exchange.client, 200 + (number % 100)])
      }
    }
    expect(world.lines().map(({ user, host, client, status }) => [user, host, client, status])).toEqual(said)
  })

  it('has one line for a request that was never routed', () => {
    const world = createWorld()
    const record = world.telemetry.open({ ...ARRIVED, target: '/nowhere;x?a=1#b', rawHeaders: [] })
    record.problem = new Problem('no_route', { detail: 'nothing matches' })
    record.status = 404
    world.telemetry.close(record)
    expect(world.lines()).toEqual([
      {
        time: '2026-01-31T12:00:00.007Z',
        level: 'info',
        msg: 'request',
        request_id: 'r-1',
        method: 'GET',
        host: 'api.example.com',
        path: '/nowhere;x',
        client: '10.0.0.1',
        status: 404,
        error: 'no_route',
        problem: 'no_route',
        duration_ms: 0,
        bytes_in: 0,
        bytes_out: 0,
        detail: 'nothing matches',
      },
    ])
  })

  it('tells the cause of a fault of ours, as an error, and not that of a refusal', () => {
    const world = createWorld()
    const cause = Object.assign(new TypeError('x is no function', { cause: new Error('inner') }), { code: 'ERR_X' })
    for (const problem of [Problem.from(cause), new Problem('invalid_token', { detail: 'kid', cause })]) {
      const record = world.telemetry.open(ARRIVED)
      Object.assign(record, { problem, status: problem.status })
      world.telemetry.close(record)
    }
    const [fault, refusal] = world.lines()
    expect(fault).toMatchObject({ level: 'error', status: 500, error: 'internal_error' })
    expect(fault?.['cause']).toMatchObject({ class: 'TypeError', code: 'ERR_X', message: 'x is no function' })
    expect(JSON.stringify(fault?.['cause'])).toContain('access-log.test.ts')
    expect(JSON.stringify(fault?.['cause'])).toContain('"message":"inner"')
    expect(refusal).toMatchObject({ level: 'info', status: 401, error: 'invalid_token', detail: 'kid' })
    expect(refusal).not.toHaveProperty('cause')
  })

  it('ends a request once, however often it is closed', () => {
    const world = createWorld()
    const record = world.telemetry.open(ARRIVED)
    record.status = 200
    expect(world.telemetry.inFlight()).toBe(1)
    world.telemetry.close(record)
    world.telemetry.close(record)
    expect(world.telemetry.inFlight()).toBe(0)
    expect(world.lines()).toHaveLength(1)
  })

  it('samples, but keeps every answer from 500', () => {
    const world = createWorld(0.25)
    const close = (status: number, random: number): void => {
      const record = world.telemetry.open({ ...ARRIVED, id: `${status}-${random}` })
      record.status = status
      world.clock.random = random
      world.telemetry.close(record)
    }
    close(200, 0.24)
    close(200, 0.25)
    close(404, 0.9)
    close(500, 0.9)
    close(502, 0.9)
    expect(world.lines().map((line) => line['request_id'])).toEqual(['200-0.24', '500-0.9', '502-0.9'])
  })

  it('gives a request whose client went away the status 499', () => {
    const world = createWorld()
    const record = world.telemetry.open(ARRIVED)
    record.aborted = true
    world.telemetry.close(record)
    expect(world.lines()).toMatchObject([{ status: 499, aborted: true }])
  })

  it('says why an exchange was ended that its token did not outlast', () => {
    const world = createWorld()
    const record = Object.assign(world.telemetry.open(ARRIVED), { status: 200, aborted: true, ended: 'revoked' } as const)
    world.telemetry.close(record)
    expect(world.lines()).toMatchObject([{ status: 200, aborted: true, ended: 'revoked' }])
  })

  it('lets nothing that a client sends begin a second line or move a cursor', () => {
    const world = createWorld()
    const hostile = 'a\r\n{"msg":"request"}\u001b[2K\u0085\u009b1m\u2028\u2029\u202e"\\\u0000\ud800'
    const record = world.telemetry.open({
      ...ARRIVED,
      id: hostile,
      method: hostile,
      host: hostile,
      target: `/${hostile}`,
      client: hostile,
      rawHeaders: ['user-agent', hostile],
    })
    record.status = 400
    record.problem = new Problem('invalid_request', { detail: hostile })
    world.telemetry.close(record)
    const [line] = world.lines()
    expect(world.lines()).toHaveLength(1)
    expect(world.writes.join('')).toMatch(/^[\x20-\x7e]+\n$/)
    expect(line).toMatchObject({ request_id: hostile, host: hostile, user_agent: hostile, detail: hostile })
  })

  it('cuts what a client can make long', () => {
    const world = createWorld()
    const long = 'x'.repeat(10_000)
    const record = world.telemetry.open({ ...ARRIVED, target: `/${long}?${long}`, rawHeaders: ['USER-AGENT', long] })
    record.problem = new Problem('uri_too_long', { detail: long })
    record.status = 414
    world.telemetry.close(record)
    const [line] = world.lines()
    expect(line).toMatchObject({ path: `/${'x'.repeat(511)}`, user_agent: 'x'.repeat(256), detail: 'x'.repeat(1024) })
  })

  it('masks a token in a path or a user agent', () => {
    const world = createWorld()
    const token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl'
    for (let round = 0; round < 2; round += 1) {
      const record = world.telemetry.open(ARRIVED)
      record.exchange = { ...ADMITTED, path: `/reset/${token}/x`, rawHeaders: ['User-Agent', `app (Bearer ${token})`] }
      record.status = 200
      world.telemetry.close(record)
    }
    expect(world.lines()).toMatchObject([
      { path: '/reset/[jwt]/x', user_agent: 'app (Bearer [jwt])' },
      { path: '/reset/[jwt]/x', user_agent: 'app (Bearer [jwt])' },
    ])
  })

  it('tells user agents apart, however many there are', () => {
    const world = createWorld()
    for (let number = 0; number < 3000; number += 1) {
      const record = world.telemetry.open({ ...ARRIVED, rawHeaders: ['User-Agent', `agent ${number}`] })
      world.telemetry.close(record)
    }
    expect(world.lines().map((line) => line['user_agent'])).toEqual(
      Array.from({ length: 3000 }, (_, number) => `agent ${number}`),
    )
  })
})

describe('writing', () => {
  it('writes many lines at once, a tenth of a second after the first', () => {
    const world = createWorld()
    for (let number = 0; number < 3; number += 1) world.telemetry.close(world.telemetry.open(ARRIVED))
    expect(world.writes).toEqual([])
    expect(world.timers.map((timer) => timer.delayMs)).toEqual([100])
    world.timers[0]?.run()
    expect(world.writes).toHaveLength(1)
    expect(world.writes[0]?.split('\n')).toHaveLength(4)
    expect(world.timers).toEqual([])
  })

  it('writes when 16 KiB have come together, without waiting', () => {
    const world = createWorld()
    for (let number = 0; number < 100; number += 1) world.telemetry.close(world.telemetry.open(ARRIVED))
    const sizes = world.writes.map((text) => text.length)
    expect(sizes.length).toBeGreaterThan(0)
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(16 * 1024)
    expect(Math.max(...sizes)).toBeLessThan(17 * 1024)
  })

  it('writes what is left when it stops, and later lines at once', () => {
    const world = createWorld()
    world.telemetry.log.info('last words')
    world.telemetry.stop()
    world.telemetry.log.info('afterwards')
    expect(world.writes).toHaveLength(2)
    expect(world.timers).toEqual([])
  })

  it('fails no request when the log cannot be written', () => {
    const world = createWorld()
    world.clock.fails = true
    world.telemetry.close(world.telemetry.open(ARRIVED))
    world.telemetry.flush()
    world.clock.fails = false
    world.telemetry.close(world.telemetry.open(ARRIVED))
    expect(world.lines()).toHaveLength(1)
  })
})
