/**
 * A certificate of the client as identity: asked for where a route says so, told to the upstream, and never believed from a header.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { X509Certificate } from 'node:crypto'
import { connect } from 'node:tls'
import { valuesOf } from '../support/attack.ts'
import { createAuthority, type Pair } from '../support/authority.ts'
import { openHttp2, openTlsScene, sendTls, type TlsScene } from '../support/http2.ts'

const authority = createAuthority('Clients')
const ROUTES = `
  - { name: machines, match: { path: /machines/* }, auth: public, upstream: recorder, clientCertificate: required }
  - { name: both, match: { path: /both/* }, auth: required, upstream: recorder, clientCertificate: required }
  - { name: maybe, match: { path: /maybe/* }, auth: public, upstream: recorder, clientCertificate: optional }
  - { name: echo, match: { path: /echo/* }, auth: public, service: echo, clientCertificate: required }`

let scene: TlsScene
let billing: Pair
let stranger: Pair

beforeAll(async () => {
  billing = authority.client('/O=Example, Inc./OU=Ops/CN=billing')
  stranger = createAuthority('Strangers').client('/CN=billing')
  scene = await openTlsScene({ tls: 'clientCa: clients.pem', routes: ROUTES, files: { 'clients.pem': authority.certificate } })
})
afterAll(() => scene.close())
beforeEach(() => {
  scene.upstream.seen.length = 0
})

async function ask(path: string, pair?: Pair, headers: Readonly<Record<string, string>> = {}) {
  const client = await openHttp2(scene.port, pair)
  const answer = await client.ask({ path, headers })
  client.close()
  return answer
}

function toldOf(name: string): readonly string[] {
  return valuesOf(scene.upstream.seen[0]?.rawHeaders ?? [], name)
}

describe('a route that requires a certificate', () => {
  it('lets its holder in, and tells the upstream who that is', async () => {
    const answer = await ask('/machines/x', billing)
    expect(answer.status).toBe(200)
    expect(toldOf('x-client-subject')).toEqual(['CN=billing,OU=Ops,O=Example\\, Inc.'])
    const [field = ''] = toldOf('client-cert')
    expect(field).toBe(`:${new X509Certificate(billing.certificate).raw.toString('base64')}:`)
  })

  it.each([
    ['without one', () => undefined],
    ['with one of another authority', () => stranger],
    ['with the certificate of the authority itself that is for servers', () => authority.server(['billing'])],
  ])('refuses a client %s', async (kind, pair) => {
    const answer = await ask('/machines/x', pair())
    // A certificate without a purpose serves any; those of servers say so by their names alone.
    const isTaken = kind.endsWith('servers')
    expect(answer.status).toBe(isTaken ? 200 : 403)
    if (isTaken) return
    expect([answer.json()['error'], answer.json()['title'], scene.upstream.seen]).toEqual([
      'access_denied',
      'Client certificate required',
      [],
    ])
  })

  it('refuses one that has expired', async () => {
    const answer = await ask('/machines/x', authority.client('/CN=late', -1)).catch(() => undefined)
    expect([answer?.status, scene.upstream.seen]).toEqual([403, []])
  })

  it('asks for the token besides, where the route does', async () => {
    const token = `Bearer ${scene.token()}`
    const statuses = [
      (await ask('/both/x')).status,
      (await ask('/both/x', billing)).status,
      (await ask('/both/x', undefined, { authorization: token })).status,
      (await ask('/both/x', billing, { authorization: token })).status,
    ]
    expect([statuses, toldOf('x-user-id'), toldOf('x-client-subject').length]).toEqual([[401, 401, 403, 200], ['alice'], 1])
  })

  it('holds for HTTP/1.1 and for services too', async () => {
    const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n`
    expect(await sendTls(scene.port, request('/machines/x'))).toMatch(/^HTTP\/1\.1 403 /)
    expect(await sendTls(scene.port, request('/machines/x'), billing)).toMatch(/^HTTP\/1\.1 200 /)
    expect((await ask('/echo/x')).status).toBe(403)
    expect((await ask('/echo/x', billing)).body).toContain('CN=billing')
  })
})

describe('a TLS session that is resumed', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('in %s has the certificate that it began with, or none', async (version) => {
    const statuses: string[] = []
    for (const pair of [billing, undefined]) {
      const first = await visit(version, pair)
      const second = await visit(version, undefined, first.session)
      statuses.push(`${first.status} ${second.isReused} ${second.status}`)
    }
    expect(statuses).toEqual(['200 true 200', '403 true 403'])
  })
})

interface Visit {
  readonly status: string
  readonly isReused: boolean
  readonly session: Buffer | undefined
}

function visit(version: 'TLSv1.2' | 'TLSv1.3', pair?: Pair, session?: Buffer): Promise<Visit> {
  return new Promise((resolve, reject) => {
    let received = ''
    let ticket: Buffer | undefined
    let isReused = false
    const socket = connect({
      port: scene.port,
      host: '127.0.0.1',
      servername: 'gateway.test',
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      ...(pair !== undefined && { cert: pair.certificate, key: pair.key }),
      ...(session !== undefined && { session }),
    })
    socket.on('session', (given: Buffer) => {
      ticket = given
    })
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
    socket.on('secureConnect', () => {
      isReused = socket.isSessionReused()
    })
    socket.on('error', reject)
    socket.on('close', () => {
      resolve({ status: received.slice(9, 12), isReused, session: ticket })
    })
    socket.write('GET /machines/x HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n')
  })
}

describe('a route that takes a certificate', () => {
  it('tells of it, and does without', async () => {
    expect([(await ask('/maybe/x')).status, toldOf('x-client-subject')]).toEqual([200, []])
    scene.upstream.seen.length = 0
    expect([(await ask('/maybe/x', billing)).status, toldOf('x-client-subject').length]).toEqual([200, 1])
    scene.upstream.seen.length = 0
    expect([(await ask('/maybe/x', stranger)).status, toldOf('x-client-subject')]).toEqual([200, []])
  })
})

describe('a certificate in a header', () => {
  const FORGED = {
    'x-client-subject': 'CN=admin',
    'client-cert': ':AAAA:',
    'client-cert-chain': ':AAAA:',
    x_client_subject: 'CN=admin',
    client_cert: ':AAAA:',
  }

  it('is removed on every route', async () => {
    for (const path of ['/public/x', '/maybe/x', '/admin/x']) {
      scene.upstream.seen.length = 0
      await ask(path, undefined, { ...FORGED, authorization: `Bearer ${scene.token()}` })
      expect(['x-client-subject', 'client-cert', 'client-cert-chain'].flatMap(toldOf)).toEqual([])
    }
  })

  it('opens no route', async () => {
    expect((await ask('/machines/x', undefined, FORGED)).status).toBe(403)
  })

  it('stands beside no other', async () => {
    await ask('/machines/x', billing, FORGED)
    expect([toldOf('x-client-subject').length, toldOf('client-cert').length, toldOf('client-cert-chain').length]).toEqual([
      1, 1, 0,
    ])
  })

  it('is not told to routes that do not ask', async () => {
    await ask('/public/x', billing)
    expect([toldOf('x-client-subject'), toldOf('client-cert')]).toEqual([[], []])
  })
})
