/**
 * An issuer that is down, slow, lying or flooded hurts its own tokens alone, and those of its keys that are known not at all.
 */
import { setTimeout } from 'node:timers/promises'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { expectNoPass, openScene, type Scene, type SceneOptions } from '../support/attack.ts'
import { claims, closedPort, compact, createSigner, jwksServer, type JwksServer } from '../support/foreign.ts'

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
      issuer('down', `http://127.0.0.1:${await closedPort()}/x`),
      issuer('healthy', server.uri('healthy')),
    ])
    expect(performance.now() - startedMs).toBeLessThan(3000)
    for (const name of [...Object.keys(TROUBLES), 'down']) {
      const askedMs = performance.now()
      const answer = await at.ask({ target: '/admin', token: good.token(claims(`https://${name}.test/`)) })
      expectNoPass(answer, at.upstream)
      expect([name, answer.status, answer.json()['error']]).toEqual([name, 401, 'invalid_token'])
      expect(performance.now() - askedMs).toBeLessThan(1500)
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

describe('unknown kids', () => {
  it('10,000 of them cause at most two fetches, and good tokens suffer nothing', async () => {
    server = await jwksServer()
    server.serve('flooded', [good.jwk])
    const at = await open([issuer('flooded', server.uri('flooded')).replace('refresh: 1s', 'refresh: 10m')])
    const token = good.token(claims('https://flooded.test/'))
    expect(await statusOf(at, token)).toBe(200)
    await setTimeout(1100)
    const fetched = server.fetches('flooded')
    const startedMs = performance.now()
    const flooding = { now: true }
    const flood = Promise.all(Array.from({ length: 10 }, () => flooder(at.port, 1000))).finally(() => {
      flooding.now = false
    })
    const goodOnes: number[] = []
    while (flooding.now) {
      // Fresh ones: nothing of them is cached.
      goodOnes.push(await statusOf(at, good.token(claims('https://flooded.test/'))))
      await setTimeout(5)
    }
    const statuses = (await flood).flat()
    expect(performance.now() - startedMs).toBeLessThan(10_000)
    expect([statuses.length, new Set(statuses)]).toEqual([10_000, new Set(['401'])])
    expect(goodOnes.length).toBeGreaterThan(5)
    expect(new Set(goodOnes)).toEqual(new Set([200]))
    expect(server.fetches('flooded') - fetched).toBeLessThanOrEqual(2)
    // The bucket is empty now: an unknown kid is refused at once, a known one never asks it.
    const askedMs = performance.now()
    expect([await statusOf(at, next.token(claims('https://flooded.test/'))), await statusOf(at, token)]).toEqual([401, 200])
    expect(performance.now() - askedMs).toBeLessThan(250)
  })

  it('a hundred requests with one new kid cause one fetch, and all of them pass', async () => {
    server = await jwksServer()
    server.serve('rotated', [good.jwk])
    const at = await open([issuer('rotated', server.uri('rotated')).replace('refresh: 1s', 'refresh: 10m')])
    await setTimeout(1100)
    server.serve('rotated', [good.jwk, next.jwk])
    const statuses = await Promise.all(
      Array.from({ length: 100 }, () => statusOf(at, next.token(claims('https://rotated.test/')))),
    )
    expect([new Set(statuses), server.fetches('rotated')]).toEqual([new Set([200]), 2])
  })

  it('a new key works within a second of its first sight, also right after a fetch', async () => {
    server = await jwksServer()
    server.serve('rotated', [good.jwk])
    const at = await open([issuer('rotated', server.uri('rotated')).replace('refresh: 1s', 'refresh: 10m')])
    server.serve('rotated', [next.jwk])
    const old = good.token(claims('https://rotated.test/'))
    const token = next.token(claims('https://rotated.test/'))
    const firstMs = performance.now()
    let status = await statusOf(at, token)
    while (status !== 200 && performance.now() - firstMs < 2000) {
      await setTimeout(10)
      status = await statusOf(at, token)
    }
    expect(status).toBe(200)
    expect(performance.now() - firstMs).toBeLessThan(1100)
    // The key that left is refused from here on.
    expect(await statusOf(at, old)).toBe(401)
  })
})

/** Requests with as many random kids, one after the other on one connection; their statuses. */
function flooder(port: number, count: number): Promise<string[]> {
  const payload = claims('https://flooded.test/')
  const statuses: string[] = []
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', ask)
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      const head = received.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? Number.NaN)
      if (head === -1 || received.length < head + 4 + length) return
      statuses.push(received.slice(9, 12))
      received = ''
      if (statuses.length < count) ask()
      else socket.end()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(statuses))

    function ask(): void {
      const token = compact({ alg: 'ES256', kid: crypto.randomUUID() }, payload, () => Buffer.alloc(64, 1))
      socket.write(`GET /admin HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\n\r\n`)
    }
  })
}
