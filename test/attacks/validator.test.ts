/** What a service with the library is sent by those who want to be somebody else, and by those between it and its gateway. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createValidator, type Validator } from '../../src/validator/validator.ts'
import { makeKey, passportClaims, signJwt, tokenClaims } from '../support/passports.ts'
import { sendRaw } from '../support/raw.ts'

const key = makeKey()
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function open(origin: string): Validator {
  const gate = createValidator({ origin, service: 'orders' })
  closers.push(() => gate.close())
  return gate
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'accepted',
    (error: unknown) => String((error as { readonly code?: unknown }).code),
  )
}

const jwks = JSON.stringify({ keys: [key.jwk] })

describe('what answers in place of the keys', () => {
  const { privateKey, ...rest } = makeKey()
  const burnt = { ...privateKey.export({ format: 'jwk' }), kid: rest.kid, alg: 'ES256' }
  it.each<[string, (elsewhere: string) => RequestListener]>([
    ['a redirect', (elsewhere) => (_, response) => void response.writeHead(302, { location: elsewhere }).end()],
    ['more than a key set is long', () => (_, response) => void response.end(`${jwks}${' '.repeat(600 * 1024)}`)],
    ['a page in HTML', () => (_, response) => void response.end('<html></html>')],
    ['no keys', () => (_, response) => void response.end('{"keys":[]}')],
    ['a list that is none', () => (_, response) => void response.end('{"keys":{"length":1}}')],
    ['a secret', () => (_, response) => void response.end('{"keys":[{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}]}')],
    ['a private key', () => (_, response) => void response.end(JSON.stringify({ keys: [burnt] }))],
    [
      'two keys of one name',
      () => (_, response) => {
        response.end(JSON.stringify({ keys: [key.jwk, { ...makeKey().jwk, kid: key.kid }] }))
      },
    ],
    [
      'a key for another algorithm',
      () => (_, response) => {
        response.end(JSON.stringify({ keys: [{ ...key.jwk, alg: 'ES384' }] }))
      },
    ],
    [
      'an answer that ends early',
      () => (_, response) => {
        response.writeHead(200, { 'content-length': '9999' })
        response.write(jwks, () => response.destroy())
      },
    ],
  ])('is never trusted: %s', async (_, listener) => {
    const asked: string[] = []
    const elsewhere = await listen((request, response) => {
      asked.push(request.url ?? '')
      response.end(jwks)
    })
    const origin = await listen(listener(elsewhere))
    expect(await codeOf(open(origin).verifyPassport(signJwt(key, passportClaims(origin))))).toBe('keys_unavailable')
    expect(asked).toEqual([])
  })

  it('is waited for no longer than two seconds', async () => {
    const origin = await listen((_, response) => void response.writeHead(200).write('{'))
    const started = performance.now()
    expect(await codeOf(open(origin).verifyPassport(signJwt(key, passportClaims(origin))))).toBe('keys_unavailable')
    expect(performance.now() - started).toBeGreaterThan(1_500)
  })
})

describe('somebody who', () => {
  async function service(): Promise<{ readonly url: string; readonly origin: string }> {
    const origin = await listen((_, response) => void response.end(jwks))
    const guarded = open(origin).protect((_, response, { userId, tenantId }) => response.end(`${tenantId}/${userId}`))
    return { origin, url: await listen((request, response) => void guarded(request, response)) }
  }

  it('writes identity headers himself is nobody', async () => {
    const { url } = await service()
    const headers = { 'x-user-id': 'root', 'x-tenant-id': 'acme', 'x-scopes': 'admin', 'x-gatehouse-user': 'root' }
    const answer = await fetch(url, { headers })
    expect(answer.status).toBe(401)
  })

  it('spells the header in another way sends none', async () => {
    const { url, origin } = await service()
    const passport = signJwt(key, passportClaims(origin))
    for (const name of ['x_gatehouse_identity', 'x.gatehouse.identity', 'x-gatehouse-identity-', 'gatehouse-identity']) {
      expect([name, (await fetch(url, { headers: { [name]: passport } })).status]).toEqual([name, 401])
    }
    expect((await fetch(url, { headers: { 'X-GATEHOUSE-IDENTITY': passport } })).status).toBe(200)
  })

  it('sends his own passport beside that of another is refused, in either order', async () => {
    const { url, origin } = await service()
    const one = signJwt(key, passportClaims(origin))
    const other = signJwt(key, passportClaims(origin, { sub: 'usr_2' }))
    for (const pair of [
      [one, other],
      [other, one],
    ]) {
      const lines = pair.map((passport) => `X-Gatehouse-Identity: ${passport}\r\n`).join('')
      const answer = await sendRaw(Number(new URL(url).port), `GET / HTTP/1.1\r\nHost: x\r\n${lines}Connection: close\r\n\r\n`)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    }
  })

  it('has a passport for another service, another gateway, or an access token, cannot use it here', async () => {
    const { url, origin } = await service()
    const wrong = [
      signJwt(key, passportClaims(origin, { aud: 'billing' })),
      signJwt(key, passportClaims(origin, { aud: ['billing', 'payments'] })),
      signJwt(key, passportClaims('https://elsewhere.example')),
      signJwt(key, passportClaims(`${origin}/`)),
      signJwt(key, tokenClaims(origin), { typ: 'at+jwt' }),
      signJwt(key, tokenClaims(origin, { iss: origin }), { typ: 'at+jwt' }),
    ]
    for (const passport of wrong) {
      expect((await fetch(url, { headers: { 'x-gatehouse-identity': passport } })).status).toBe(401)
    }
  })

  it('names members of every object in his claims is who the gateway says, and no more', async () => {
    const { url, origin } = await service()
    const passport = signJwt(
      key,
      JSON.parse(`${JSON.stringify(passportClaims(origin)).slice(0, -1)},"__proto__":{"tenant_id":"root"}}`),
    )
    const answer = await fetch(url, { headers: { 'x-gatehouse-identity': passport } })
    expect([401, '200 acme/usr_1']).toContain(answer.status === 200 ? `200 ${await answer.text()}` : answer.status)
    expect(({} as Record<string, unknown>)['tenant_id']).toBeUndefined()
  })
})
