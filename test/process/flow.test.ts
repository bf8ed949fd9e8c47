import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bearer, login, postJson, SERVICE_ROUTES, type Tokens } from '../support/gateway.ts'
import { run, startGatewayProcess, startNginx, startPython, type GatewayProcess, type Program } from '../support/process.ts'

const PEERS = ['python', 'nginx'] as const

describe('the main job, against upstreams that nobody here wrote', () => {
  const programs: Program[] = []
  let gateway: GatewayProcess

  beforeAll(async () => {
    const [python, nginx] = await Promise.all([startPython(), startNginx()])
    programs.push(python, nginx)
    gateway = await startGatewayProcess(`
upstreams: { python: { targets: ['${python.url}'] }, nginx: { targets: ['${nginx.url}'] } }
routes:${SERVICE_ROUTES}
  - { name: python, match: { path: /python/* }, auth: required, stripPrefix: /python, upstream: python }
  - { name: nginx, match: { path: /nginx/* }, auth: required, stripPrefix: /nginx, upstream: nginx }
`)
    programs.push(gateway)
  })

  afterAll(() => Promise.all(programs.map((program) => program.end())))

  it.each(PEERS)('registers, logs in, calls %s, logs out and is refused', async (peer) => {
    const anonymous = await fetch(`${gateway.url}/${peer}/hello.txt`)
    expect([anonymous.status, (await problem(anonymous)).error]).toEqual([401, 'unauthorized'])
    const { access_token: token } = await login(gateway.url)

    const answer = await fetch(`${gateway.url}/${peer}/hello.txt`, { headers: bearer(token) })
    expect([answer.status, await answer.text()]).toEqual([200, 'hello from an upstream\n'])
    const missing = await fetch(`${gateway.url}/${peer}/missing.txt`, { headers: bearer(token) })
    expect(missing.status).toBe(404)
    expect(missing.headers.get('content-type')).toMatch(/text\/html/)

    expect((await logout(gateway, token)).status).toBe(204)
    const refused = await fetch(`${gateway.url}/${peer}/hello.txt`, { headers: bearer(token) })
    expect([refused.status, (await problem(refused)).error]).toEqual([401, 'token_revoked'])
    expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer realm="gatehouse", error="invalid_token"/)
  })

  it.each(PEERS)('does the same for curl, with %s behind it', async (peer) => {
    const account = JSON.stringify({ email: `curl-${peer}@example.com`, password: 'correct horse battery' })
    const json = ['-H', 'content-type: application/json', '-d', account]
    expect((await curl(`${gateway.url}/auth/register`, ...json)).status).toBe(201)
    const tokens = JSON.parse((await curl(`${gateway.url}/auth/login`, ...json)).body) as Tokens
    const authorization = ['-H', `authorization: Bearer ${tokens.access_token}`]

    const answer = await curl(`${gateway.url}/${peer}/hello.txt`, ...authorization)
    expect(answer).toEqual({ status: 200, body: 'hello from an upstream\n' })
    expect((await curl(`${gateway.url}/auth/logout`, '-X', 'POST', ...authorization)).status).toBe(204)
    const refused = await curl(`${gateway.url}/${peer}/hello.txt`, ...authorization)
    expect([refused.status, JSON.parse(refused.body)]).toEqual([401, expect.objectContaining({ error: 'token_revoked' })])
  })

  it('logs out one session and leaves the others of the user and those of others alone', async () => {
    const one = await login(gateway.url)
    const other = await loginAgain(gateway, one)
    const stranger = await login(gateway.url)

    expect((await logout(gateway, one.access_token)).status).toBe(204)
    expect(await errorsOfMe(gateway, [one, other, stranger])).toEqual(['token_revoked', undefined, undefined])
  })

  it('logs out all sessions of a user and nobody else', async () => {
    const one = await login(gateway.url)
    const other = await loginAgain(gateway, one)
    const stranger = await login(gateway.url)

    const answer = await fetch(`${gateway.url}/auth/logout-all`, { method: 'POST', headers: bearer(one.access_token) })
    expect([answer.status, await answer.json()]).toEqual([200, { revoked_count: 2 }])
    expect(await errorsOfMe(gateway, [one, other, stranger])).toEqual(['token_revoked', 'token_revoked', undefined])
    expect(await errorsOfMe(gateway, [await loginAgain(gateway, one)])).toEqual([undefined])
  })

  it('tells a user who they are', async () => {
    const one = await login(gateway.url)
    const answer = await fetch(`${gateway.url}/auth/me`, { headers: bearer(one.access_token) })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      id: expect.stringMatching(/^usr_[0-9a-f]{32}$/) as string,
      tenant_id: 'default',
      email: one.email,
      username: null,
      display_name: null,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
    })
  })
})

describe('a restart', () => {
  it('keeps keys, users and revocations', async () => {
    const first = await startGatewayProcess(`routes:${SERVICE_ROUTES}`)
    const [live, revoked] = [await login(first.url), await login(first.url)]
    await logout(first, revoked.access_token)
    const keys = await keysOf(first)
    expect(await first.end()).toEqual({ code: 0, signal: null })

    const second = await startGatewayProcess(`routes:${SERVICE_ROUTES}`, { folder: first.folder, port: first.port })
    try {
      expect(await keysOf(second)).toEqual(keys)
      expect(await errorsOfMe(second, [live, revoked])).toEqual([undefined, 'token_revoked'])
      expect(await errorsOfMe(second, [await loginAgain(second, revoked)])).toEqual([undefined])
    } finally {
      await second.end()
    }
  })
})

function logout(gateway: GatewayProcess, token: string): Promise<Response> {
  return fetch(`${gateway.url}/auth/logout`, { method: 'POST', headers: bearer(token) })
}

async function loginAgain(gateway: GatewayProcess, { email, password }: { email: string; password: string }): Promise<Tokens> {
  const answer = await postJson(`${gateway.url}/auth/login`, { email, password })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Tokens
}

function errorsOfMe(gateway: GatewayProcess, tokens: readonly Tokens[]): Promise<(string | undefined)[]> {
  return Promise.all(
    tokens.map(async ({ access_token }) => {
      const answer = await fetch(`${gateway.url}/auth/me`, { headers: bearer(access_token) })
      return (await problem(answer)).error
    }),
  )
}

async function keysOf(gateway: GatewayProcess): Promise<unknown> {
  return (await fetch(`${gateway.url}/.well-known/jwks.json`)).json()
}

async function problem(answer: Response): Promise<{ error?: string }> {
  return (await answer.json()) as { error?: string }
}

async function curl(url: string, ...args: string[]): Promise<{ status: number; body: string }> {
  const { code, stdout, stderr } = await run('curl', ['-sS', '-w', '\n%{http_code}', ...args, url])
  expect([code, stderr]).toEqual([0, ''])
  const end = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) }
}
