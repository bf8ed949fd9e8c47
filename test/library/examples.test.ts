/** The examples as their pages say: each started by its one command, behind a gateway with the configuration that is there for them. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { readPage, ROOT, rowsOf } from '../docs/documents.ts'
import { launchChromium } from '../support/browser.ts'
import { bearer } from '../support/gateway.ts'
import { makeKey, passportClaims, signJwt, startKeyServer, type KeyServer } from '../support/passports.ts'
import { freePort } from '../support/ports.ts'
import { startProgram, temporaryFolder, waitFor, type Program } from '../support/process.ts'
import { vectorsOfP256 } from './p256-vectors.ts'

const PASSWORD = 'correct horse battery staple'
/** Other languages, as far as they are on this machine. */
const OTHERS = ['python', ...isThere('java', '-version'), ...isThere('go', 'version')]
const COMMANDS = new Map(
  rowsOf(readPage('examples/README.md')).map(([name = '', , command = '']) => [
    name.replace(/^\[(.*?)\].*$/, '$1'),
    command.replaceAll('`', '').split(' '),
  ]),
)

function isThere(name: string, ask: string): readonly string[] {
  return spawnSync(name, [ask]).status === 0 ? [name] : []
}

/** `go run` leaves the program to itself when it is ended: the test ends what it would build. */
function builtOf([, ...sources]: readonly string[]): string {
  const program = join(temporaryFolder(), 'orders')
  const built = spawnSync('go', ['build', '-o', program, ...sources], { cwd: ROOT, encoding: 'utf8' })
  if (built.status !== 0) throw new Error(built.stderr)
  return program
}

/** Starts an example by the command of its row; `node` is the one that runs the tests. */
async function startExample(
  name: string,
  environment: Readonly<Record<string, string>>,
): Promise<Program & { readonly url: string }> {
  const [file = '', ...rest] = COMMANDS.get(name) ?? []
  const port = await freePort()
  const [start, args] = file === 'go' ? [builtOf(rest), []] : [file === 'node' ? process.execPath : file, rest]
  const program = startProgram(start, args, {
    cwd: ROOT,
    environment: { PORT: String(port), PYTHONDONTWRITEBYTECODE: '1', ...environment },
  })
  await waitFor(() => program.stdout().includes(String(port)), program, 60_000)
  return { ...program, url: `http://127.0.0.1:${port}` }
}

describe('behind their gateway', () => {
  let origin: string
  let token: string
  let user: string
  const services: Record<string, string> = {}

  beforeAll(async () => {
    const port = await freePort()
    origin = `http://localhost:${port}`
    const names = ['orders', 'browser-app', ...OTHERS]
    const started = await Promise.all(names.map((name) => startExample(name, { GATEWAY_ORIGIN: origin })))
    for (const [index, name] of names.entries()) services[name] = started[index]?.url ?? ''
    const gateway = startProgram(process.execPath, ['src/main.ts', 'start', '--config', 'examples/gateway.yaml'], {
      cwd: ROOT,
      environment: {
        PORT: String(port),
        ADMIN_PORT: String(await freePort()),
        DATA: temporaryFolder(),
        ORDERS: services['orders'] ?? '',
        BROWSER_APP: services['browser-app'] ?? '',
        ...Object.fromEntries(OTHERS.map((name) => [`ORDERS_${name.toUpperCase()}`, services[name] ?? ''])),
      },
    })
    await waitFor(() => gateway.stderr().includes('gatehouse is ready at'), gateway, 60_000)
    const client = createClient({ origin })
    const email = 'ada@example.com'
    await client.register({ email, password: PASSWORD })
    token = (await client.login({ email, password: PASSWORD })).accessToken
    user = (await client.as(token).me()).id
  }, 120_000)

  it('orders keeps what each user ordered, by the passport alone', async () => {
    const headers = { ...bearer(token), 'content-type': 'application/json' }
    const placed = await fetch(`${origin}/orders`, { method: 'POST', headers, body: '{"item":"tea"}' })
    expect([placed.status, await placed.json()]).toEqual([201, { id: 1, item: 'tea' }])
    const listed = await fetch(`${origin}/orders`, { headers })
    expect([listed.status, await listed.json()]).toEqual([200, { orders: [{ id: 1, item: 'tea' }] }])
    expect((await fetch(`${services['orders']}/healthz`)).status).toBe(200)
    const past = await fetch(`${services['orders']}/orders`, {
      headers: { 'x-user-id': user, 'x-tenant-id': 'default', ...headers },
    })
    expect([past.status, await past.json()]).toEqual([401, expect.objectContaining({ error: 'unauthorized' })])
  })

  it.each(OTHERS)('%s answers with the user whom the passport names', async (name) => {
    const answer = await fetch(`${origin}/${name}/orders`, { headers: bearer(token) })
    expect([answer.status, await answer.json()]).toEqual([200, { orders: [], of: { tenant: 'default', user } }])
    expect((await fetch(`${origin}/${name}/orders`)).status).toBe(401)
    const past = await fetch(`${services[name]}/orders`, { headers: { 'x-user-id': user, ...bearer(token) } })
    expect(past.status).toBe(401)
  })

  describe('in a real browser', () => {
    let browser: Browser
    beforeAll(async () => {
      browser = await launchChromium()
    }, 60_000)
    afterAll(async () => browser?.close())

    it('the page registers, orders, renews its session, and logs out, and never sees a token', async () => {
      const context = await browser.newContext()
      const page = await context.newPage()
      const faults: string[] = []
      page.on('pageerror', (error) => void faults.push(String(error)))
      await page.goto(origin)
      await page.getByLabel('E-mail').fill('grace@example.com')
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button', { name: 'Register' }).click()
      await page.getByText('You are grace@example.com').waitFor()
      await order('coffee')
      // The access token is over, as after a quarter of an hour.
      await context.clearCookies({ name: '__Host-gw_at' })
      await order('cake')
      await page.reload()
      await page.getByRole('listitem').nth(1).waitFor()
      expect(await page.getByRole('listitem').allTextContents()).toEqual(['coffee', 'cake'])
      expect(await page.evaluate('document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)')).toBe('{}{}')
      await page.getByRole('button', { name: 'Log out' }).click()
      await page.getByRole('button', { name: 'Log in' }).waitFor()
      expect([await context.cookies(), faults]).toEqual([[], []])
      await page.getByLabel('E-mail').fill('grace@example.com')
      await page.getByLabel('Password').fill('not the password')
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByText('password is not right').waitFor()
      await context.close()

      async function order(item: string): Promise<void> {
        await page.getByLabel('New order').fill(item)
        await page.getByRole('button', { name: 'Order', exact: true }).click()
        await page.getByText(item, { exact: true }).waitFor()
      }
    }, 60_000)
  })
})

describe.each(['orders', ...OTHERS])('what is no passport for %s', (name) => {
  const key = makeKey()
  const audience = name === 'orders' ? 'orders' : `orders-${name}`
  let keys: KeyServer
  let url: string

  beforeAll(async () => {
    keys = await startKeyServer([key])
    url = `${(await startExample(name, { GATEWAY_ORIGIN: keys.origin })).url}/orders`
  }, 60_000)
  afterAll(async () => keys.close())

  function claims(more: object = {}): object {
    return passportClaims(keys.origin, { aud: audience, scope: 'orders:read', ...more })
  }

  async function status(...passports: string[]): Promise<number> {
    const headers = new Headers(passports.map((passport) => ['x-gatehouse-identity', passport]))
    const answer = await fetch(url, { headers })
    await answer.body?.cancel()
    return answer.status
  }

  it('is refused, whichever way it is wrong', async () => {
    const good = signJwt(key, claims())
    const [head, body = '', signature = ''] = good.split('.')
    const stranger = makeKey()
    const other = (alg: string): string => Buffer.from(JSON.stringify({ alg, kid: key.kid })).toString('base64url')
    expect(await status(good)).toBe(200)
    expect(await status()).toBe(401)
    const wrong: Readonly<Record<string, string>> = {
      'for another service': signJwt(key, claims({ aud: 'billing' })),
      'of another gateway': signJwt(key, claims({ iss: 'https://elsewhere.example' })),
      'over for an hour': signJwt(key, claims({ exp: Math.floor(Date.now() / 1000) - 3600 })),
      'without an end': signJwt(key, claims({ exp: undefined })),
      'with an end that is text': signJwt(key, claims({ exp: '9999999999' })),
      'without a user': signJwt(key, claims({ sub: '' })),
      'without a tenant': signJwt(key, claims({ tenant_id: undefined })),
      "under our key's name": signJwt(stranger, claims(), { kid: key.kid }),
      'with a key of its own': signJwt(stranger, claims(), { jwk: stranger.jwk }),
      'with an extension': signJwt(key, claims(), { crit: ['exp'] }),
      'with other claims': `${head}.${Buffer.from(JSON.stringify(claims({ sub: 'root' }))).toString('base64url')}.${signature}`,
      'without a signature': `${head}.${body}.`,
      'with another algorithm': `${other('HS256')}.${body}.${signature}`,
      'with no algorithm': `${other('none')}.${body}.`,
      'with a signature of zeros': `${head}.${body}.${'A'.repeat(86)}`,
      'with a signature that is longer': `${head}.${body}.${signature}AA`,
      'with padding': `${good}=`,
      'of two parts': `${head}.${body}`,
      'of four parts': `${good}.x`,
      'no base64url at all': '<script>.{}.%%',
      'far too long': 'x'.repeat(9_000),
    }
    for (const [what, passport] of Object.entries(wrong)) expect([what, await status(passport)]).toEqual([what, 401])
    expect([400, 401]).toContain(await status(good, good))
    expect(await status(signJwt(key, claims({ scope: 'orders:reader' })))).toBe(403)
    expect(await status(good)).toBe(200)
  })

  it('cannot be told from a good one without keys: 503', async () => {
    const silent = await startKeyServer(undefined)
    const lonely = await startExample(name, { GATEWAY_ORIGIN: silent.origin })
    const passport = signJwt(key, passportClaims(silent.origin, { aud: audience, scope: 'orders:read' }))
    const answer = await fetch(`${lonely.url}/orders`, { headers: { 'x-gatehouse-identity': passport } })
    expect(answer.status).toBe(503)
    await silent.close()
  }, 60_000)
})

it('the arithmetic in Python holds against signatures of others, good and bad', () => {
  const vectors = vectorsOfP256()
  const script = `import json, sys
sys.path.insert(0, ${JSON.stringify(join(ROOT, 'examples/python'))})
from passport import verify_signature
print(json.dumps([bool(verify_signature((int(x, 16), int(y, 16)), bytes.fromhex(m), bytes.fromhex(s))) for x, y, m, s, _ in json.load(sys.stdin)]))`
  const input = JSON.stringify(vectors)
  const ran = spawnSync('python3', ['-B', '-c', script], { input, encoding: 'utf8' })
  expect(ran.stderr).toBe('')
  expect(JSON.parse(ran.stdout)).toEqual(vectors.map(([, , , , isGood]) => isGood))
  expect(vectors.filter(([, , , , isGood]) => isGood).length).toBeGreaterThan(10)
  expect(vectors.filter(([, , , , isGood]) => !isGood).length).toBeGreaterThan(10)
})
