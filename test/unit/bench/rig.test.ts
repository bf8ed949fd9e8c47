import { spawnSync } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { apacheConfig, caddyConfig, gatewayConfig, haproxyConfig, nginxProxyConfig } from '../../../bench/rig/configs.ts'
import { AUDIENCE, createIssuer, ISSUER, SCOPE } from '../../../bench/rig/issuer.ts'
import { parseWrk, WRK_SCRIPT } from '../../../bench/rig/load.ts'
import { REQUEST_NAMES, subjectsOf } from '../../../bench/requests.ts'
import { testConfig } from '../../support/config.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-rig-'))
const place = { port: 1, upstreamPort: 2, folder }
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const issuer = createIssuer(folder)

describe('the issuer', () => {
  it.each(['RS256', 'ES256'] as const)('mints %s tokens that its public key verifies, each of its own', async (algorithm) => {
    const tokens = await issuer.mint(algorithm, 70)
    expect(new Set(tokens).size).toBe(70)
    const key = createPublicKey(readFileSync(issuer.pemFiles[algorithm]))
    for (const token of [tokens[0] ?? '', tokens[69] ?? '']) expect(isSigned(token, key)).toBe(true)
    const claims: unknown = JSON.parse(Buffer.from(tokens[69]?.split('.')[1] ?? '', 'base64url').toString())
    expect(claims).toMatchObject({ iss: ISSUER, aud: AUDIENCE, scope: SCOPE, sub: 'user-69' })
  })

  it.each(['RS256', 'ES256'] as const)('forges %s tokens that it does not verify', (algorithm) => {
    expect(isSigned(issuer.forge(algorithm), createPublicKey(readFileSync(issuer.pemFiles[algorithm])))).toBe(false)
  })
})

describe('the configurations', () => {
  it('are those of one process, which keeps its connections and logs nothing', () => {
    expect(haproxyConfig(place)).toMatch(/nbthread 1\n[^]*http-reuse always/)
    expect(haproxyConfig(place)).not.toContain('log ')
    expect(nginxProxyConfig(place, 'root')).toMatch(/^user root;\nworker_processes 1;[^]*access_log off;[^]*keepalive 128;/)
    expect(nginxProxyConfig(place)).not.toContain('user ')
    expect(caddyConfig(place)).toContain('keepalive_idle_conns_per_host 128')
    expect(apacheConfig(place, '/modules', { kty: 'RSA' })).toMatch(
      /ServerLimit 1\n[^]*OAuth2TokenVerify jwk "\{\\"kty\\":\\"RSA\\"\}"/,
    )
  })

  it('are ones that the gateway takes, in every variant', () => {
    const text = gatewayConfig(
      { ...place, adminPort: 3, jwksFile: issuer.jwksFile },
      {
        sections: 'telemetry: { accessLog: { sample: 0% } }\n',
        upstreams: '  sockets: { targets: [http://127.0.0.1:4] }\n',
        routes: '  - { name: sockets, match: { path: /sockets }, auth: required, websocket: true, upstream: sockets }\n',
        route: ', scopes: ["orders:read"], rateLimit: { requests: 1000000, per: 1s, by: user }',
      },
    )
    expect(testConfig(text).routes.map(({ name }) => name)).toEqual([
      'health',
      'accounts',
      'sessions',
      'echo',
      'public',
      'api',
      'sockets',
    ])
  })

  it('have HAProxy check what the gateway checks', () => {
    const rules = haproxyConfig(place, { algorithm: 'RS256', pem: '/a.pem', level: 'checked' }).split('\n')
    const denials = rules.filter((rule) => rule.includes('deny'))
    for (const part of ['RS256', 'jwt_verify(txn.alg,"/a.pem")', ISSUER, AUDIENCE, 'txn.exp']) {
      expect(denials.some((rule) => rule.includes(part))).toBe(true)
    }
    expect(rules.filter((rule) => rule.includes('set-header')).map((rule) => /set-header (\S+)/.exec(rule)?.[1])).toEqual([
      'x-user-id',
      'x-scopes',
      'x-token-id',
    ])
  })
})

describe('the load', () => {
  it('reads what wrk counted', () => {
    const output = 'Running 4s test\nRESULT {"requests":4000,"micros":2000000,"p50":1500,"p99":20000,"errors":3}\n'
    expect(parseWrk(output)).toEqual({ requests: 4000, perSecond: 2000, p50Ms: 1.5, p99Ms: 20, errors: 3 })
  })

  it('says what wrk said where it did not count', () => {
    expect(() => parseWrk('unable to connect')).toThrow('wrk: unable to connect')
  })

  it('is a script that answers with one line', () => {
    expect(WRK_SCRIPT).toContain('RESULT {')
    expect(WRK_SCRIPT.match(/^function \w+/gm)).toEqual(['function init', 'function request', 'function done'])
  })
})

describe('names', () => {
  it('are given once', () => {
    expect(new Set(REQUEST_NAMES).size).toBe(REQUEST_NAMES.length)
  })

  it('bring along what they are compared with', () => {
    expect(subjectsOf(['jwt-policy', 'jwt-cold']).map(({ name }) => name)).toEqual([
      'jwt-warm',
      'jwt-cold',
      'jwt-policy',
      'haproxy-cold',
    ])
  })
})

describe('the scripts for k6', () => {
  it.each(['sessions', 'protected-route', 'usernames'])('are JavaScript: %s', (name) => {
    const file = join(import.meta.dirname, '..', '..', '..', 'bench', 'k6', `${name}.js`)
    const { status, stderr } = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(readFileSync(file, 'utf8')).toMatch(/export const options = \{[^]*thresholds:[^]*export default function/)
  })
})

function isSigned(token: string, key: ReturnType<typeof createPublicKey>): boolean {
  const [head = '', claims = '', signature = ''] = token.split('.')
  const data = Buffer.from(`${head}.${claims}`)
  return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature, 'base64url'))
}
