/** Passports as a service behind the gateway verifies them, with keys that are fetched from a real server. */
import { createHmac } from 'node:crypto'
import { afterEach, beforeAll, afterAll, describe, expect, it } from 'vitest'
import {
  createValidator,
  GatehouseError,
  type Validator,
  type ValidatorEvent,
  type ValidatorOptions,
} from '../../../src/validator/validator.ts'
import { encode, makeKey, passportClaims, signJwt, startKeyServer, tokenClaims, type KeyServer } from '../../support/passports.ts'
import { until } from '../../support/until.ts'

const key = makeKey()
const other = makeKey()
let keys: KeyServer
let gate: Validator | undefined

beforeAll(async () => {
  keys = await startKeyServer([key])
})
afterAll(async () => keys.close())
afterEach(async () => {
  await gate?.close()
  gate = undefined
  keys.publish([key])
})

function open(options: Partial<ValidatorOptions> = {}): Validator {
  gate = createValidator({ origin: keys.origin, service: 'orders', ...options })
  return gate
}

function withHeaders(...rawHeaders: string[]) {
  return { rawHeaders }
}

async function refused(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return error instanceof GatehouseError ? `${error.name} ${error.status} ${error.code} ${error.reason ?? '-'}` : String(error)
}

describe('a passport', () => {
  it('says who sends the request, and comes from the header that the gateway sets', async () => {
    const claims = passportClaims(keys.origin)
    const identity = await open().authenticate(withHeaders('Host', 'x', 'X-Gatehouse-Identity', signJwt(key, claims)))
    expect(identity).toEqual({
      proof: 'passport',
      userId: 'usr_1',
      tenantId: 'acme',
      scopes: ['orders:read', 'orders:write'],
      sessionId: 'a'.repeat(32),
      tokenId: 'p1',
      issuedAt: claims['iat'],
      expiresAt: claims['exp'],
      claims,
    })
    expect(Object.isFrozen(identity)).toBe(true)
  })

  it('is taken from the Fetch API too, and from a header of another name', async () => {
    const headers = new Headers({ 'x-badge': signJwt(key, passportClaims(keys.origin)) })
    expect(await open({ header: 'X-Badge' }).authenticate({ headers })).toMatchObject({ userId: 'usr_1' })
  })

  it.each([
    ['over', { exp: 1_000_000 }, 'TokenExpiredError 401 token_expired expired'],
    ['for another service', { aud: 'billing' }, 'InvalidTokenError 401 invalid_token audience'],
    ['of another gateway', { iss: 'https://elsewhere.example' }, 'InvalidTokenError 401 invalid_token issuer'],
    ['of no tenant', { tenant_id: undefined }, 'InvalidTokenError 401 invalid_token tenant'],
    ['of a tenant that is no text', { tenant_id: ['acme'] }, 'InvalidTokenError 401 invalid_token tenant'],
    ['made in an hour', { iat: Math.floor(Date.now() / 1000) + 3600 }, 'InvalidTokenError 401 invalid_token issued_at'],
    ['good for a day', { exp: Math.floor(Date.now() / 1000) + 86_400 }, 'InvalidTokenError 401 invalid_token lifetime'],
    ['without an end', { exp: undefined }, 'InvalidTokenError 401 invalid_token expiry_missing'],
    ['of nobody', { sub: undefined }, 'InvalidTokenError 401 invalid_token user'],
  ])('that is %s is refused', async (_, more, expected) => {
    const passport = signJwt(key, passportClaims(keys.origin, more))
    expect(await refused(open().verifyPassport(passport))).toBe(expected)
  })

  it('of a tenant that has no business here is refused', async () => {
    const passport = signJwt(key, passportClaims(keys.origin))
    expect(await open({ tenants: ['acme'] }).verifyPassport(passport)).toMatchObject({ tenantId: 'acme' })
    await gate?.close()
    expect(await refused(open({ tenants: ['globex'] }).verifyPassport(passport))).toBe(
      'TenantMismatchError 403 tenant_mismatch -',
    )
  })

  it('that nobody signed, or somebody else, is refused', async () => {
    const claims = passportClaims(keys.origin)
    const good = signJwt(key, claims)
    const [head = '', body = '', signature = ''] = good.split('.')
    const bare = `${encode({ alg: 'none', typ: 'JWT' })}.${body}.`
    const asSecret = `${encode({ alg: 'HS256', typ: 'JWT', kid: key.kid })}.${body}`
    const mac = createHmac('sha256', JSON.stringify(key.jwk)).update(asSecret).digest('base64url')
    const forged: [string, string][] = [
      [signJwt(other, claims, { kid: key.kid }), 'InvalidSignatureError 401 invalid_signature signature'],
      [signJwt(other, claims), 'InvalidTokenError 401 invalid_token unknown_key'],
      [signJwt(other, claims, { jwk: other.jwk }), 'InvalidTokenError 401 invalid_token embedded_key'],
      [`${head}.${encode({ ...claims, sub: 'usr_2' })}.${signature}`, 'InvalidSignatureError 401 invalid_signature signature'],
      [bare, 'InvalidTokenError 401 invalid_token malformed'],
      [`${asSecret}.${mac}`, 'InvalidTokenError 401 invalid_token algorithm'],
      [`${good} `, 'InvalidTokenError 401 invalid_token malformed'],
      ['', 'InvalidTokenError 401 invalid_token malformed'],
      ['x'.repeat(9000), 'InvalidTokenError 401 invalid_token too_large'],
    ]
    const validator = open()
    for (const [passport, expected] of forged) expect(await refused(validator.verifyPassport(passport))).toBe(expected)
  })

  it('that stands there twice, or joined, is refused', async () => {
    const good = signJwt(key, passportClaims(keys.origin))
    const twice = withHeaders('x-gatehouse-identity', good, 'X-Gatehouse-Identity', good)
    expect(await refused(open().authenticate(twice))).toBe('InvalidRequestError 400 invalid_request repeated_passport')
    const joined = new Headers([
      ['x-gatehouse-identity', good],
      ['x-gatehouse-identity', good],
    ])
    expect(await refused(open().authenticate({ headers: joined }))).toBe('InvalidTokenError 401 invalid_token malformed')
  })

  it('is not replaced by unsigned headers, by a bearer token or by an access token of the gateway', async () => {
    const validator = open()
    const unsigned = withHeaders('x-user-id', 'usr_1', 'x-tenant-id', 'acme')
    expect(await refused(validator.authenticate(unsigned))).toBe('UnauthorizedError 401 unauthorized -')
    const bearer = withHeaders('authorization', `Bearer ${signJwt(key, passportClaims(keys.origin))}`)
    expect(await refused(validator.authenticate(bearer))).toBe('UnauthorizedError 401 unauthorized -')
    const access = signJwt(key, tokenClaims(keys.origin), { typ: 'at+jwt' })
    expect(await refused(validator.verifyPassport(access))).toBe('TenantNotFoundError 401 tenant_not_found issuer')
    expect(await refused(validator.verifyToken(access))).toBe('InvalidTokenError 401 invalid_token tokens_not_taken')
  })

  it('that is bad is refused where authentication is optional; without one the request is anonymous', async () => {
    const validator = open()
    expect(await validator.authenticate(withHeaders(), { auth: 'optional' })).toBeUndefined()
    const bad = withHeaders('x-gatehouse-identity', signJwt(other, passportClaims(keys.origin), { kid: key.kid }))
    const error = await refused(validator.authenticate(bad, { auth: 'optional' }))
    expect(error).toBe('InvalidSignatureError 401 invalid_signature signature')
  })

  it('gives access where it has every scope that is asked for', async () => {
    const request = withHeaders('x-gatehouse-identity', signJwt(key, passportClaims(keys.origin)))
    const validator = open()
    expect(await validator.authenticate(request, { scopes: ['orders:read', 'orders:write'] })).toMatchObject({ userId: 'usr_1' })
    const error = await validator.authenticate(request, { scopes: ['orders:read', 'orders:delete'] }).catch((e: unknown) => e)
    expect(error).toMatchObject({ name: 'InsufficientScopeError', status: 403, scope: 'orders:read orders:delete' })
  })
})

describe('the keys', () => {
  it('are fetched once for all who wait, and not again for tokens of known keys', async () => {
    const before = keys.asked.length
    const validator = open()
    const passport = signJwt(key, passportClaims(keys.origin))
    await Promise.all(Array.from({ length: 20 }, () => validator.verifyPassport(passport)))
    expect(keys.asked.slice(before)).toEqual(['/.well-known/gatehouse/jwks.json'])
  })

  it('that were never there refuse with 503, and come when the gateway does', async () => {
    keys.publish(undefined)
    const events: ValidatorEvent[] = []
    const validator = open({ onEvent: (event) => void events.push(event) })
    const passport = signJwt(key, passportClaims(keys.origin))
    await expect(validator.ready(100)).rejects.toMatchObject({ code: 'keys_unavailable', status: 503 })
    expect(await refused(validator.verifyPassport(passport))).toBe('KeysUnavailableError 503 keys_unavailable unknown_key')
    expect(validator.state()).toEqual({ keyAgeSeconds: { passports: Number.POSITIVE_INFINITY } })
    keys.publish([key])
    await validator.ready(15_000)
    expect(await validator.verifyPassport(passport)).toMatchObject({ userId: 'usr_1' })
    expect(events.map((event) => (event.kind === 'keys' ? event.state : event.kind))).toEqual(['down', 'refused', 'up'])
  })

  it('that are new are fetched when a passport names them', async () => {
    const validator = open()
    await validator.ready()
    keys.publish([key, other])
    const passport = signJwt(other, passportClaims(keys.origin))
    // A set that was fetched within half a second is not fetched again.
    await until(async () => (await refused(validator.verifyPassport(passport))) === 'undefined')
    expect(await validator.verifyPassport(passport)).toMatchObject({ userId: 'usr_1' })
  })

  it('are fetched where the gateway is reached from here', async () => {
    const validator = open({ origin: 'https://api.example.com', reachAt: keys.origin })
    const passport = signJwt(key, passportClaims('https://api.example.com'))
    expect(await validator.verifyPassport(passport)).toMatchObject({ userId: 'usr_1' })
  })

  it('cost no end of fetches, however many unknown ones are named', async () => {
    const validator = open()
    await validator.ready()
    const before = keys.asked.length
    await new Promise((resolve) => setTimeout(resolve, 600))
    for (let round = 0; round < 30; round += 1) {
      const error = await refused(validator.verifyPassport(signJwt(makeKey(), passportClaims(keys.origin))))
      expect(error).toBe('InvalidTokenError 401 invalid_token unknown_key')
    }
    expect(keys.asked.length - before).toBeLessThanOrEqual(2)
  })
})

describe('the options', () => {
  it.each<[string, unknown]>([
    ['origin must be an origin, such as https://api.example.com', { origin: 'api.example.com', service: 'orders' }],
    ['origin must be an origin, such as https://api.example.com', { origin: 'https://api.example.com/v1', service: 'orders' }],
    [
      'reachAt must be an origin, such as https://api.example.com',
      { origin: 'https://a.example', reachAt: 'ftp://b', service: 'x' },
    ],
    ['origin must be https, or allowInsecure be true', { origin: 'http://api.example.com', service: 'orders' }],
    [
      'reachAt must be https, or allowInsecure be true',
      { origin: 'https://a.example', reachAt: 'http://10.0.0.1', service: 'x' },
    ],
    ['service or tokens must say what is taken', { origin: 'https://a.example' }],
    ['service must be the name of an upstream', { origin: 'https://a.example', service: '' }],
    ['tenants must name one at least, or be absent', { origin: 'https://a.example', service: 'x', tenants: [] }],
    ['clockSkewSeconds must be from 0 to 300', { origin: 'https://a.example', service: 'x', clockSkewSeconds: 3600 }],
    ['cacheEntries must be a whole number from 1', { origin: 'https://a.example', service: 'x', cacheEntries: 0 }],
    [
      "tokens.revocations must be { feed }, { redis }, { introspection } or 'unchecked'",
      { origin: 'https://a.example', tokens: {} },
    ],
    [
      'tokens.revocations.feed must name one client at least',
      { origin: 'https://a.example', tokens: { revocations: { feed: [] } } },
    ],
    [
      'tokens.revocations.feed needs clientId and clientSecret',
      { origin: 'https://a.example', tokens: { revocations: { feed: { clientId: 'a', clientSecret: '' } } } },
    ],
    [
      'tokens.revocations.feed.path must begin with /',
      { origin: 'https://a.example', tokens: { revocations: { feed: { clientId: 'a', clientSecret: 'b', path: 'x' } } } },
    ],
    [
      'tokens.revocations.redis must be redis:// or rediss://',
      { origin: 'https://a.example', tokens: { revocations: { redis: 'http://secret@x' } } },
    ],
  ])('that are wrong are refused: %s', (fault, options) => {
    expect(() => createValidator(options as ValidatorOptions)).toThrow(new TypeError(`gatehouse/validator: ${fault}`))
  })
})
