import { describe, expect, it } from 'vitest'
import { faultsOf, marked } from './faults-of.ts'

const DURATION = 'must be a duration: write a number and ms, s, m, h or d, such as 15m'
const SECONDS = 'must be a duration: write a number and s, m, h or d, such as 15m'
const SIZE = 'must be a size: write a number and B, KiB, MiB or GiB, such as 10MiB'
const ADDRESS = 'must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080'
const NETWORK = 'must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8'
const PATH = 'must be a path that starts with /, such as /api/*'
const INVISIBLE = 'must not have ? # ; \\ or spaces: they are no part of a canonical path'

/** Key, what is written there, what is said about it. */
const TABLE: readonly [string, string, string][] = [
  ...['0', '65', '1.5', 'two', '-1', '[2]'].map((value): [string, string, string] => [
    'workers',
    value,
    'must be a whole number from 1 to 64, or auto for one process for each core',
  ]),
  ['tokenCache.entries', '0', 'must be a whole number from 1 to 1000000'],
  ['tokenCache.lifetime', '25h', 'must be between 0s and 1d'],
  ['revocation.maxStaleness', '10', DURATION],
  ['revocation.maxStaleness', '10 s', DURATION],
  ['revocation.maxStaleness', '1.5s', DURATION],
  ['revocation.maxStaleness', '-1s', DURATION],
  ['revocation.maxStaleness', '1h30m', DURATION],
  ['revocation.maxStaleness', '[10s]', DURATION],
  ['revocation.maxStaleness', '2d', 'must be between 1ms and 1d'],
  ['revocation.maxStaleness', '', 'is empty: write a value, or remove the key'],
  ['listeners.public.timeouts.drainDelay', '6m', 'must be between 0s and 5m'],
  ['listeners.public.timeouts.drainDelay', '5', DURATION],
  ['tenants.default.accessToken.lifetime', '900', SECONDS],
  ['tenants.default.accessToken.lifetime', '59s', 'must be between 60s and 12h'],
  ['tenants.default.accessToken.lifetime', '13h', 'must be between 60s and 12h'],
  ['tenants.default.accessToken.lifetime', '60500ms', 'must be whole seconds'],
  ...['5', '""', '" Acme"', '"Acme "', '"A\\nB"', `"${'a'.repeat(101)}"`, '[Acme]'].map((value): [string, string, string] => [
    'tenants.default.name',
    value,
    'must be a name of 1 to 100 characters, without control characters or space around it',
  ]),
  ['tenants.default.signing', 'HS256', 'must be RS256, ES256 or EdDSA'],
  ['tenants.default.accessToken.jitter', '6%', 'must be a percentage from 0% to 5%, such as 2.5%'],
  ['tenants.default.accessToken.jitter', '0.02', 'must be a percentage from 0% to 5%, such as 2.5%'],
  ['tenants.default.refreshToken.rotation', 'on', 'must be true or false'],
  ['tenants.default.refreshToken.grace', '61s', 'must be between 0s and 60s'],
  ['tenants.default.refreshToken.grace', '10', SECONDS],
  ['tenants.default.sessionsPerUser', '0', 'must be a whole number from 1 to 10000'],
  ['tenants.default.sessionsPerUser', '10001', 'must be a whole number from 1 to 10000'],
  ['tenants.default.keys.rotateEvery', '59m', 'must be between 1h and 3650d'],
  ['tenants.default.keys.publishBefore', '599s', 'must be between 10m and 30d'],
  ['tenants.default.registration', 'true', 'must be open or closed'],
  ['tenants.default.throttle.login', '20', 'must be a rate: write a number and /s, /m or /h, such as 20/m'],
  ['tenants.default.throttle.login', '0/m', 'must be a rate: write a number and /s, /m or /h, such as 20/m'],
  ['tenants.default.issuer', 'acme', 'must be an http:// or https:// URL without query or fragment'],
  ['tenants.default.issuer', 'https://a.example/?x', 'must be an http:// or https:// URL without query or fragment'],
  ['tenants.default.audience', '5', 'must be an audience: put quotes around it'],
  ['tenants.default.audience', '""', 'must be an audience, and is empty'],
  ['tenants.default.hosts', 'acme.example', 'must be a list, such as [a, b]'],
  ['tenants.default', '[]', 'must be a mapping: keys and values'],
  ['listeners.public.limits.bodyBytes', '10485760', SIZE],
  ['listeners.public.limits.bodyBytes', '10MB', SIZE],
  ['listeners.public.limits.headerBytes', '2MiB', 'must be between 256B and 1MiB'],
  ['listeners.public.limits.headers', '0', 'must be a whole number from 1 to 10000'],
  ['listeners.public.limits.headers', '1.5', 'must be a whole number from 1 to 10000'],
  ['listeners.public.limits.headers', 'many', 'must be a whole number from 1 to 10000'],
  ['listeners.public.address', '8080', ADDRESS],
  ['listeners.public.address', '":8080"', ADDRESS],
  ['listeners.public.address', '"*:8080"', ADDRESS],
  ['listeners.public.address', '127.0.0.1:65536', ADDRESS],
  ['listeners.public.address', '"::1:80"', ADDRESS],
  ['listeners.public.address', '"[::g]:80"', ADDRESS],
  ['listeners.public.origin', 'api.example.com', 'must be an origin: scheme, host and port, such as https://api.example.com'],
  ['listeners.public.origin', 'https://a/b', 'must be an origin: scheme, host and port, such as https://api.example.com'],
  ['storage.migrate', 'yes', 'must be true or false'],
  ['telemetry.accessLog.sample', '100', 'must be a percentage from 0% to 100%, such as 50%'],
  ['telemetry.accessLog.sample', '101%', 'must be a percentage from 0% to 100%, such as 50%'],
  ['telemetry.accessLog.fields', 'path', 'must be a list, such as [a, b]'],
  ['telemetry.metrics.tenants', '10001', 'must be a whole number from 0 to 10000'],
  ['telemetry.metrics.tenants', '-1', 'must be a whole number from 0 to 10000'],
  ['telemetry.traces.otlp', 'collector:4317', 'must be an http:// or https:// URL, such as http://127.0.0.1:9001'],
  ['telemetry.traces.otlp', 'http://a:b@collector', 'must not hold a user or password: remove them'],
  ['telemetry.traces.otlp', 'http://collector/?key=a', 'must not have a query or fragment: remove it'],
  ['identity.headers.user', 'x user', 'must be a header name, such as x-user-id'],
]

/** The same for elements of lists and keys of a route, all at `routes.r`. */
const IN_ROUTE: readonly [string, string, string][] = [
  ['match.path', 'api', PATH],
  ['match.path', '"*"', PATH],
  ['match.path', '/a*', '* stands only as the whole last segment: write /a/*'],
  ['match.path', '/*/a', '* stands only as the whole last segment: write /a/*'],
  ['match.path', '/a//b', 'must not have empty segments: write one / for //'],
  ['match.path', '/a/../b', 'must not have . or .. segments: write the path they lead to'],
  ['match.path', '/a/./*', 'must not have . or .. segments: write the path they lead to'],
  ['match.path', '/a%2Fb', 'must not be percent-encoded: write the canonical path'],
  ['match.path', '/a?b', INVISIBLE],
  ['match.path', '"/a#b"', INVISIBLE],
  ['match.path', '/a;b', INVISIBLE],
  ['match.path', '/a\\b', INVISIBLE],
  ['match.path', '/a b', INVISIBLE],
  ['match.path', '/é', "must have only letters, digits and - . _ ~ ! $ & ' ( ) + , = : @ /"],
  ['match.methods', '[get]', 'must be in upper case, such as GET: methods are compared to the letter'],
  ['match.methods', '[CONNECT]', 'CONNECT is never forwarded: remove it'],
  ['match.methods', '[TRACE]', 'TRACE is never forwarded: remove it'],
  ['match.methods', '["G T"]', 'must be a method, such as GET'],
  ['match.hosts', '["https://a.example"]', 'must be a host name: remove the scheme'],
  ['match.hosts', '["a.example:80"]', 'must be a host name: remove the port, it is never compared'],
  ['match.hosts', '[a.example/x]', 'must be a host name: remove the path'],
  ['match.hosts', '[a.*.example]', 'must be a host name: * stands first and alone, as in *.example.com'],
  ['match.hosts', '[a..example]', 'must be a host name, such as api.example.com or *.example.com'],
  ['match.hosts', '[bücher.example]', 'must be a host name in ASCII: write the xn-- form'],
  ['scopes', '["a b"]', 'must be a scope: visible ASCII without spaces, quotes and \\'],
  ['stripPrefix', '/api/', 'must name a segment and not end in /, such as /api'],
  ['stripPrefix', 'api', 'must be a path that starts with /, such as /api'],
  ['bodyBytes', '1', SIZE],
  ['maxAuthAge', '1', SECONDS],
]

/** `a.b.c` with a value, as a file; the value stands in the last line. */
function nested(key: string, value: string): { readonly yaml: string; readonly place: string } {
  const steps = key.split('.')
  const lines = steps.map((step, depth) => `${'  '.repeat(depth)}${step}:${depth === steps.length - 1 ? ` ${value}` : ''}`)
  const indent = 2 * (steps.length - 1)
  const column = value === '' ? indent + 1 : indent + (steps.at(-1) ?? '').length + 3
  return { yaml: `${lines.join('\n')}\n`, place: `${steps.length}:${column}` }
}

describe('a value that cannot be used', () => {
  it.each(TABLE)('is pointed at in %s: %s', (key, value, message) => {
    const { yaml, place } = nested(key, value)
    expect(faultsOf(yaml)).toEqual([`${place} ${key}: ${message}`])
  })

  it.each(IN_ROUTE)('is pointed at in the %s of a route: %s', (key, value, message) => {
    const [outer = '', inner] = key.split('.')
    const element = value.startsWith('[') ? '.0' : ''
    const spot = element === '' ? `§${value}` : value.replace('[', '[§')
    const own = inner === undefined ? `    ${outer}: ${spot}\n` : ''
    const path = inner === 'path' ? spot : '/api/x'
    const match = inner === undefined || inner === 'path' ? '' : `      ${inner}: ${spot}\n`
    const text = `routes:\n  - name: r\n    auth: required\n    service: echo\n${own}    match:\n${match}      path: ${path}\n`
    const { yaml, faults } = marked(text, [`routes.r.${key}${element}: ${message}`])
    expect(faultsOf(yaml)).toEqual(faults)
  })

  it.each([
    ['0.0.0.0/0', 'must not be every address: name the networks of your proxies'],
    ['"::/0"', 'must not be every address: name the networks of your proxies'],
    ['10.0.0.1', NETWORK],
    ['10.0.0.0/33', NETWORK],
    ['"fe80::1%eth0/64"', NETWORK],
    ['10/8', NETWORK],
    ['10.0.0.1/8', 'must be the first address of its network: it has bits behind the prefix'],
    ['"2001:db8::1/32"', 'must be the first address of its network: it has bits behind the prefix'],
  ])('is pointed at among the trusted proxies: %s', (value, message) => {
    expect(faultsOf(`listeners: { public: { trustedProxies: [10.0.0.0/8, ${value}] } }`)).toEqual([
      `1:53 listeners.public.trustedProxies.1: ${message}`,
    ])
  })
})
