/** What commands print ends in the logs of pipelines and in reviews: nothing secret of a configuration is in it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { runCommand } from '../../src/commands/command-line.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-commands-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const SECRETS = [
  'canary-match',
  'canary-other',
  'canary-upstream',
  'canary-admin-token-of-some-length',
  'canary-redis',
  Buffer.alloc(32, 7).toString('base64'),
]
const [MATCH, OTHER, UPSTREAM, ADMIN, REDIS, MASTER] = SECRETS

function file(name: string, key: string | undefined, auth: string): string {
  const path = join(folder, name)
  writeFileSync(
    path,
    `listeners:
  public: { address: 127.0.0.1:0, origin: https://gateway.test }
  admin: { address: 127.0.0.1:0, token: { env: ADMIN_TOKEN } }
storage: { sessions: "redis://:\${REDIS_PASSWORD}@127.0.0.1:1", directory: ${folder} }
masterKey: { env: MASTER_KEY }
upstreams:
  one: { targets: ["http://127.0.0.1:9"] }
routes:
  - name: keyed
    match: { path: /x/*, headers: { x-api-key: ${key}, x-beta: "1" } }
    auth: ${auth}
    upstream: one
    requestHeaders: { set: { authorization: "Basic ${UPSTREAM}", x-env: ${auth} } }
    responseHeaders: { set: { x-secret: "${UPSTREAM}" } }
  - { name: other, match: { path: /x/* }, auth: required, upstream: one }
`,
  )
  return path
}

const [before, after] = [file('before.yaml', MATCH, 'required'), file('after.yaml', OTHER, 'public')]

it.each([
  ['routes', '--config', before],
  ['routes', '--json', '--config', before],
  ['check', '--config', before],
  ['doctor', '--config', before],
  ['doctor', '--json', '--config', before],
  ['keys', 'list', '--tenant', 'default', '--config', before],
  ['migrate', 'status', '--config', before],
  ['audit', 'list', '--config', before],
  ['explain', 'GET', '/x/1', '--config', before],
  ['check', '--strict', '--config', after],
  ['diff', before, after],
  ['diff', '--json', before, after],
  ['diff', after, before],
])('%s %s %s', async (...args) => {
  let printed = ''
  await runCommand(args, {
    environment: { ADMIN_TOKEN: ADMIN ?? '', REDIS_PASSWORD: REDIS ?? '', MASTER_KEY: MASTER ?? '' },
    write: (text) => void (printed += text),
    say: (text) => void (printed += text),
    onStop: () => undefined,
    onReload: () => undefined,
    onFault: () => undefined,
  })
  expect(printed).not.toBe('')
  expect(SECRETS.filter((secret) => printed.includes(secret))).toEqual([])
  if (args[0] === 'routes' || args[0] === 'diff') expect(printed).toContain('[x-api-key: [redacted]] [x-beta: 1]')
})
