/** What a validator sees of a gateway: its keys, at the two places where they are published, and JWTs that they sign. */
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TestKey {
  readonly jwk: Record<string, unknown>
  readonly kid: string
  readonly privateKey: KeyObject
}

export interface KeyServer {
  readonly origin: string
  /** Paths of the requests so far. */
  readonly asked: string[]
  /** What is published from now on; undefined: 503. */
  publish(keys: readonly TestKey[] | undefined): void
  close(): Promise<void>
}

export function makeKey(): TestKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' })
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
  return { jwk: { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' }, kid, privateKey }
}

/** A compact JWS by ES256, whatever its header says. */
export function signJwt(key: TestKey, claims: object, header: object = {}): string {
  const head = encode({ alg: 'ES256', typ: 'JWT', kid: key.kid, ...header })
  const data = `${head}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(data), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${data}.${signature.toString('base64url')}`
}

export function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Claims of a passport for `orders`, good for a minute. */
export function passportClaims(origin: string, more: object = {}): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: origin,
    aud: 'orders',
    sub: 'usr_1',
    tenant_id: 'acme',
    scope: 'orders:read orders:write',
    sid: 'a'.repeat(32),
    iat: now,
    exp: now + 60,
    jti: 'p1',
    ...more,
  }
}

/** Claims of an access token of the tenant `default`, as a gateway makes them. */
export function tokenClaims(origin: string, more: object = {}): Record<string, unknown> {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: `${origin}/t/default`,
    aud: 'api',
    sub: 'usr_1',
    tenant_id: 'default',
    scope: 'orders:read',
    sid: 'b'.repeat(32),
    iat: now,
    nbf: now,
    exp: now + 900,
    jti: 't1',
    client_id: 'gatehouse',
    token_type: 'access',
    uv: 0,
    ...more,
  }
}

export async function startKeyServer(first: readonly TestKey[] | undefined): Promise<KeyServer> {
  let keys = first
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(keys === undefined ? 503 : 200, { 'content-type': 'application/jwk-set+json' })
    response.end(keys && JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    asked,
    publish(next) {
      keys = next
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
