import { beforeAll, describe, expect, it } from 'vitest'
import type { Auth } from '../../../src/exchange/exchange.ts'
import { createKey, createWorld, exchange, ownClaims, outcome, sign } from './world.ts'
import type { World } from './world.ts'

const key = createKey('k-1')
let world: World
let token: string

beforeAll(async () => {
  world = createWorld({ issuers: [] })
  world.ownKeys.set('acme', [key.jwk])
  await world.authenticator.start()
  token = await sign(key, ownClaims())
})

const ask = (rawHeaders: readonly string[], auth: Auth = 'required') =>
  outcome(() => world.authenticator.authenticate(exchange(rawHeaders, auth)))

describe('the token of a request', () => {
  it('is not looked at on a public route', async () => {
    expect(await ask(['Authorization', 'Bearer garbage'], 'public')).toBe('anonymous')
    expect(await ask(['Authorization', 'a', 'authorization', 'b'], 'public')).toBe('anonymous')
    expect(world.events.decided.at(-1)).toEqual([undefined, 'anonymous', 'public'])
  })

  it('is asked for on a required route and may be absent on an optional one', async () => {
    expect(await ask([])).toBe('unauthorized: no_token')
    expect(await ask([], 'optional')).toBe('anonymous')
  })

  it('is verified wherever it is sent, and a bad one is refused even where it is optional', async () => {
    expect(await ask(['Authorization', `Bearer ${token}`], 'optional')).toBe('ok u-1')
    expect(await ask(['Authorization', 'Bearer garbage'], 'optional')).toBe('invalid_token: malformed')
    expect(await ask(['Authorization', 'Bearer'], 'optional')).toBe('invalid_token: malformed')
    expect(await ask(['Authorization', 'Bearer '], 'optional')).toBe('invalid_token: malformed')
  })

  it.each(['authorization', 'AUTHORIZATION', 'AuThOrIzAtIoN'])('is read from the header spelt %s', async (name) => {
    expect(await ask(['accept', '*/*', name, `Bearer ${token}`])).toBe('ok u-1')
  })

  it.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('is known by the scheme spelt %s', async (scheme) => {
    expect(await ask(['authorization', `${scheme}   ${token}  `])).toBe('ok u-1')
  })

  it('is refused when there are two headers, the same or not', async () => {
    const refusal = 'repeated_authorization: repeated_authorization'
    expect(await ask(['authorization', `Bearer ${token}`, 'Authorization', `Bearer ${token}`])).toBe(refusal)
    expect(await ask(['authorization', '', 'AUTHORIZATION', `Bearer ${token}`], 'optional')).toBe(refusal)
  })

  it.each([['Basic dTpw'], ['Digest x'], ['BearerX abc'], ['Bear abc'], ['']])('is not there in %j', async (value) => {
    expect(await ask(['authorization', value])).toBe('unauthorized: no_token')
    expect(await ask(['authorization', value], 'optional')).toBe('anonymous')
  })

  it.each([
    ['two tokens', () => `Bearer ${token} ${token}`],
    ['a list', () => `Bearer ${token}, Bearer ${token}`],
    ['a list without a scheme', () => `Bearer ${token},${token}`],
    ['a tab', () => `Bearer\t${token}`],
    ['quotes', () => `Bearer "${token}"`],
    ['an equals sign', () => `Bearer=${token}`],
    ['padding', () => `Bearer ${token}=`],
    ['a fourth segment', () => `Bearer ${token}.${'a'.repeat(4)}`],
    ['five segments', () => `Bearer ${token}.aaaa.aaaa`],
    ['an empty signature', () => `Bearer ${token.slice(0, token.lastIndexOf('.') + 1)}`],
    ['two segments', () => `Bearer ${token.slice(0, token.lastIndexOf('.'))}`],
    ['a leading dot', () => `Bearer .${token}`],
    ['a character beyond ASCII', () => `Bearer ${token}é`],
  ])('is malformed with %s', async (_, value) => {
    expect(await ask(['authorization', value()])).toBe('invalid_token: malformed')
  })

  it('is at most 8 KiB long', async () => {
    expect(await ask(['authorization', `Bearer ${'a'.repeat(8193)}`])).toBe('invalid_token: too_large')
    expect(await ask(['authorization', `Bearer ${'a'.repeat(8192)}`])).toBe('invalid_token: malformed')
  })

  it('is never taken from the query, another cookie or a look-alike header', async () => {
    const others = ['cookie', `access_token=${token}`, 'x-authorization', `Bearer ${token}`, 'authorizatio_', `Bearer ${token}`]
    expect(await ask(others)).toBe('unauthorized: no_token')
  })
})
