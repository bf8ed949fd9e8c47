/**
 * An issuer that is down, slow, lying or flooded hurts its own tokens alone, and those of its keys that are known not at all.
 */
import { setTimeout } from 'node:timers/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { expectNoPass, openScene, type Scene, type SceneOptions } from '../support/attack.ts'
import { freePort } from '../support/ports.ts'
import { claims, compact, createSigner, jwksServer, type JwksServer } from '../support/foreign.ts'

const good = createSigner('ES256', 'good')
const next = createSigner('ES256', 'next')

let scene: Scene | undefined
let server: JwksServer | undefined

afterEach(async () => {
  await scene?.close()
  await server?.close()
  scene = undefined
  server = undefined
})

const CHUNK = Buffer.alloc(64 * 1024, ' ')

function tenMebibytes(res: ServerResponse): void {
  res.writeHead(200)
  let sent = 0
  const more = (): void => {
    while (sent < 160 && !res.destroyed) {
      sent += 1
      if (!res.write(CHUNK)) {
        res.once('drain', more)
        return
      }
    }
    res.end(JSON.stringify({ keys: [good.jwk] }))
  }
  more()
}

/** Ways in which an issuer fails. */
const TROUBLES: Readonly<Record<string, (res: ServerResponse) => void>> = {
  slow: () => undefined,
  trickle: (res) => void res.writeHead(200).write('{"keys":['),
  error: (res) => void res.writeHead(500).end(JSON.stringify({ keys: [good.jwk] })),
  garbage: (res) => void res.end('<html>login</html>'),
  cut: (res) => void res.writeHead(200, { 'content-length': '1000' }).write('{"keys":[', () => res.destroy()),
  nothing: (res) => void res.end(),
  empty: (res) => void res.end('{"keys":[]}'),
  list: (res) => void res.end(JSON.stringify([good.jwk])),
  'no-keys': (res) => void res.end('{"keys":{"0":{}}}'),
  latin: (res) => void res.end(Buffer.from([0x7b, 0x22, 0xe4, 0x22, 0x3a, 0x31, 0x7d])),
  large: tenMebibytes,
  unusable: (res) => void res.end(JSON.stringify({ keys: [{ ...good.jwk, use: 'enc' }] })),
  hangup: (res) => void res.destroy(),
  deep: (res) => void res.end(`{"keys":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
}

function issuer(name: string, uri: string, more = ''): string {
  return `  ${name}: { issuer: "https://${name}.test/", tenant: acme, audiences: [api], algorithms: [ES256], jwks: { uri: "${uri}", timeout: 300ms, refresh: 1s${more} } }`
}

async function open(issuers: readonly string[], options: SceneOptions = {}): Promise<Scene> {
  scene = await openScene({ ...options, issuers: issuers.join('\n') })
  return scene
}

async function statusOf(at: Scene, token: string): Promise<number> {
  return (await at.ask({ target: '/admin', token })).status
}

describe('an issuer in trouble (CVE-2024-45809)', () => {
  it('from the start: the gateway starts, its tokens are refused within its timeout, and those of others pass', async () => {
    server = await jwksServer()
    for (const [name, answer] of Object.entries(TROUBLES)) server.serve(name, (_, res) => answer(res))
    server.serve('healthy', [good.jwk])
    const uris = Object.keys(TROUBLES).map((name) => issuer(name, server?.uri(name) ?? ''))
    const startedMs = performance.now()
    const at = await open([
      ...uris,
      issuer('down', `http://127.0.0.1:${await freePort()}/x`),
      issuer('healthy', server.uri('healthy')),
    ])
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    for (const name of [...Object.keys(TROUBLES), 'down']) {
      const askedMs = performance.now()
      const answer = await at.ask({ target: '/admin', token: good.token(claims(`https://${name}.test/`)) })
      expectNoPass(answer, at.upstream)
      expect([name, answer.status, answer.json()['error']]).toEqual([name, 401, 'invalid_token'])
      expect(performance.now() - askedMs).toBeLessThan(5_000)
    }
    expect([await statusOf(at, good.token(claims('https://healthy.test/'))), await statusOf(at, at.token())]).toEqual([200, 200])
  })

  it('later on: the keys that are known serve on, and a forged or expired token is still refused (CVE-2024-23324)', async () => {
    server = await jwksServer()
    const names = Object.keys(TROUBLES)
    for (const name of [...names, 'healthy']) server.serve(name, [good.jwk])
    const at = await open([...names, 'healthy'].map((name) => issuer(name, server?.uri(name) ?? '')))
    for (const name of names) expect(await statusOf(at, good.token(claims(`https://${name}.test/`)))).toBe(200)
    for (const [name, answer] of Object.entries(TROUBLES)) server.serve(name, (_, res) => answer(res))
    // Until each has been asked again, and has failed.
    for (const name of names) while (server.fetches(name) < 2) await setTimeout(20)
    await setTimeout(400)
    for (const name of names) {
      const iss = `https://${name}.test/`
      const statuses = [
        await statusOf(at, good.token(claims(iss))),
        await statusOf(at, next.token(claims(iss), { kid: 'good' })),
        await statusOf(at, compact({ alg: 'none', kid: 'good' }, claims(iss))),
        await statusOf(at, good.token(claims(iss, { iat: 1, exp: 2 }))),
      ]
      expect([name, ...statuses]).toEqual([name, 200, 401, 401, 401])
    }
    const metrics = await (await fetch(`${at.gateway.adminUrl}/metrics`)).text()
    expect(metrics).toMatch(/gatehouse_jwks_fetch_total\{issuer="error",result="error"\} [1-9]/)
    expect(metrics).toMatch(/gatehouse_jwks_age_seconds\{issuer="error"\} [1-9.]/)
  })

  it('for longer than staleFor: its tokens are refused, cached ones too', async () => {
    server = await jwksServer()
    server.serve('stale', [good.jwk])
    const at = await open([issuer('stale', server.uri('stale'), ', staleFor: 1s')])
    const token = good.token(claims('https://stale.test/'))
    expect(await statusOf(at, token)).toBe(200)
    server.serve('stale', (_, res) => void res.writeHead(503).end())
    while (server.fetches('stale') < 2) await setTimeout(20)
    await setTimeout(1100)
    expect(await statusOf(at, token)).toBe(401)
    server.serve('stale', [good.jwk])
    let passed = 0
    for (let attempt = 0; attempt < 100 && passed !== 200; attempt += 1) {
      await setTimeout(50)
      passed = await statusOf(at, token)
    }
    expect(passed).toBe(200)
  })

  it('two tokens at once while it fails (CVE-2025-64527): refused, and the gateway lives', async () => {
    server = await jwksServer()
    server.serve('slow', () => undefined)
    const at = await open([issuer('slow', server.uri('slow'))])
    const token = good.token(claims('https://slow.test/'))
    const lines = [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`]
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        at.ask(index % 2 === 0 ? { target: '/admin', lines } : { target: '/admin', token }),
      ),
    )
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([400, 401]))
    expect(await statusOf(at, at.token())).toBe(200)
  })
})

describe('a redirect of the key set', () => {
  it.each([301, 302, 303, 307, 308])('%i is not followed, wherever it leads', async (status) => {
    let connected = 0
    const inside = createServer((socket) => {
      connected += 1
      socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"keys":[]}`)
    })
    await new Promise<void>((resolve) => {
      inside.listen(0, '127.0.0.1', resolve)
    })
    const { port } = inside.address() as AddressInfo
    server = await jwksServer()
    server.serve('moved', (_, res) => void res.writeHead(status, { location: `http://127.0.0.1:${port}/latest/meta-data` }).end())
    const at = await open([issuer('moved', server.uri('moved'))])
    expect(await statusOf(at, good.token(claims('https://moved.test/')))).toBe(401)
    inside.close()
    expect(connected).toBe(0)
  })
})
