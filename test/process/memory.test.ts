import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bearer, login, SERVICE_ROUTES } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { gatehouse, startGatewayProcess, startProgram, waitFor, type GatewayProcess, type Program } from '../support/process.ts'

const GIB = 1024 ** 3
const CHUNK = Buffer.alloc(64 * 1024, 'y')
const MIB_IN_KIB = 1024
const IN_TIME = { timeout: 20_000, interval: 100 }

let upstream: Program
let gateway: GatewayProcess
let token = ''

beforeAll(async () => {
  // As set-up does: the first run after a change compiles once more, and the compiler takes 10 MB.
  await gatehouse(['--version'])
  const port = await freePort()
  upstream = startProgram(process.execPath, [join(import.meta.dirname, 'upstream.ts'), String(port)])
  await waitFor(() => upstream.stdout().includes('listening'), upstream)
  gateway = await startGatewayProcess(
    `
upstreams: { bulk: { targets: ['http://127.0.0.1:${port}'] } }
routes:${SERVICE_ROUTES}
  - { name: bulk, match: { path: /bulk/* }, auth: required, stripPrefix: /bulk, upstream: bulk }`,
    { listener: 'limits: { bodyBytes: 2GiB }' },
  )
})
afterAll(() => Promise.all([gateway.end(), upstream.end()]))

it('needs less than 110 MiB when idle, and 120 after people have logged in', async () => {
  // It tidies up when nothing has happened for a second.
  await expect.poll(() => gateway.memory().nowKiB, IN_TIME).toBeLessThan(110 * MIB_IN_KIB)
  for (let turn = 0; turn < 6; turn += 1) token = (await login(gateway.url)).access_token
  await expect.poll(() => gateway.memory().nowKiB, IN_TIME).toBeLessThan(120 * MIB_IN_KIB)
})

it.each(['up', 'down'] as const)('takes 1 GiB %s and grows by less than 64 MiB', async (direction) => {
  // The highest is that of this test alone.
  writeFileSync(`/proc/${gateway.pid}/clear_refs`, '5')
  const before = gateway.memory()
  const octets = direction === 'up' ? await up(GIB) : await down(GIB)
  expect(octets).toBe(GIB)
  const after = gateway.memory()
  expect(after.nowKiB - before.nowKiB).toBeLessThan(64 * MIB_IN_KIB)
  expect(after.peakKiB - before.nowKiB).toBeLessThan(64 * MIB_IN_KIB)
})

function up(bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const req = request(`${gateway.url}/bulk/up`, { method: 'PUT', headers: { ...bearer(token), 'content-length': bytes } })
    req.on('error', reject)
    req.on('response', (res) => {
      let text = ''
      res.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      res.on('end', () => resolve(Number(text)))
    })
    let left = bytes
    req.on('drain', more)
    more()

    function more(): void {
      while (left > 0) {
        left -= CHUNK.length
        if (!req.write(CHUNK)) return
      }
      req.end()
    }
  })
}

function down(bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const req = request(`${gateway.url}/bulk/down?${bytes}`, { headers: bearer(token) })
    req.on('error', reject)
    req.on('response', (res) => {
      let received = 0
      res.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      res.on('end', () => resolve(received))
      res.on('error', reject)
    })
    req.end()
  })
}
