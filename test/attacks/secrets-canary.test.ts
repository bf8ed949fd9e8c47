/**
 * Secrets go in wherever they can, and what can fail fails: afterwards none of them is in the log, in a metric, in what the
 * admin listener shows, in an answer that is not their holder's, or readable on disk.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, lineOf, openScene, type Answered, type Ask, type Scene } from '../support/attack.ts'
import { freePort } from '../support/ports.ts'
import { claims, compact, createSigner, hs, jwksServer, type JwksServer } from '../support/foreign.ts'
import { bearer, login, SERVICE_ROUTES, startGateway } from '../support/gateway.ts'

const canary = (name: string) => `canary-${name}-${randomBytes(12).toString('hex')}`

const HS_SECRET = canary('hs-secret-of-an-older-service')
const HS_PREVIOUS = canary('previous-hs-secret-of-that-service')
const ADMIN_TOKEN = canary('admin-token')
const MASTER_KEY = randomBytes(32)
const UPSTREAM_KEY = canary('api-key-of-the-upstream')
const MATCH_KEY = canary('key-that-a-route-asks-for')
const PASSWORD = canary('password')
const WRONG_PASSWORD = canary('wrong-password')
const SHORT_SECRET = 'canary-short'
const OTLP_TOKEN = canary('token-of-the-collector')

const attacker = createSigner('RS256', 'attacker')

let scene: Scene
let keys: JwksServer
let collector: Server
/** What was told to the collector of traces. */
const exported: Buffer[] = []
/** Name → text that must not be found. */
const secrets = new Map<string, string>()
const answers: (readonly [string, Answered])[] = []

beforeAll(async () => {
  keys = await jwksServer()
  collector = createServer((req, res) => {
    req.on('data', (chunk: Buffer) => exported.push(chunk))
    req.on('end', () => void res.end())
  })
  await new Promise<void>((resolve) => {
    collector.listen(0, '127.0.0.1', resolve)
  })
  keys.serve('leaky', [{ ...attacker.privateKey.export({ format: 'jwk' }), kid: 'attacker', alg: 'RS256' }])
  keys.serve('failing', (_, res) => void res.writeHead(500).end(HS_SECRET))
  scene = await openScene({
    environment: {
      JWT_SECRET: HS_SECRET,
      JWT_SECRET_PREVIOUS: HS_PREVIOUS,
      ADMIN_TOKEN,
      MASTER_KEY: MASTER_KEY.toString('base64'),
      UPSTREAM_KEY,
      MATCH_KEY,
      OTLP_TOKEN,
    },
    admin: 'address: 127.0.0.1:0, token: { env: ADMIN_TOKEN }',
    issuers: `
  shared: { issuer: shared, tenant: acme, audiences: any, algorithms: [HS256], secrets: [{ env: JWT_SECRET }, { env: JWT_SECRET_PREVIOUS }] }
  leaky: { issuer: leaky, tenant: acme, audiences: any, algorithms: [RS256], jwks: { uri: "${keys.uri('leaky')}" } }
  failing: { issuer: failing, tenant: acme, audiences: any, algorithms: [RS256], jwks: { uri: "${keys.uri('failing')}" } }`,
    upstreams: `  dead: { targets: ["http://127.0.0.1:${await freePort()}"] }`,
    routes: `
  - { name: keyed, match: { path: /keyed/*, headers: { x-api-key: "\${MATCH_KEY}" } }, auth: public, upstream: recorder, requestHeaders: { set: { authorization: "Basic \${UPSTREAM_KEY}", x-api-key: "\${UPSTREAM_KEY}" } } }
  - { name: dead, match: { path: /dead/* }, auth: optional, upstream: dead, forwardToken: true }
  - { name: forwards, match: { path: /forwards/* }, auth: required, upstream: recorder, forwardToken: true }
  - { name: scoped, match: { path: /scoped/* }, auth: required, scopes: [admin], upstream: recorder }
  - { name: echo, match: { path: /echo/* }, auth: required, service: echo }
${SERVICE_ROUTES}`,
    more: `masterKey: { env: MASTER_KEY }
telemetry: { traces: { otlp: "http://127.0.0.1:${(collector.address() as AddressInfo).port}", sample: 100%, headers: { authorization: { env: OTLP_TOKEN } } } }`,
  })
  await provoke()
})
afterAll(async () => {
  await scene.close()
  await keys.close()
  await new Promise((done) => {
    collector.close(done)
    collector.closeAllConnections()
  })
})

const post = (target: string, body: string, lines: readonly string[] = []): Ask => ({
  method: 'POST',
  target,
  lines: ['Content-Type: application/json', ...lines],
  body,
})

async function say(request: Ask): Promise<Answered> {
  const answer = await scene.ask(request)
  answers.push([`${request.method ?? 'GET'} ${request.target.slice(0, 40)}`, answer])
  return answer
}

async function provoke(): Promise<void> {
  const email = `user-${crypto.randomUUID()}@example.com`
  await say(post('/auth/register', JSON.stringify({ email, password: PASSWORD })))
  const pair = (await scene.ask(post('/auth/login', JSON.stringify({ email, password: PASSWORD })))).json() as Record<
    string,
    string
  >
  remember(pair)
  const tokens = [...secrets].filter(([name]) => name.endsWith('token')).map(([, token]) => token)
  await provokeLogins(email)
  for (const token of tokens) await provokeWith(token)
  await scene.ask({ method: 'POST', target: '/auth/logout', token: pair['access_token'], body: '' })
  await say({ target: '/admin', token: pair['access_token'] })
  await provokeAdmin()
  // Everything before this is written now.
  await lineOf(scene.gateway, await scene.ask({ target: '/health' }))
}

function remember(pair: Record<string, string>): void {
  const all: Record<string, string | undefined> = {
    'access token': pair['access_token'],
    'refresh token': pair['refresh_token'],
    'foreign token': scene.token(),
    'expired token': scene.token({ iat: 1, exp: 2 }),
    'forged token': attacker.token(claims('https://foreign.test/')),
    'shared token': compact({ alg: 'HS256' }, claims('shared'), hs('HS256', HS_SECRET)),
    'wrongly shared token': compact({ alg: 'HS256' }, claims('shared'), hs('HS256', WRONG_PASSWORD)),
    'RS256 to a shared issuer token': attacker.token(claims('shared')),
    'leaked key token': attacker.token(claims('leaky')),
    'failing issuer token': attacker.token(claims('failing')),
    'unsigned token': compact({ alg: 'none' }, claims('shared', { sub: canary('sub') })),
    'opaque token': `gwr_${randomBytes(32).toString('base64url')}`,
    password: PASSWORD,
    'wrong password': WRONG_PASSWORD,
    'HS secret': HS_SECRET,
    'previous HS secret': HS_PREVIOUS,
    'admin bearer': ADMIN_TOKEN,
    'key of an upstream': UPSTREAM_KEY,
    'key of a match': MATCH_KEY,
    'master key': MASTER_KEY.toString('base64'),
    'token of the collector': OTLP_TOKEN,
    'published private key': String(attacker.privateKey.export({ format: 'jwk' }).d),
    'private key of the foreign issuer': String(scene.signer.privateKey.export({ format: 'jwk' }).d),
  }
  for (const [name, text] of Object.entries(all)) if (text !== undefined) secrets.set(name, text)
}

async function provokeLogins(email: string): Promise<void> {
  for (const password of [PASSWORD, WRONG_PASSWORD]) {
    for (const path of ['/auth/login', '/auth/register']) {
      await say(post(path, JSON.stringify({ email: password, password })))
      await say(post(path, JSON.stringify({ email, password: { value: password } })))
      await say(post(path, JSON.stringify({ email, password: [password] })))
      await say(post(path, `{"email":"${email}","password":"${password}"`))
      await say(post(path, `{"email":"${email}","password":"${password}\u0001"}`))
      await say(post(path, JSON.stringify({ email, password, tenant_id: 'nobody' })))
      await say(post(path, JSON.stringify({ email, password, extra: password })))
      await say(post(path, JSON.stringify({ email, password: password.repeat(2000) })))
      await say({
        ...post(path, `email=${email}&password=${password}`),
        lines: ['Content-Type: application/x-www-form-urlencoded'],
      })
      await say({ method: 'GET', target: `${path}?email=${email}&password=${password}` })
    }
    await say(post('/auth/login', JSON.stringify({ username: password, password: WRONG_PASSWORD })))
    await say({ target: '/admin', lines: [`Authorization: Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`] })
  }
  await say(post('/auth/login', JSON.stringify({ email, password: WRONG_PASSWORD })))
  await say(post('/auth/register', JSON.stringify({ email, password: PASSWORD })))
}

/** A token where it belongs and where it does not. */
async function provokeWith(token: string): Promise<void> {
  for (const target of ['/admin', '/scoped/x', '/forwards/x', '/dead/x', '/auth/me', '/nowhere', '/optional/x', '/api%2fx'])
    await say({ target, token })
  await say({ target: '/echo/x', token })
  await say({ target: '/admin', token, lines: [`Authorization: Bearer ${token}`] })
  await say({ target: '/admin', token: `${token}x` })
  await say({ target: '/admin', token: token.slice(0, -3) })
  await say({ target: '/admin', token: `${token} ${token}` })
  await say({ target: '/admin', lines: [`Authorization: ${token}`] })
  await say({ target: '/admin', lines: [`Authorization: DPoP ${token}`] })
  for (const target of ['/admin', '/public/x', '/dead/x', '/nowhere', '/auth/me', '/admin%2f', '/auth/login']) {
    await say({ target: `${target}?access_token=${token}&token=${token}` })
    await say({ target: `${target}#access_token=${token}` })
  }
  await say({ target: `/public/${token}` })
  await say({ target: `/nowhere/${token}/x` })
  await say({ target: `/dead/reset;token=${token}` })
  await say({
    target: '/public/x',
    lines: [
      `X-Access-Token: ${token}`,
      `Cookie: __Host-gw_at=${token}; a=${token}`,
      `Referer: https://x.test/?access_token=${token}`,
    ],
  })
  await say({ target: '/public/x', lines: [`User-Agent: curl/8 Bearer ${token}`] })
  await say({ target: '/nowhere', lines: [`User-Agent: ${token}`] })
  await say({
    target: '/public/x',
    lines: [`X-Forwarded-For: ${token}`, `X-Request-Id: ${token.slice(0, 120)}`, `Traceparent: ${token}`],
  })
  await say({ target: '/public/x', lines: [`X-Bad: ${token}\u0001`] })
  await say({ target: '/public/x', lines: [`X-Bad ${token}`] })
  await say({ target: '/public/x', host: `${token.slice(-40)}.test` })
  await say({ method: 'POST', target: '/public/x', lines: [`Expect: ${token}`], body: token })
  await say(
    post('/auth/login', JSON.stringify({ email: 'a@example.com', password: 'wrong password', tenant_id: token.slice(0, 60) })),
  )
  await say(post('/auth/login', token))
}

async function provokeAdmin(): Promise<void> {
  const port = Number(new URL(scene.gateway.adminUrl).port)
  for (const target of ['/metrics', '/routes', '/config', '/healthz', '/readyz', '/nowhere']) {
    for (const lines of [
      [`Authorization: Bearer ${ADMIN_TOKEN}`],
      [`Authorization: Bearer ${ADMIN_TOKEN}x`],
      [`Authorization: Basic ${ADMIN_TOKEN}`],
      [],
    ]) {
      answers.push([`admin ${target}`, await ask(port, { target, lines })])
      answers.push([
        `admin ${target}?token`,
        await ask(port, { target: `${target}?token=${ADMIN_TOKEN}`, lines, method: 'POST', body: ADMIN_TOKEN }),
      ])
    }
  }
}

/** Every way in which a secret could be written down. */
function formsOf(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  const forms = [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ]
  // The last part of a token is the one that nobody could guess.
  const signature = /^[\w-]+\.[\w-]+\.([\w-]{20,})$/.exec(secret)?.[1]
  if (signature !== undefined) forms.push(signature)
  return [...new Set(forms)]
}

function foundIn(text: string, except: readonly string[] = []): string[] {
  return [...secrets]
    .filter(([name, secret]) => !except.includes(name) && secret !== '' && formsOf(secret).some((form) => text.includes(form)))
    .map(([name]) => name)
}

describe('no secret is', () => {
  it('forgotten by this test', () => {
    expect(secrets.size).toBeGreaterThan(20)
    expect(answers.length).toBeGreaterThan(400)
    expect(new Set(answers.map(([, { status }]) => status))).toEqual(
      expect.objectContaining(new Set([200, 400, 401, 403, 404, 405, 502])),
    )
  })

  it('in the log', () => {
    expect(scene.gateway.log().length).toBeGreaterThan(10_000)
    expect(foundIn(scene.gateway.log())).toEqual([])
  })

  it('in what the admin listener shows', async () => {
    for (const path of ['/metrics', '/config', '/routes', '/readyz', '/upstreams', '/tenants', '/openapi.json']) {
      const response = await fetch(scene.gateway.adminUrl + path, { headers: bearer(ADMIN_TOKEN) })
      expect([path, response.status, foundIn(await response.text())]).toEqual([path, 200, []])
    }
  })

  it('in what the console is told', async () => {
    const ended = new AbortController()
    const response = await fetch(`${scene.gateway.adminUrl}/events`, { headers: bearer(ADMIN_TOKEN), signal: ended.signal })
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      if (text.includes('\n\n')) break
    }
    ended.abort()
    expect([response.status, text.length > 1_000, foundIn(text)]).toEqual([200, true, []])
  })

  it('in the traces', async () => {
    const octets = () => Buffer.concat(exported).toString('latin1')
    await expect.poll(() => octets().length, { timeout: 15_000 }).toBeGreaterThan(10_000)
    expect(foundIn(octets())).toEqual([])
  })

  it('in an answer', () => {
    expect(answers.map(([name, { raw }]) => [name, foundIn(raw)] as const).filter(([, found]) => found.length > 0)).toEqual([])
  })

  it('on disk, but the configuration’s own', () => {
    const texts = filesBelow(join(scene.gateway.directory, 'data'))
    expect(texts.length).toBeGreaterThan(0)
    for (const [file, text] of texts) {
      expect([file, foundIn(text), text.includes(MASTER_KEY.toString('latin1'))]).toEqual([file, [], false])
      // The private keys of tenants and passports are sealed: nothing that looks like one is readable.
      expect(text).not.toMatch(/PRIVATE KEY|"d"\s*:\s*"|"p"\s*:\s*"|"k"\s*:\s*"/)
    }
  })
})

describe('the master key that the gateway makes itself', () => {
  it('is in one file that its owner alone can read', async () => {
    const gateway = await startGateway(`tenants: { default: { signing: ES256 } }\nroutes:${SERVICE_ROUTES}`)
    try {
      await login(gateway.url)
      const data = join(gateway.directory, 'data')
      const key = readFileSync(join(data, 'master.key'), 'latin1').trim()
      expect([key.length, statSync(join(data, 'master.key')).mode & 0o777, statSync(data).mode & 0o777]).toEqual([
        44, 0o600, 0o700,
      ])
      const others = filesBelow(data).filter(([file]) => !file.endsWith('master.key'))
      const forms = [key, Buffer.from(key, 'base64').toString('hex'), Buffer.from(key, 'base64').toString('latin1')]
      for (const [file, text] of others) {
        expect([file, forms.some((form) => text.includes(form))]).toEqual([file, false])
        expect([file, statSync(file).mode & 0o077]).toEqual([file, 0])
      }
      const config = await (await fetch(`${gateway.adminUrl}/config`)).text()
      for (const form of forms) expect([gateway.log().includes(form), config.includes(form)]).toEqual([false, false])
    } finally {
      await gateway.close()
    }
  })
})

describe('a configuration that is refused', () => {
  it('says nothing of the secrets in it', async () => {
    const environment = { JWT_SECRET: SHORT_SECRET, MASTER_KEY: `${PASSWORD}-no-key`, ADMIN_TOKEN: '' }
    const started = openScene({
      environment,
      more: 'masterKey: { env: MASTER_KEY }',
      issuers: `  shared: { issuer: shared, tenant: acme, audiences: any, algorithms: [HS256], secrets: [{ env: JWT_SECRET }, ${HS_SECRET}] }`,
    })
    const error: unknown = await started.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Error)
    const text = `${String(error)} ${JSON.stringify(error)} ${error instanceof Error ? error.stack : ''}`
    expect([text.includes(SHORT_SECRET), text.includes(PASSWORD), text.includes(HS_SECRET)]).toEqual([false, false, false])
  })
})

function filesBelow(folder: string): (readonly [string, string])[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => [file, readFileSync(file, 'latin1')] as const)
}
