import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACCESS_COOKIE, DEVICE_COOKIE } from '../../src/exchange/exchange.ts'
import { bearer, login, postJson, SERVICE_ROUTES, startGateway, type TestGateway } from '../support/gateway.ts'

const LEAKED = ['trombone xylophone', 'leaked and known', 'another that is known'] as const
const CONFIGURATION = `
tenants: { default: { signing: ES256 } }
accounts: { breachedPasswords: { file: breached.txt } }
routes:${SERVICE_ROUTES}`

let gateway: TestGateway

beforeAll(async () => {
  const hashes = LEAKED.map((password) => createHash('sha1').update(password).digest('hex').toUpperCase())
  const text = hashes
    .toSorted()
    .map((hash) => `${hash}:42`)
    .join('\r\n')
  gateway = await startGateway(CONFIGURATION, { files: { 'breached.txt': text } })
})
afterAll(() => gateway.close())

describe('a change of the password through the gateway', () => {
  const NEW = 'a much better one'

  it('ends the other sessions at once, and leaves the own one', async () => {
    const user = await login(gateway.url)
    const other = (await (
      await postJson(`${gateway.url}/auth/login`, { email: user.email, password: user.password })
    ).json()) as { access_token: string }
    const change = { current_password: user.password, new_password: NEW }
    const answer = await postJson(`${gateway.url}/auth/password`, change, bearer(user.access_token))
    expect([answer.status, await answer.text()]).toEqual([204, ''])
    const statuses = await Promise.all(
      [user, other].map(
        async ({ access_token: token }) => (await fetch(`${gateway.url}/auth/me`, { headers: bearer(token) })).status,
      ),
    )
    expect(statuses).toEqual([200, 401])
    const old = await postJson(`${gateway.url}/auth/login`, { email: user.email, password: user.password })
    expect([old.status, (await postJson(`${gateway.url}/auth/login`, { email: user.email, password: NEW })).status]).toEqual([
      401, 200,
    ])
  })

  it('is not made by a page of somebody else, nor without the current one, nor to one that is known', async () => {
    const user = await login(gateway.url)
    const change = (body: object, headers: Record<string, string>) => postJson(`${gateway.url}/auth/password`, body, headers)
    const foreign = await change(
      { current_password: user.password, new_password: NEW },
      { cookie: `${ACCESS_COOKIE}=${user.access_token}`, origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' },
    )
    expect(foreign.status).toBe(403)
    const wrong = await change({ current_password: 'not it', new_password: NEW }, bearer(user.access_token))
    expect([wrong.status, await wrong.json()]).toEqual([
      403,
      expect.objectContaining({ type: 'urn:gatehouse:problem:wrong_password', error: 'access_denied' }),
    ])
    for (const password of [...LEAKED, 'Passw0rd!', user.email]) {
      const refused = await change({ current_password: user.password, new_password: password }, bearer(user.access_token))
      expect([refused.status, await refused.json()]).toEqual([
        400,
        expect.objectContaining({ error: 'invalid_request', fields: [{ field: 'new_password', message: expect.any(String) }] }),
      ])
    }
    expect((await postJson(`${gateway.url}/auth/login`, { email: user.email, password: user.password })).status).toBe(200)
    expect(gateway.log()).not.toContain(NEW)
  })
})

describe('an account that strangers guess at', () => {
  it('is refused to everyone but the devices that have logged in before', async () => {
    const user = await login(gateway.url)
    const headers = { 'sec-fetch-site': 'same-origin' }
    const first = await postJson(
      `${gateway.url}/auth/login`,
      { email: user.email, password: user.password, cookie: true },
      headers,
    )
    const line = first.headers.getSetCookie().find((cookie) => cookie.startsWith(DEVICE_COOKIE)) ?? ''
    expect(line).toMatch(/; Path=\/auth\/login; Max-Age=15552000; HttpOnly; Secure; SameSite=Strict$/)
    const cookie = line.slice(0, line.indexOf(';'))
    for (let guess = 0; guess < 6; guess += 1)
      await postJson(`${gateway.url}/auth/login`, { email: user.email, password: `guess ${guess}` })
    const attempt = (more: Record<string, string>) =>
      postJson(`${gateway.url}/auth/login`, { email: user.email, password: user.password }, more)
    const stranger = await attempt({})
    expect([stranger.status, Number(stranger.headers.get('retry-after'))]).toEqual([429, expect.any(Number)])
    expect((await attempt({ cookie: `${DEVICE_COOKIE}=gwd_forged` })).status).toBe(429)
    const own = await attempt({ cookie })
    expect(own.status).toBe(200)
    const again = await attempt({ 'gatehouse-device': own.headers.get('gatehouse-device') ?? '' })
    expect(again.status).toBe(200)
    expect(gateway.log()).not.toContain(cookie.slice(DEVICE_COOKIE.length + 1))
  })
})

describe('a file of breached passwords', () => {
  it.each([
    ['is missing', {}],
    ['is none', { 'breached.txt': 'password\n123456\n' }],
  ])('that %s stops the start', async (_, files) => {
    const directory = mkdtempSync(join(tmpdir(), 'gatehouse-breached-'))
    await expect(startGateway(CONFIGURATION, { files, directory })).rejects.toThrow(/breached|ENOENT/)
    rmSync(directory, { recursive: true, force: true })
  })
})
