import { beforeAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { describeConfig } from '../../../src/config/config.ts'
import { createAuthority, type Pair } from '../../support/authority.ts'
import { faultsOf, marked, needsOf } from './faults-of.ts'

let pair: Pair
let other: Pair
let files: Record<string, string>

beforeAll(() => {
  const authority = createAuthority()
  pair = authority.server(['gateway.test', '*.many.test'])
  other = authority.server(['other.test'])
  files = {
    '/etc/gatehouse/cert.pem': pair.certificate,
    '/etc/gatehouse/key.pem': pair.key,
    '/etc/gatehouse/other.pem': other.certificate,
    '/etc/gatehouse/other-key.pem': other.key,
    '/etc/gatehouse/ca.pem': authority.certificate,
    '/etc/gatehouse/text.txt': 'no PEM',
    '/etc/gatehouse/broken.pem': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    '/etc/gatehouse/broken-key.pem': '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
  }
})

const TLS = 'tls: { certificate: cert.pem, key: key.pem }'

function listener(yaml: string) {
  return parseConfig(`listeners: { public: { ${yaml} } }`, '/etc/gatehouse/gateway.yaml', needsOf({}, files)).listeners.public
}

describe('tls', () => {
  it('has its certificate, its defaults and an origin that fits', () => {
    const { tls, hsts, origin, redirect, proxyProtocol } = listener(`address: 0.0.0.0:8443, ${TLS}`)
    expect({ tls, hsts, origin, redirect, proxyProtocol }).toEqual({
      tls: {
        certificates: [
          {
            certificateFile: '/etc/gatehouse/cert.pem',
            keyFile: '/etc/gatehouse/key.pem',
            certificate: pair.certificate,
            key: pair.key,
          },
        ],
        minVersion: 'TLSv1.2',
        http2: true,
        reloadMs: 10_000,
      },
      hsts: 'max-age=31536000',
      origin: 'https://localhost:8443',
      redirect: undefined,
      proxyProtocol: false,
    })
  })

  it('takes several certificates, the one that stands alone first', () => {
    const { tls } = listener(
      'tls: { certificates: [{ certificate: other.pem, key: other-key.pem, hosts: [A.test, "*.b.test"] }], certificate: cert.pem, key: key.pem, minVersion: TLSv1.3, http2: false, clientCa: ca.pem }',
    )
    expect(tls?.certificates.map(({ certificateFile, hosts }) => [certificateFile, hosts])).toEqual([
      ['/etc/gatehouse/cert.pem', undefined],
      ['/etc/gatehouse/other.pem', ['a.test', '*.b.test']],
    ])
    expect([tls?.minVersion, tls?.http2, tls?.clientCa?.file]).toEqual(['TLSv1.3', false, '/etc/gatehouse/ca.pem'])
  })

  it('shows no key to operators', () => {
    const config = parseConfig(`listeners: { public: { ${TLS} } }`, '/etc/gatehouse/gateway.yaml', needsOf({}, files))
    const shown = JSON.stringify(describeConfig(config))
    expect(shown).not.toContain('PRIVATE KEY')
    expect(shown).toContain('"key":"[redacted]"')
  })

  it.each([
    ['tls: §{}', 'listeners.public.tls: needs a certificate: write { certificate: cert.pem, key: key.pem }'],
    ['tls: §{ certificate: cert.pem }', 'listeners.public.tls.key: is required: write the path of a PEM file'],
    ['tls: §{ key: key.pem }', 'listeners.public.tls.certificate: is required: write the path of a PEM file'],
    [
      'tls: { certificates: [§{ certificate: cert.pem }] }',
      'listeners.public.tls.certificates.0.key: is required: write the path of a PEM file',
    ],
    [
      'tls: { certificate: §nowhere.pem, key: key.pem }',
      'listeners.public.tls.certificate: the file cannot be read: no such file',
    ],
    ['tls: { certificate: §text.txt, key: key.pem }', 'listeners.public.tls.certificate: is not a PEM file'],
    ['tls: { certificate: §broken.pem, key: key.pem }', 'listeners.public.tls.certificate: is not a certificate'],
    ['tls: { certificate: cert.pem, key: §broken-key.pem }', 'listeners.public.tls.key: is not a key without a password'],
    ['tls: { certificate: cert.pem, key: §other-key.pem }', 'listeners.public.tls.key: is not the key of the certificate'],
    [
      'tls: { certificate: cert.pem, key: key.pem, hosts: §[] }',
      'listeners.public.tls.hosts: must not be empty: remove it for the names in the certificate',
    ],
    [
      'tls: { certificate: cert.pem, key: key.pem, hosts: [§a/b] }',
      'listeners.public.tls.hosts.0: must be a host name: remove the path',
    ],
    [
      'tls: { certificate: cert.pem, key: key.pem, minVersion: §TLSv1.1 }',
      'listeners.public.tls.minVersion: must be TLSv1.2 or TLSv1.3',
    ],
    ['tls: { certificate: cert.pem, key: key.pem, http2: §maybe }', 'listeners.public.tls.http2: must be true or false'],
    ['tls: { certificate: cert.pem, key: key.pem, reload: §10ms }', 'listeners.public.tls.reload: must be between 100ms and 1h'],
    ['tls: { certificate: cert.pem, key: key.pem, clientCa: §text.txt }', 'listeners.public.tls.clientCa: is not a PEM file'],
    [`${TLS}, origin: §"http://a.test"`, 'listeners.public.origin: must be https, since tls is written'],
    ['§redirect: 0.0.0.0:80', 'listeners.public.redirect: has no effect without tls: remove it, or write tls'],
    ['§hsts: off', 'listeners.public.hsts: has no effect without tls: remove it, or write tls'],
    [
      `${TLS}, address: "0.0.0.0:443", redirect: §"0.0.0.0:443"`,
      'listeners.public.redirect: is the port of address: choose another',
    ],
    [`${TLS}, hsts: §on`, 'listeners.public.hsts: must be off, or a mapping such as { maxAge: 365d }'],
    [
      `${TLS}, hsts: { maxAge: §forever }`,
      'listeners.public.hsts.maxAge: must be a duration: write a number and s, m, h or d, such as 15m',
    ],
    [
      'proxyProtocol: §true',
      'listeners.public.proxyProtocol: needs trustedProxies: name the networks of the proxies that send the header',
    ],
    ['limits: { streams: §0 }', 'listeners.public.limits.streams: must be a whole number from 1 to 10000'],
  ])('%s is a fault', (text, message) => {
    const { yaml, faults } = marked(`listeners: { public: { ${text} } }`, [message])
    const found = faultsOf(yaml, needsOf({}, files))
    // A key that is absent is told of where its mapping stands.
    expect(found.map((fault) => fault.replace(/^\d+:\d+ /, ''))).toEqual(faults.map((fault) => fault.replace(/^\d+:\d+ /, '')))
    if (!message.includes('is required') && !text.startsWith('§')) expect(found).toEqual(faults)
  })
})

describe('hsts', () => {
  it.each([
    ['hsts: off', undefined],
    ['hsts: {}', 'max-age=31536000'],
    ['hsts: { maxAge: 0s }', 'max-age=0'],
    ['hsts: { maxAge: 1d, includeSubDomains: true, preload: true }', 'max-age=86400; includeSubDomains; preload'],
  ])('%s says %s', (text, value) => {
    expect(listener(`${TLS}, ${text}`).hsts).toBe(value)
  })
})

describe('the redirect', () => {
  it('leads to the hosts of tenants and routes', () => {
    const yaml = `listeners: { public: { ${TLS}, redirect: "0.0.0.0:80" } }
tenants: { acme: { hosts: [acme.test] } }
routes: [{ match: { path: /a, hosts: ["*.b.test", acme.test] }, auth: public, service: echo }]`
    const { redirect } = parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needsOf({}, files)).listeners.public
    expect(redirect).toEqual({ host: '0.0.0.0', port: 80, hosts: ['*.b.test', 'acme.test'] })
  })
})

describe('clientCertificate of a route', () => {
  const route = (value: string): string =>
    `routes: [{ match: { path: /a }, auth: public, service: echo, clientCertificate: ${value} }]`

  it.each([
    ['none', undefined],
    ['optional', 'optional'],
    ['required', 'required'],
  ])('%s', (written, read) => {
    const yaml = `listeners: { public: { tls: { certificate: cert.pem, key: key.pem, clientCa: ca.pem } } }\n${route(written)}`
    const { routes } = parseConfig(yaml, '/etc/gatehouse/gateway.yaml', needsOf({}, files))
    expect(routes.map(({ clientCertificate }) => clientCertificate)).toEqual([read])
  })

  it.each(['optional', 'required'])('%s needs authorities', (written) => {
    const yaml = `listeners: { public: { ${TLS} } }\n${route(written)}`
    expect(faultsOf(yaml, needsOf({}, files))).toEqual([
      expect.stringMatching(
        /clientCertificate: needs listeners\.public\.tls\.clientCa: name the authorities of the certificates there$/,
      ),
    ])
  })
})
