/** A real Prometheus with the configuration of this repository, and a gateway that it scrapes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { startReceiver, type Receiver } from '../support/otlp.ts'
import { freePort } from '../support/ports.ts'
import { startProgram, type Program } from '../support/process.ts'
import { until } from '../support/until.ts'

const FOLDER = join(import.meta.dirname, '../../deploy/prometheus')

let receiver: Receiver
let gateway: TestGateway
let prometheus: Program
let url = ''
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-'))

beforeAll(async () => {
  receiver = await startReceiver()
  gateway = await startGateway(`
telemetry: { traces: { otlp: "${receiver.url}", sample: 100% } }
routes:
  - { name: open, match: { path: /open }, auth: public, service: echo }
`)
  const text = readFileSync(join(FOLDER, 'prometheus.yaml'), 'utf8')
    .replace('127.0.0.1:9901', new URL(gateway.adminUrl).host)
    .replace('scrape_interval: 15s', 'scrape_interval: 500ms')
    .replace('evaluation_interval: 15s', 'evaluation_interval: 500ms')
    .replace('rules.yaml', join(FOLDER, 'rules.yaml'))
  writeFileSync(join(folder, 'prometheus.yaml'), text)
  const port = await freePort()
  url = `http://127.0.0.1:${port}/api/v1`
  prometheus = startProgram('prometheus', [
    `--config.file=${join(folder, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--enable-feature=exemplar-storage',
  ])
}, 60_000)
afterAll(async () => {
  await prometheus.end()
  await gateway.close()
  await receiver.close()
  rmSync(folder, { recursive: true, force: true })
})

async function ask<Data>(path: string): Promise<Data | undefined> {
  const answer = await fetch(`${url}${path}`).catch(() => undefined)
  return answer?.ok === true ? ((await answer.json()) as { data: Data }).data : undefined
}

async function valueOf(query: string): Promise<number | undefined> {
  const data = await ask<{ result: { value: [number, string] }[] }>(`/query?query=${encodeURIComponent(query)}`)
  const [first] = data?.result ?? []
  return first === undefined ? undefined : Number(first.value[1])
}

describe('Prometheus', () => {
  it('reads what the gateway tells, and evaluates every rule', { timeout: 90_000 }, async () => {
    await until(async () => (await valueOf('up{job="gatehouse"}')) === 1, 'nothing was scraped', 60_000)
    await fetch(`${gateway.url}/open`)
    await until(async () => (await valueOf('sum(gatehouse_requests_total{code="200"})')) === 1, 'no request', 60_000)
    await until(async () => (await unevaluated())?.length === 0, 'a rule was not evaluated', 60_000)
  })

  it('finds the trace of a request in its plots', { timeout: 90_000 }, async () => {
    const answer = await fetch(`${gateway.url}/open`)
    const id = String(answer.headers.get('x-request-id')).replaceAll('-', '')
    const query = 'gatehouse_request_duration_seconds_bucket'
    await until(
      async () => {
        const [start, end] = [Date.now() / 1000 - 600, Date.now() / 1000 + 60]
        const found = await ask<{ exemplars: { labels: { trace_id: string } }[] }[]>(
          `/query_exemplars?query=${query}&start=${start}&end=${end}`,
        )
        return (found ?? []).flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels.trace_id)).includes(id)
      },
      'there is no exemplar of the request',
      60_000,
    )
  })
})

/** Rules that have a fault, or were not looked at yet. */
async function unevaluated(): Promise<readonly string[] | undefined> {
  const data = await ask<{ groups: { rules: { name: string; health: string }[] }[] }>('/rules')
  return data?.groups.flatMap(({ rules }) => rules.filter(({ health }) => health !== 'ok').map(({ name }) => name))
}
