import { describe, expect, it } from 'vitest'
import { createLoginDesk, createRemoteLoginThrottle } from '../../../src/login-counts.ts'
import { createLoginThrottle } from '../../../src/services/accounts/accounts.ts'
import { createWire, type Wire } from '../../../src/workers/workers.ts'
import { testConfig } from '../../support/config.ts'

const config = testConfig('tenants: { acme: {} }')
const tenant = config.tenants.get('acme')
if (tenant === undefined) throw new Error('no tenant')
const ATTEMPT = { tenant, client: '192.0.2.1', subject: 'mail ann@example.com' }

/** A primary and two workers, with JSON between them. */
function crew() {
  let nowMs = 0
  const desk = createLoginDesk(createLoginThrottle({ nowMs: () => nowMs }), () => config.tenants)
  const schedule = () => () => undefined
  const join = (life: number) => {
    const wire: Wire = createWire(
      { send: (message) => queueMicrotask(() => primary.receive(JSON.parse(JSON.stringify(message)))), schedule },
      {},
    )
    const primary: Wire = createWire(
      { send: (message) => queueMicrotask(() => wire.receive(JSON.parse(JSON.stringify(message)))), schedule },
      desk.handlers(life),
    )
    return { wire, throttle: createRemoteLoginThrottle(wire) }
  }
  return { one: join(1), other: join(2), desk, pass: (ms: number) => void (nowMs += ms) }
}

describe('failed logins of several processes', () => {
  it('are counted together: five are free, wherever they are tried', async () => {
    const { one, other } = crew()
    for (let guess = 0; guess < 5; guess += 1) (await (guess % 2 === 0 ? one : other).throttle.begin(ATTEMPT)).end('failed')
    for (const { throttle } of [one, other]) {
      await expect(Promise.resolve(throttle.begin(ATTEMPT))).rejects.toMatchObject({
        kind: 'rate_limited',
        facts: { headers: { 'retry-after': '1' } },
      })
    }
  })

  it('are told of once, to the worker whose attempt was refused', async () => {
    const { one, other } = crew()
    for (let guess = 0; guess < 5; guess += 1) (await one.throttle.begin(ATTEMPT)).end('failed')
    const locks: string[] = []
    await expect(Promise.resolve(other.throttle.begin(ATTEMPT, (what) => void locks.push(what)))).rejects.toThrow()
    await expect(Promise.resolve(one.throttle.begin(ATTEMPT, (what) => void locks.push(what)))).rejects.toThrow()
    expect(locks).toEqual(['account'])
  })

  it('count what a worker had begun when it died, and nothing that another one ends in its name', async () => {
    const { one, other, desk } = crew()
    for (let guess = 0; guess < 4; guess += 1) await one.throttle.begin({ ...ATTEMPT })
    other.wire.tell('login end', { attempt: 1, outcome: 'passed' })
    await Promise.resolve()
    desk.left(1)
    ;(await other.throttle.begin(ATTEMPT)).end('failed')
    await expect(Promise.resolve(other.throttle.begin(ATTEMPT))).rejects.toMatchObject({ kind: 'rate_limited' })
  })

  it('that are right cost nothing', async () => {
    const { one, other } = crew()
    for (let login = 0; login < 40; login += 1) (await (login % 2 === 0 ? one : other).throttle.begin(ATTEMPT)).end('passed')
    ;(await one.throttle.begin(ATTEMPT)).end('passed')
  })

  it('let nobody in while the primary does not answer', async () => {
    const { one } = crew()
    one.wire.cut()
    await expect(Promise.resolve(one.throttle.begin(ATTEMPT))).rejects.toMatchObject({ kind: 'overloaded' })
  })
})
