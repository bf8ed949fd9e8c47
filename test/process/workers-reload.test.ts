/** A new configuration for several workers: all have it, or none. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { waitFor, type GatewayProcess } from '../support/process.ts'
import { ask, askEach, isRunning, metric, SECRET_ROUTES, startCrew, untilReady, workersOf } from './crew.ts'

const WORKERS = 3

describe('a configuration that is read again', { timeout: 60_000 }, () => {
  let gateway: GatewayProcess
  let file = ''
  let text = ''
  beforeAll(async () => {
    gateway = await startCrew(WORKERS, `reload: { watch: false }\nroutes:${SECRET_ROUTES}`)
    file = join(gateway.folder, 'gateway.yaml')
    text = readFileSync(file, 'utf8')
  }, 120_000)
  afterAll(async () => {
    expect(await gateway.end()).toEqual({ code: 0, signal: null })
  }, 120_000)

  const withRoute = (path: string): string =>
    `${text}  - { name: new-${path.slice(1)}, match: { path: ${path} }, auth: public, service: echo }\n`
  const statuses = async (path: string): Promise<number[]> => (await askEach(gateway, WORKERS, path)).map(({ status }) => status)
  const reload = (): Promise<Response> =>
    fetch(`${gateway.adminUrl}/reload`, { method: 'POST', headers: { 'x-gatehouse-admin': '1' } })

  it('is in force in all workers when it is asked for', async () => {
    expect(await statuses('/one')).toEqual([404, 404, 404])
    writeFileSync(file, withRoute('/one'))
    const answer = await reload()
    expect([answer.status, await answer.json()]).toMatchObject([200, { outcome: 'reloaded' }])
    expect(await statuses('/one')).toEqual([200, 200, 200])
    expect(JSON.stringify(await (await fetch(`${gateway.adminUrl}/routes`)).json())).toContain('new-one')
  })

  it('is in force in all workers upon a signal', async () => {
    writeFileSync(file, withRoute('/two'))
    gateway.child.kill('SIGHUP')
    await expect.poll(() => statuses('/two'), { timeout: 10_000, interval: 50 }).toEqual([200, 200, 200])
    expect(await statuses('/one')).toEqual([404, 404, 404])
  })

  it('changes nothing in any of them when it has a fault, and the metric says so', async () => {
    writeFileSync(file, `${withRoute('/three')}\nbanana: 1\n`)
    expect((await reload()).status).not.toBe(200)
    expect(await statuses('/two')).toEqual([200, 200, 200])
    expect(await statuses('/three')).toEqual([404, 404, 404])
    expect(await metric(gateway, 'gatehouse_config_last_reload_success')).toBe(0)
  })

  it('is not what a worker goes by that takes the place of another: that is what all the others have', async () => {
    const victims = workersOf(gateway)
    for (const victim of victims.slice(0, 2)) {
      process.kill(victim, 'SIGKILL')
      await waitFor(() => !isRunning(victim), gateway)
    }
    await untilReady(gateway, WORKERS)
    expect(await statuses('/two')).toEqual([200, 200, 200])
    expect(await statuses('/three')).toEqual([404, 404, 404])
  })

  it('reaches a worker that starts just then', async () => {
    const [victim = 0] = workersOf(gateway)
    process.kill(victim, 'SIGKILL')
    await waitFor(() => !isRunning(victim) && workersOf(gateway).length === WORKERS, gateway)
    writeFileSync(file, withRoute('/four'))
    await expect.poll(async () => (await reload()).status, { timeout: 20_000, interval: 100 }).toBe(200)
    await untilReady(gateway, WORKERS)
    await expect.poll(() => statuses('/four'), { timeout: 10_000, interval: 50 }).toEqual([200, 200, 200])
    expect((await ask(gateway, '/two')).status).toBe(404)
    expect(await metric(gateway, 'gatehouse_config_last_reload_success')).toBe(1)
  })
})
