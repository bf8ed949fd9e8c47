/**
 * Tokens that name unknown keys, by the thousand: the issuer hardly notices, nobody else does, and a new key still works at once.
 */
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { openScene, type Scene } from '../support/attack.ts'
import { claims, createSigner, jwksServer, segment, type JwksServer } from '../support/foreign.ts'

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

async function open(name: string, uri: string): Promise<Scene> {
  scene = await openScene({
    issuers: `  ${name}: { issuer: "https://${name}.test/", tenant: acme, audiences: [api], algorithms: [ES256], jwks: { uri: "${uri}" } }`,
  })
  return scene
}

async function statusOf(at: Scene, token: string): Promise<number> {
  return (await at.ask({ target: '/admin', token })).status
}

describe('unknown kids', () => {
  it('10,000 of them cause at most two fetches, and good tokens suffer nothing', async () => {
    server = await jwksServer()
    server.serve('flooded', [good.jwk])
    const at = await open('flooded', server.uri('flooded'))
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
    expect(performance.now() - startedMs).toBeLessThan(30_000)
    expect([statuses.length, new Set(statuses)]).toEqual([10_000, new Set(['401'])])
    expect(goodOnes.length).toBeGreaterThan(5)
    expect(new Set(goodOnes)).toEqual(new Set([200]))
    expect(server.fetches('flooded') - fetched).toBeLessThanOrEqual(2)
    // The bucket is empty now: an unknown kid is refused at once, a known one never asks it.
    const askedMs = performance.now()
    expect([await statusOf(at, next.token(claims('https://flooded.test/'))), await statusOf(at, token)]).toEqual([401, 200])
    expect(performance.now() - askedMs).toBeLessThan(1_000)
  })

  it('a hundred requests with one new kid cause one fetch, and all of them pass', async () => {
    server = await jwksServer()
    server.serve('rotated', [good.jwk])
    const at = await open('rotated', server.uri('rotated'))
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
    const at = await open('rotated', server.uri('rotated'))
    server.serve('rotated', [next.jwk])
    const old = good.token(claims('https://rotated.test/'))
    const token = next.token(claims('https://rotated.test/'))
    const firstMs = performance.now()
    let status = await statusOf(at, token)
    while (status !== 200 && performance.now() - firstMs < 10_000) {
      await setTimeout(10)
      status = await statusOf(at, token)
    }
    expect(status).toBe(200)
    expect(performance.now() - firstMs).toBeLessThan(3_000)
    // The key that left is refused from here on.
    expect(await statusOf(at, old)).toBe(401)
  })
})

/** How many requests are sent before the answers to them are awaited. */
const BATCH = 20

/** Requests with as many random kids, batch after batch on one connection; their statuses. */
function flooder(port: number, count: number): Promise<string[]> {
  const payload = segment(claims('https://flooded.test/'))
  const signature = Buffer.alloc(64, 1).toString('base64url')
  const statuses: string[] = []
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', ask)
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      // An answer ends with its body, which is an object in JSON.
      if (received.split('"}').length - 1 < BATCH) return
      for (const match of received.matchAll(/HTTP\/1\.1 (\d{3})/g)) statuses.push(match[1] ?? '')
      received = ''
      if (statuses.length < count) ask()
      else socket.end()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(statuses))

    function ask(): void {
      let requests = ''
      for (let index = 0; index < BATCH; index += 1) {
        const token = `${segment({ alg: 'ES256', kid: crypto.randomUUID() })}.${payload}.${signature}`
        requests += `GET /admin HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer ${token}\r\n\r\n`
      }
      socket.write(requests)
    }
  })
}
