/** A scrape, the rules and the dashboard, as Prometheus itself reads them. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { bearer, login, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'
import { startServer, type TestServer } from '../support/servers.ts'

const ROOT = join(import.meta.dirname, '../..')
const RULES = join(ROOT, 'deploy/prometheus/rules.yaml')

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly labels?: { readonly severity?: string }
  readonly annotations?: Readonly<Record<string, string>>
}

interface Panel {
  readonly title: string
  readonly type: string
  readonly targets?: readonly { readonly expr: string }[]
}

const rules = (parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules)
const alerts = rules.flatMap((rule) => (rule.alert === undefined ? [] : [{ ...rule, alert: rule.alert }]))
const dashboard = JSON.parse(readFileSync(join(ROOT, 'deploy/grafana/gatehouse.json'), 'utf8')) as {
  panels: Panel[]
  templating: { list: { definition?: string }[] }
  annotations: { list: { expr: string }[] }
}
const queries = [
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
  ...dashboard.annotations.list.map(({ expr }) => ['annotation', expr] as const),
]

let gateway: TestGateway
let app: TestServer
let scrape = ''
/** Name → type, of every metric that is told. */
let metrics: ReadonlyMap<string, string>

beforeAll(async () => {
  app = await startServer('app')
  gateway = await startGateway(`
upstreams: { app: { targets: ["${app.url}"] } }
routes:${SERVICE_ROUTES}
  - { name: app, match: { path: /app/* }, auth: required, upstream: app, rateLimit: { requests: 1, per: 1h, by: user } }
`)
  const { access_token } = await login(gateway.url)
  for (const token of [access_token, access_token, 'none']) await fetch(`${gateway.url}/app/a`, { headers: bearer(token) })
  scrape = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  metrics = new Map([...scrape.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]))
})
afterAll(async () => {
  await gateway.close()
  await app.kill()
})

/** @returns what it said, empty where it has nothing against it */
async function promtool(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile('promtool', [...args], { cwd: ROOT }, (error, stdout, stderr) => {
      resolve(error === null ? '' : `${stdout}${stderr}`)
    })
    child.stdin?.end(input)
  })
}

/** Metrics that an expression asks for and that nobody tells. */
function unknownIn(expr: string): readonly string[] {
  const named = [...expr.matchAll(/\b(?:gatehouse|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name)
  return named.filter((name) => {
    const base = name.replace(/_(?:bucket|sum|count)$/, '')
    return !metrics.has(name) && metrics.get(base) !== 'histogram'
  })
}

describe('a scrape', () => {
  it('has nothing that promtool would have otherwise', async () => {
    expect(scrape).toContain('gatehouse_rate_limited_total{route="app",by="user"} 1')
    expect(await promtool(['check', 'metrics'], scrape)).toBe('')
  })
})

describe('what is due, and what is well', () => {
  it('is told: the audit record, the bound of the revocations, the next key of each tenant', () => {
    expect(scrape).toMatch(/^gatehouse_audit_up 1$/m)
    expect(scrape).toMatch(/^gatehouse_revocation_max_staleness_seconds 10$/m)
    const due = /^gatehouse_signing_key_rotation_due_timestamp_seconds\{tenant="default"\} (\S+)$/m.exec(scrape)?.[1]
    const days = (Number(due) - Date.now() / 1000) / 86_400
    expect(Math.round(days)).toBe(90)
  })
})

describe('deploy/prometheus', () => {
  it('is a configuration that Prometheus takes', async () => {
    expect(await promtool(['check', 'config', 'deploy/prometheus/prometheus.yaml'])).toBe('')
    expect(await promtool(['check', 'rules', 'deploy/prometheus/rules.yaml'])).toBe('')
  })

  it('has rules that fire when they should, and not when they should not', { timeout: 120_000 }, async () => {
    expect(await promtool(['test', 'rules', 'deploy/prometheus/rules.test.yaml'])).toBe('')
  })

  it('has both cases for every alert', () => {
    const text = readFileSync(join(ROOT, 'deploy/prometheus/rules.test.yaml'), 'utf8')
    const names = (parse(text) as { tests: { name: string }[] }).tests.map(({ name }) => name)
    expect(names).toEqual(alerts.flatMap(({ alert }) => [`${alert} fires`, `${alert} does not fire`]))
  })

  it('asks for metrics that are told', () => {
    expect(rules.flatMap(({ expr }) => unknownIn(expr))).toEqual([])
  })

  it('says of every alert how bad it is, what is the matter, and where to read on', () => {
    const sections = [...readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8').matchAll(/^### (\w+)$/gm)].map(([, name]) => name)
    expect(sections).toEqual(alerts.map(({ alert }) => alert))
    for (const { alert, labels, annotations } of alerts) {
      expect([alert, ['critical', 'warning'].includes(labels?.severity ?? '')]).toEqual([alert, true])
      expect([alert, annotations?.['runbook']]).toEqual([alert, `docs/runbook.md#${alert.toLowerCase()}`])
      expect(annotations?.['summary']?.length).toBeGreaterThan(20)
    }
  })
})

describe('the dashboard', () => {
  it('has a row for each part', () => {
    const rows = dashboard.panels.filter(({ type }) => type === 'row').map(({ title }) => title)
    expect(rows).toEqual([
      'At a glance',
      'Traffic',
      'Errors',
      'Latency',
      'Authentication',
      'Revocation',
      'Sessions and storage',
      'Usernames',
      'Upstreams',
      'Process',
    ])
  })

  it('asks for metrics that are told', () => {
    expect(queries.length).toBeGreaterThan(60)
    expect(queries.flatMap(([title, expr]) => unknownIn(expr).map((name) => [title, name]))).toEqual([])
    for (const { definition } of dashboard.templating.list) expect(unknownIn(definition ?? '')).toEqual([])
  })

  it('shows every metric of ours that counts or measures', () => {
    const shown = queries.map(([, expr]) => expr).join('\n')
    const missing = [...metrics.keys()].filter((name) => name.startsWith('gatehouse_') && !shown.includes(name))
    expect(missing).toEqual(['gatehouse_config_reloads_total'])
  })

  it('asks in a language that Prometheus understands', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-'))
    const file = join(folder, 'queries.yaml')
    const filled = queries.map(([, expr], index) => ({
      record: `dashboard:query:${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', '.+').replaceAll('$instance', '.+'),
    }))
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules: filled }] }))
    expect(await promtool(['check', 'rules', '--lint=none', file])).toBe('')
    rmSync(folder, { recursive: true })
  })
})
