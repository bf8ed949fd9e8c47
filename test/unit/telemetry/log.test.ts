import { describe, expect, it } from 'vitest'
import { Problem } from '../../../src/problem/problem.ts'
import { createWorld } from './world.ts'

describe('the log', () => {
  it('writes a message and its facts as one JSON line', () => {
    const world = createWorld()
    world.telemetry.log.info('listening', { port: 8080, tls: false, host: '0.0.0.0', absent: undefined })
    world.telemetry.log.warn('slow')
    world.telemetry.log.error('failed', { attempts: 3 })
    expect(world.lines()).toEqual([
      { time: '2026-01-31T12:00:00.007Z', level: 'info', msg: 'listening', port: 8080, tls: false, host: '0.0.0.0' },
      { time: '2026-01-31T12:00:00.007Z', level: 'warn', msg: 'slow' },
      { time: '2026-01-31T12:00:00.007Z', level: 'error', msg: 'failed', attempts: 3 },
    ])
  })

  it('keeps an error in no buffer', () => {
    const world = createWorld()
    world.telemetry.log.info('first')
    world.telemetry.log.error('the process is about to end')
    expect(world.writes).toHaveLength(1)
    expect(world.writes[0]?.split('\n')).toHaveLength(3)
  })

  it('does not let a fact stand for time, level or message', () => {
    const world = createWorld()
    world.telemetry.log.info('true', { msg: 'false', level: 'error', time: 'never' })
    expect(world.lines()).toMatchObject([
      { msg: 'true', level: 'info', fact_msg: 'false', fact_level: 'error', fact_time: 'never' },
    ])
  })

  it('shows the cause of a problem and stops at the fifth', () => {
    const world = createWorld()
    let cause: Error = new Error('0')
    for (let depth = 1; depth < 10; depth += 1) cause = new Error(String(depth), { cause })
    world.telemetry.log.warn('failed', { cause: new Problem('storage_unavailable', { detail: 'busy', cause }) })
    const [line] = world.lines()
    expect(line?.['cause']).toMatchObject({
      class: 'Problem',
      message: 'storage_unavailable',
      detail: 'busy',
      cause: { message: '9' },
    })
    expect(JSON.stringify(line).match(/"message":"/g)).toHaveLength(5)
  })

  it.each([
    ['a string', 'a string'],
    [42, 42],
    [Number.NaN, 'NaN'],
    [null, null],
    [{ token: 'x' }, '[object]'],
    [() => 1, '[function]'],
    [10n, '[bigint]'],
  ])('says of a thrown %s no more than it should', (thrown, shown) => {
    const world = createWorld()
    world.telemetry.log.warn('thrown', { cause: thrown })
    expect(world.lines()).toMatchObject([{ cause: shown }])
  })

  it('survives an error that cannot be read', () => {
    const world = createWorld()
    const hostile = new Error('x')
    Object.defineProperty(hostile, 'message', {
      get() {
        throw new Error('no')
      },
    })
    world.telemetry.log.warn('thrown', { cause: hostile })
    expect(world.lines()).toMatchObject([{ cause: '[unreadable]' }])
  })
})
