import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { fc } from '../../support/properties.ts'
import { Problem } from '../../../src/problem/problem.ts'
import { redact } from '../../../src/telemetry/telemetry.ts'
import { ARRIVED, createWorld } from './world.ts'

const JWT = 'eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJzdWIiOiJjYW5hcnkifQ.CANARY-c2lnbmF0dXJl'
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' })
const JWK = privateKey.export({ format: 'jwk' })

describe('redaction', () => {
  it.each([
    [`token ${JWT} refused`, 'token [jwt] refused'],
    [`x${JWT}`, 'x[jwt]'],
    ['eyJhbGciOiJSUzI1NiIsIm', '[jwt]'],
    ['eyAiYWxnIjogIkhTMjU2IiB9.eyAic3ViIjogMSB9.AAAA', '[jwt]'],
    ['eyJhbGciOiJkaXIi.a.b.c.d!', '[jwt]!'],
    ['refresh gwr_AAECAwQFBgc-_x used twice', 'refresh [refresh token] used twice'],
    ['Authorization: Bearer abc.def', 'Authorization: [masked] [masked]'],
    ['sent bearer   opaque-token, then', 'sent bearer [masked], then'],
    ['Basic dXNlcjpwYXNz', 'Basic [masked]'],
    ['{"email":"a@b.c","password":"correct horse \\"battery\\" staple","n":1}', '{"email":"a@b.c","password":[masked],"n":1}'],
    ['body "{\\"password\\":\\"correct horse\\",\\"n\\":1}"', 'body "{\\"password\\":[masked],\\"n\\":1}"'],
    ["{ password: 'correct horse', n: 1 }", '{ password: [masked], n: 1 }'],
    ['{"password":"cut in the mid', '{"password":[masked]'],
    ['user=a&password=secret1&next=/', 'user=a&password=[masked]&next=/'],
    ['client_secret=abc refresh_token: xyz', 'client_secret=[masked] refresh_token: [masked]'],
    ['Cookie: gh_session=abc; theme=dark\nnext line', 'Cookie: [masked]\nnext line'],
    ['connect redis://default:hunter2@10.0.0.1:6379 failed', 'connect redis://[masked]@10.0.0.1:6379 failed'],
    ['{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"}', '{"kty":"oct","k":[masked]}'],
    ["{ kty: 'RSA', d: 'X4cTteJY_gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH', e: 'AQAB' }", "{ kty: 'RSA', d: [masked], e: 'AQAB' }"],
    [`key ${PEM.trim()} read`, 'key [pem] read'],
    [PEM.slice(0, 300), '[pem]'],
  ])('masks %j', (text, clean) => {
    expect(redact(text)).toBe(clean)
  })

  it.each([
    'the upstream orders closed the connection',
    'ENOENT: no such file or directory, open gateway.yaml',
    '/api/orders/2026-01-31?x',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)',
    'https://login.example.com/jwks.json',
    'key 3 of corporate: RSA keys need 2048 bits',
  ])('leaves %j as it is', (text) => {
    expect(redact(text)).toBe(text)
  })

  it('masks every private member of a key, whichever way it was printed', () => {
    for (const text of [JSON.stringify(JWK), JSON.stringify(JSON.stringify(JWK)), JSON.stringify(JWK, null, 2)]) {
      for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const) expect(redact(text)).not.toContain(JWK[member])
      expect(redact(text)).toContain(JWK.n)
    }
  })

  it('lets no token through, whatever stands around it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), (before, after) => {
        expect(redact(`${before}${JWT}${after}`)).not.toContain('CANARY')
        expect(redact(`${before}gwr_CANARYCANARY ${after}`)).not.toContain('CANARY')
      }),
    )
  })

  it('takes time in proportion to the text, also when it is made to mislead', () => {
    for (const part of ['eyJ', 'ey', 'password', 'secret', '-----BEGIN A', 'bearer ', 'd: "', '://', '\\', 'gwr_', 'cookie']) {
      const started = performance.now()
      redact(part.repeat(Math.ceil(4096 / part.length)))
      expect(performance.now() - started).toBeLessThan(2_000)
    }
  })
})

describe('the canary', () => {
  it('is in no line, wherever it is put', () => {
    const world = createWorld()
    const cause = Object.assign(new Error(`failed with ${JWT}`), { code: `E_${JWT}` })
    cause.stack = `Error: ${JWT}\n    at ${PEM}`
    const texts = [`Bearer ${JWT}`, PEM, JSON.stringify(JWK), '{"password":"CANARY"}', 'gwr_CANARY']
    for (const text of texts) {
      world.telemetry.log.info(text, { text, cause })
      world.telemetry.log.warn('facts', {
        password: 'CANARY',
        client_secret: 'CANARY',
        token: 'CANARY',
        cookie: 'CANARY',
        key: PEM,
      })
      world.telemetry.log.error('an object', { cause: { token: 'CANARY' }, object: { token: 'CANARY' } })
      const record = world.telemetry.open({
        ...ARRIVED,
        target: `/${text}?access_token=CANARY`,
        rawHeaders: ['User-Agent', text, 'Authorization', 'Bearer CANARY', 'Cookie', 'a=CANARY'],
      })
      record.status = 500
      record.problem = new Problem('internal_error', { detail: text, cause: new Error(text, { cause }) })
      world.telemetry.close(record)
    }
    world.telemetry.flush()
    const written = world.writes.join('')
    expect(world.lines()).toHaveLength(20)
    expect(written).not.toContain('CANARY')
    expect(written).not.toContain(JWK.d)
    expect(written).not.toContain(PEM.split('\n')[5])
  })
})
