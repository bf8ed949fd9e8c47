/** Traces of a program as a user starts it: several processes, and none at all. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startReceiver, type Receiver } from '../support/otlp.ts'
import { freePort } from '../support/ports.ts'
import { MAIN, startProgram, temporaryFolder, waitFor, type Program } from '../support/process.ts'
import { until } from '../support/until.ts'
import { ask, startCrew } from './crew.ts'

/** Says which packages of the traces are loaded, but for the names that metrics need as well. */
const WATCH = `data:text/javascript,${encodeURIComponent(`
import { registerHooks } from 'node:module'
registerHooks({
  load(url, context, next) {
    if (/@opentelemetry\\/(?!api\\/)/.test(url)) process.stderr.write('loaded ' + url + '\\n')
    return next(url, context)
  },
})`)}`

let receiver: Receiver
let program: Program | undefined

beforeEach(async () => {
  receiver = await startReceiver()
})
afterEach(async () => {
  await program?.end()
  program = undefined
  await receiver.close()
})

/** @returns how many modules of the libraries a start and a request have loaded */
async function loadedWith(telemetry: string): Promise<number> {
  const folder = temporaryFolder()
  const [port, adminPort] = [await freePort(), await freePort()]
  writeFileSync(
    join(folder, 'gateway.yaml'),
    `listeners: { public: { address: 127.0.0.1:${port} }, admin: { address: 127.0.0.1:${adminPort} } }
storage: { directory: ./data }
${telemetry}
routes: [{ name: open, match: { path: /open }, auth: public, service: echo }]
`,
  )
  const started = startProgram(process.execPath, ['--import', WATCH, MAIN, 'start', '--config', join(folder, 'gateway.yaml')])
  program = started
  await waitFor(() => started.stderr().includes('gatehouse is ready at'), started, 60_000)
  expect((await fetch(`http://127.0.0.1:${port}/open`)).status).toBe(200)
  return started
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('loaded ')).length
}

describe('traces', () => {
  test('cost nothing where there are none: their libraries are not read', async () => {
    expect(await loadedWith('')).toBe(0)
  })

  test('have their libraries read where there are some', async () => {
    expect(await loadedWith(`telemetry: { traces: { otlp: "${receiver.url}" } }`)).toBeGreaterThan(10)
  })

  test('of several processes are told by each, and what is left when they stop', { timeout: 120_000 }, async () => {
    const crew = await startCrew(
      2,
      `telemetry: { traces: { otlp: "${receiver.url}", sample: 100% } }
routes: [{ name: open, match: { path: /open }, auth: public, service: echo }]
`,
    )
    program = crew
    for (let sent = 0; sent < 8; sent += 1) expect((await ask(crew, '/open')).status).toBe(200)
    await crew.end()
    await until(() => receiver.spans.filter(({ kind }) => kind === 'server').length === 8)
    const said = receiver.spans.map(({ resource }) => [resource['gatehouse.worker'], resource['service.instance.id']])
    expect(new Set(said.map(([worker]) => worker))).toEqual(new Set(['1', '2']))
    expect(new Set(said.map(([, instance]) => instance)).size).toBe(2)
  })
})
