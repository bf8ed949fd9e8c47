/** What is refused or removed over HTTP/1.1 is refused or removed over a WebSocket handshake and over HTTP/2 too. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { valuesOf } from '../support/attack.ts'
import { openHttp2, openTlsScene, sendTls, type Http2Client, type TlsScene } from '../support/http2.ts'
import { statusOf } from '../support/raw.ts'
import { NO_PASS, SPELLINGS_SCENE } from '../support/path-spellings.ts'
import { HANDSHAKE } from '../support/websocket.ts'

const WAYS = ['HTTP/1.1', 'upgrade', 'HTTP/2'] as const
type Way = (typeof WAYS)[number]

let scene: TlsScene
let client: Http2Client

beforeAll(async () => {
  scene = await openTlsScene({
    ...SPELLINGS_SCENE,
    routes: `${SPELLINGS_SCENE.routes}
  - { name: sockets, match: { path: /sockets/* }, auth: required, upstream: recorder, websocket: true }
  - { name: maybe, match: { path: /maybe/* }, auth: optional, upstream: recorder, websocket: true }`,
  })
  client = await openHttp2(scene.port)
})
afterAll(async () => {
  client.close()
  await scene.close()
})
beforeEach(() => {
  scene.upstream.seen.length = 0
})

async function statusBy(way: Way, path: string, fields: readonly (readonly [string, string])[], token?: string): Promise<number> {
  const all = token === undefined ? fields : [...fields, ['authorization', `Bearer ${token}`] as const]
  if (way === 'HTTP/2') {
    const headers = Object.fromEntries(all.map(([name, value]) => [name.toLowerCase(), value]))
    return (await client.ask({ path, headers })).status
  }
  const lines = [`GET ${path} HTTP/1.1`, 'Host: gateway.test', ...all.map(([name, value]) => `${name}: ${value}`)]
  return statusOf(
    await sendTls(scene.port, `${[...lines, ...(way === 'upgrade' ? HANDSHAKE : ['Connection: close'])].join('\r\n')}\r\n\r\n`),
  )
}

function told(names: readonly string[]): readonly (readonly string[])[] {
  const { rawHeaders = [] } = scene.upstream.seen[0] ?? {}
  return names.map((name) => valuesOf(rawHeaders, name))
}

/** Of the default configuration, the certificate's included. */
const IDENTITY = [
  'x-user-id',
  'x-tenant-id',
  'x-scopes',
  'x-session-id',
  'x-token-id',
  'x-client-subject',
  'x-gatehouse-identity',
  'client-cert',
  'client-cert-chain',
]
const SPELLINGS: readonly ((name: string) => string)[] = [
  (name) => name,
  (name) => name.toUpperCase(),
  (name) => name.replaceAll('-', '_'),
  (name) => name.replaceAll('-', '.'),
]

describe.each(WAYS)('over %s', (way) => {
  it.each(['/public/x', '/maybe/x'])('CVE-2026-44087: by default nobody has an identity for saying so, on %s', async (path) => {
    for (const spell of SPELLINGS) {
      scene.upstream.seen.length = 0
      // A WebSocket is refused by this upstream: what counts is what it was told.
      await statusBy(
        way,
        path,
        IDENTITY.map((name) => [spell(name), 'forged'] as const),
      )
      expect([scene.upstream.seen.length, told(IDENTITY)]).toEqual([1, IDENTITY.map(() => [])])
    }
  })

  it.each(['/sockets/x', '/maybe/x'])('CVE-2026-44087: by default whoever has one keeps it, on %s', async (path) => {
    for (const spell of SPELLINGS) {
      scene.upstream.seen.length = 0
      const forged = IDENTITY.map((name) => [spell(name), 'forged'] as const)
      await statusBy(way, path, forged, scene.token({ jti: 'token-1' }))
      const passport = [expect.stringMatching(/^eyJ/)]
      expect(told(IDENTITY)).toEqual([['alice'], ['acme'], ['read'], [], ['token-1'], [], passport, [], []])
    }
  })

  it.each(['http', 'https', 'ws', 'HTTP, https', ''])(
    'GHSA-vhr5-ggp3-qq85, CVE-2026-33495: X-Forwarded-Proto: %s neither opens a route nor reaches the upstream',
    async (proto) => {
      const fields = ['X-Forwarded-Proto', 'X_Forwarded_Proto', 'X-Forwarded-Scheme', 'X-Forwarded-Ssl'].map(
        (name) => [name, proto] as const,
      )
      const statuses: number[] = []
      for (const path of ['/admin', '/admin/x', '/sockets/x']) statuses.push(await statusBy(way, path, fields))
      expect([statuses, scene.upstream.seen]).toEqual([[401, 401, 401], []])
      await statusBy(way, '/public/x', fields)
      expect(told(['x-forwarded-proto', 'x-forwarded-scheme', 'x-forwarded-ssl'])).toEqual([['https'], [], []])
    },
  )

  it.each([
    ['CVE-2026-40575, CVE-2026-76835', 'X-Forwarded-Uri', '/public'],
    ['CVE-2026-40575', 'X-Original-Url', '/public'],
    ['CVE-2026-40575', 'X-Rewrite-Url', '/public'],
    ['CVE-2026-40575', 'X-Forwarded-Path', '/public'],
    ['CVE-2023-27487, CVE-2024-45806', 'X-Envoy-Original-Path', '/public'],
    ['CVE-2023-27487, CVE-2024-45806', 'X-Envoy-Internal', 'true'],
    ['CVE-2023-30845', 'X-Http-Method-Override', 'OPTIONS'],
    ['CVE-2026-34457', 'User-Agent', 'GoogleHC/1.0'],
    ['CVE-2026-34457', 'User-Agent', 'kube-probe/1.30'],
    ['CVE-2022-24112', 'X-Real-Ip', '127.0.0.1'],
  ])('%s: %s: %s opens nothing', async (_, name, value) => {
    const statuses: number[] = []
    for (const path of ['/admin', '/sockets/x']) statuses.push(await statusBy(way, path, [[name, value]]))
    expect([statuses, scene.upstream.seen]).toEqual([[401, 401], []])
  })
})

describe('a WebSocket handshake', () => {
  it.each(NO_PASS)('%s: to %s does not pass', async (_, target, [status]) => {
    expect([await statusBy('upgrade', target, []), scene.upstream.seen]).toEqual([status, []])
  })
})
