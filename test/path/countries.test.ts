/** Countries through a whole gateway: what explain says, what a change of the file does, what operators read. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { diff } from '../../src/commands/diff.ts'
import { routes } from '../../src/commands/routes.ts'
import { ConfigError } from '../../src/config/config.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { testConfig } from '../support/config.ts'

const YAML = `
listeners:
  public:
    {{public}}
    trustedProxies: [127.0.0.0/8]
  admin: { address: 127.0.0.1:0 }
geography: { file: countries.csv }
tenants: { nordic: { hosts: [nordic.test], countries: { allow: [NO] } } }
routes:
  - { name: north, match: { path: /north/* }, auth: public, service: echo, countries: { allow: [NO, SE], deny: [DK] } }
  - { name: all, match: { path: /all/* }, auth: public, service: echo }
`

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway(YAML, { files: { 'countries.csv': '192.0.2.0/24,NO\n203.0.113.0/24,DE\n' } })
})
afterAll(() => gateway.close())

interface Explained {
  readonly decision: string
  readonly status: number
  readonly error?: string
  readonly steps: readonly { readonly room: string; readonly rule: string; readonly result: string; readonly detail?: string }[]
}

async function explain(url: string, ip: string): Promise<Explained> {
  const response = await fetch(`${gateway.adminUrl}/explain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-gatehouse-admin': '1' },
    body: JSON.stringify({ method: 'GET', url, ip }),
  })
  return (await response.json()) as Explained
}
const from = async (client: string) => (await fetch(`${gateway.url}/north/x`, { headers: { 'x-forwarded-for': client } })).status

it('explain tells the country, the rule, and why it refuses', async () => {
  const good = await explain('/north/x', '192.0.2.1')
  expect([good.decision, good.steps.find(({ room }) => room === 'networks')]).toEqual([
    'allow',
    { room: 'networks', rule: 'countries: allow NO, SE, deny DK', result: '192.0.2.1, in NO' },
  ])
  const bad = await explain('/north/x', '203.0.113.1')
  expect([bad.decision, bad.status, bad.error, bad.steps.at(-1)]).toEqual([
    'refuse',
    403,
    'access_denied',
    {
      room: 'networks',
      rule: 'countries: allow NO, SE, deny DK',
      result: 'refused: country_refused',
      detail: 'the client is in DE',
    },
  ])
  const unknown = await explain('/north/x', '198.51.100.1')
  expect([unknown.status, unknown.steps.at(-1)?.detail]).toEqual([403, 'the client is in an unknown country'])
  const tenant = await explain('http://nordic.test/all/x', '203.0.113.1')
  expect([tenant.status, tenant.steps.at(-1)]).toMatchObject([403, { room: 'policy', result: 'refused: country_refused' }])
})

it('a change of the file comes into force, and one with a fault does not', async () => {
  const file = join(gateway.directory, 'countries.csv')
  expect([await from('192.0.2.1'), await from('198.51.100.1')]).toEqual([200, 403])
  writeFileSync(file, '198.51.100.0/24,SE\n')
  await gateway.reload(YAML)
  expect([await from('192.0.2.1'), await from('198.51.100.1')]).toEqual([403, 200])
  writeFileSync(file, '198.51.100.0/24,SE\n192.0.2.0/24;NO\n')
  const refused = await gateway.reload(YAML).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(ConfigError)
  expect(String(refused)).toContain('geography.file: line 2 must be NETWORK,COUNTRY')
  expect([await from('192.0.2.1'), await from('198.51.100.1')]).toEqual([403, 200])
})

it('operators read the rule in the list of routes, and what a change of it opens', () => {
  const config = (countries: string) =>
    testConfig(
      `listeners: { public: { trustedProxies: [10.0.0.0/8] } }\ngeography: { header: x-country }\nroutes: [{ name: r, match: { path: /a }, auth: public, service: echo${countries} }]\n`,
    )
  const [none, some, more] = [
    config(''),
    config(', countries: { allow: [NO], deny: [SE] }'),
    config(', countries: { allow: [NO, DK] }'),
  ]
  expect(routes(some, false)).toContain('none: anyone, in NO, not in SE')
  const told = (before: typeof none, after: typeof none) => {
    const { text, code } = diff(before, after, true)
    return [code, [...text.matchAll(/"what":\s*"(countries\.\w+)"/g)].map(([, what]) => what)]
  }
  expect(told(none, some)).toEqual([0, ['countries.allow', 'countries.deny']])
  expect(told(some, none)).toEqual([1, ['countries.allow', 'countries.deny']])
  expect(told(some, more)).toEqual([1, ['countries.allow', 'countries.deny']])
})
