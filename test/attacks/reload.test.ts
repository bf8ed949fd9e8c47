/**
 * A bad file at a running gateway must neither open nor close anything: all of a configuration counts, or nothing of it
 * (reloads that dropped routes: traefik #11602, #6020; oathkeeper c0017614).
 */
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { gatehouse, startGatewayProcess, waitFor, type GatewayProcess } from '../support/process.ts'

let gateway: GatewayProcess
let file: string
let good: string

beforeAll(async () => {
  gateway = await startGatewayProcess(`reload: { interval: 100ms }
routes:
  - { name: open, match: { path: /open }, auth: public, service: echo }
  - { name: closed, match: { path: /closed }, auth: required, service: echo }\n`)
  file = join(gateway.folder, 'gateway.yaml')
  good = readFileSync(file, 'utf8')
})

async function answers(): Promise<readonly number[]> {
  return Promise.all(
    ['/open', '/closed', '/none'].map(async (path) => {
      const answer = await fetch(`${gateway.url}${path}`)
      await answer.arrayBuffer()
      return answer.status
    }),
  )
}

async function lastReload(): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text()
  return Number(/^gatehouse_config_last_reload_success (\d)$/m.exec(text)?.[1])
}

const BAD: readonly (readonly [string, () => void])[] = [
  ['is empty', () => writeFileSync(file, '')],
  ['is not there', () => rmSync(file)],
  ['ends in the middle', () => truncateSync(file, good.indexOf('closed, match'))],
  ['has one bad route among good ones', () => writeFileSync(file, good.replace('auth: required', 'auth: maybe'))],
  ['has a route without authentication', () => writeFileSync(file, good.replace('auth: required, ', ''))],
  ['has an unknown key', () => writeFileSync(file, `${good}publik: true\n`)],
  ['says a key twice', () => writeFileSync(file, `${good}routes: []\n`)],
  [
    'has two routes that tie',
    () => writeFileSync(file, `${good}  - { name: again, match: { path: /closed }, auth: public, service: echo }\n`),
  ],
  [
    'names an upstream that is not there',
    () => writeFileSync(file, good.replace('auth: required, service: echo', 'auth: required, upstream: lost')),
  ],
  [
    'names a secret that is not there',
    () => writeFileSync(file, `${good}clients: { c: { tenant: default, secret: { file: gone }, scopes: ["sessions:read"] } }\n`),
  ],
  ['has octets that are no text', () => writeFileSync(file, Buffer.from([0xff, 0xfe, 0x00, 0x80]))],
  [
    'wants another address beside an open route',
    () => writeFileSync(file, good.replace('auth: required', 'auth: public').replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1')),
  ],
]

describe('a file that', () => {
  it.each(BAD)('%s changes nothing, is told, and is refused by check or by a restart alone', async (what, spoil) => {
    expect(await answers()).toEqual([200, 401, 404])
    spoil()
    await waitFor(async () => (await lastReload()) === 0, gateway)
    expect(await answers()).toEqual([200, 401, 404])
    const called = await fetch(`${gateway.adminUrl}/reload`, { method: 'POST', headers: { 'x-gatehouse-admin': '1' } })
    const { reasons } = (await called.json()) as { reasons: string[] }
    expect([called.status, reasons.length > 0, reasons.every((reason) => reason.includes('gateway.yaml:'))]).toEqual([
      422,
      true,
      true,
    ])
    if (!what.startsWith('wants another')) {
      expect(await gatehouse(['check', '--config', file])).toMatchObject({ code: 2 })
    }
    expect((await fetch(`${gateway.adminUrl}/readyz`)).status).toBe(200)
    writeFileSync(file, good)
    await waitFor(async () => (await lastReload()) === 1, gateway)
    expect(await answers()).toEqual([200, 401, 404])
  })
})

it('is called for by whoever sends the header that no page can, or the token, and by nobody else', async () => {
  const ask = (headers: Record<string, string>): Promise<number> =>
    fetch(`${gateway.adminUrl}/reload`, { method: 'POST', headers }).then((answer) => answer.status)
  expect(await ask({})).toBe(403)
  expect(await ask({ origin: 'https://evil.example', 'content-type': 'text/plain' })).toBe(403)
  expect((await fetch(`${gateway.url}/reload`, { method: 'POST' })).status).toBe(404)
})
