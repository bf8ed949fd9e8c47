import { z } from 'zod'
import { address, headerName, jwksUri, origin, trustedNetwork } from './addresses.ts'
import { INSECURE_NAMES, NAME, TENANT_ID } from './names.ts'
import { choice, duration, flag, integer, plainText, seconds, size } from './scalars.ts'
import { front } from './schema-front.ts'
import { overload } from './schema-overload.ts'
import { rateLimits } from './schema-rate-limits.ts'
import { routes } from './schema-routes.ts'
import { geography } from './schema-sharing.ts'
import { client, masterKey, revocation, sessionsPlace, tenant } from './schema-tenants.ts'
import { telemetry } from './schema-telemetry.ts'
import { upstream } from './schema-upstreams.ts'
import { secret } from './secrets.ts'
import { list, mapping, named, workers } from './shapes.ts'
import { accountStorage } from './storage-urls.ts'

const ALGORITHMS = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'] as const),
  ...(['ES256', 'ES384', 'ES512', 'EdDSA', 'HS256', 'HS384', 'HS512'] as const),
] as const

const NAME_RULE = 'a name is letters, digits, _ and -, and starts with a letter or digit'
const TENANT_RULE = 'a tenant id is lower-case letters, digits and -, and starts with a letter or digit'

const publicListener = mapping({
  address: address().prefault('0.0.0.0:8080').describe('HOST:PORT to listen on. Port 0 takes any free port.'),
  origin: origin()
    .optional()
    .describe(
      'How clients reach the gateway; issuers and links are made from it. Default: http://localhost:PORT, with tls https://localhost:PORT.',
    ),
  ...front,
  trustedProxies: list(trustedNetwork()).prefault([]).describe('Networks (CIDR) whose X-Forwarded-* headers are believed.'),
  limits: mapping({
    headerBytes: size('256B', '1MiB').prefault('16KiB').describe('Largest head of a request. Over it: 431.'),
    headers: integer(1, 10_000).prefault(100).describe('Most header fields of a request. Over it: 431.'),
    urlBytes: size('16B', '1MiB').prefault('8KiB').describe('Longest request target. Over it: 414.'),
    bodyBytes: size('0B', '1024GiB')
      .prefault('10MiB')
      .describe('Largest body of a request; a route may say otherwise. Over it: 413.'),
    streams: integer(1, 10_000).prefault(100).describe('Most requests at once of one HTTP/2 connection.'),
    connections: integer(1, 1_000_000).prefault(20_000).describe('Most open connections.'),
    connectionsPerClient: integer(1, 1_000_000)
      .optional()
      .describe('Most open connections of one address (IPv6: a /64); trusted proxies have no such limit. Default: none.'),
  }).prefault({}),
  overload: overload.prefault({}).describe('When requests are refused because there is too much to do.'),
  timeouts: mapping({
    headers: duration('1ms', '10m').prefault('10s').describe('Longest wait for the head of a request.'),
    request: duration('1ms', '1d').prefault('60s').describe('Longest wait for a whole request.'),
    keepAlive: duration('1ms', '1h').prefault('65s').describe('How long an idle connection is kept.'),
    drain: duration('0s', '10m').prefault('15s').describe('How long requests in flight may take when the gateway stops.'),
    drainDelay: duration('0s', '5m')
      .prefault('0s')
      .describe('How long a gateway that is told to stop still takes all that comes, not ready any more, before it drains.'),
  }).prefault({}),
})

const listeners = mapping({
  public: publicListener.prefault({}).describe('The listener for clients.'),
  admin: mapping({
    address: address().prefault('127.0.0.1:9901').describe('HOST:PORT to listen on. Anything but loopback needs a token.'),
    token: secret().optional().describe('Bearer token of the admin listener.'),
  })
    .prefault({})
    .describe('The listener for operators: /healthz, /readyz, /metrics, /routes, /config.'),
})

const issuer = mapping({
  issuer: plainText('the iss of its tokens').optional().describe('Compared with `iss` to the letter.'),
  tenant: plainText('the id of a tenant').optional().describe('The tenant its tokens belong to.'),
  audiences: z
    .union([choice(['any']), list(plainText('an audience'))])
    .optional()
    .describe('`aud` of a token must be one of these; `any` takes every audience.'),
  algorithms: list(choice(ALGORITHMS)).optional().describe('Algorithms of its tokens. HS* needs `secrets`, all others `jwks`.'),
  jwks: mapping({
    uri: jwksUri().optional().describe('Where its keys are fetched: https, or http to this machine.'),
    allowInsecure: flag().prefault(false).describe('Takes plain http to another machine.'),
    refresh: duration('1s', '1d').prefault('10m').describe('How often its keys are fetched.'),
    minInterval: duration('1ms', '1h').prefault('30s').describe('How often an unknown kid may cause a fetch.'),
    staleFor: duration('0s', '30d').prefault('24h').describe('How long keys serve on when they cannot be fetched.'),
    timeout: duration('1ms', '1m').prefault('2s').describe('Longest wait for one fetch.'),
    file: plainText('the path of a JWKS file').optional().describe('A JWKS file instead, relative to this file.'),
  })
    .optional()
    .describe('Its public keys: { uri } or { file }.'),
  secrets: list(secret()).optional().describe('Shared secrets for HS*, current first: { env } or { file }.'),
  clockSkew: seconds('0s', '120s').prefault('30s').describe('How far its clock may be off.'),
  maxLifetime: seconds('1s', '3650d').prefault('24h').describe('Tokens that live longer are refused.'),
  claims: mapping({
    user: plainText('the name of a claim').prefault('sub').describe('The claim that names the user.'),
    userElse: plainText('the name of a claim').optional().describe('The claim that names the user of a token without that one.'),
    scope: plainText('the name of a claim').prefault('scope').describe('The claim that holds the scopes.'),
    session: plainText('the name of a claim').prefault('sid').describe('The claim that names the session.'),
    token: plainText('the name of a claim').prefault('jti').describe('The claim that names the token.'),
  })
    .prefault({})
    .describe('Which claim carries what.'),
})

const identity = mapping({
  headers: mapping({
    user: headerName().prefault('x-user-id'),
    tenant: headerName().prefault('x-tenant-id'),
    scopes: headerName().prefault('x-scopes'),
    session: headerName().prefault('x-session-id'),
    token: headerName().prefault('x-token-id'),
    certificate: headerName().prefault('x-client-subject').describe('Names the subject of a client certificate.'),
  })
    .prefault({})
    .describe('Headers that tell an upstream who the user is. Copies sent by clients are removed.'),
  passport: mapping({
    header: headerName().prefault('x-gatehouse-identity').describe('Header that carries a JWT signed by the gateway.'),
    lifetime: seconds('1s', '1h').prefault('60s').describe('Life of that JWT.'),
  }).prefault({}),
})

/** The grammar of `gateway.yaml`. It knows every key; those that do not work yet are refused by name. */
export const gatewaySchema = mapping({
  listeners: listeners.prefault({}).describe('Where the gateway listens.'),
  workers: workers().prefault(1).describe('Processes; auto is one for each core.'),
  reload: mapping({
    watch: flag().prefault(true).describe('false: the configuration is read again on SIGHUP and POST /reload alone.'),
    interval: duration('100ms', '1h').prefault('1s').describe('How often is looked whether a file has changed.'),
  })
    .prefault({})
    .describe('How a change of this file, and of files that it names, comes into force.'),
  storage: mapping({
    sessions: sessionsPlace.prefault('embedded').describe('Where sessions, signing keys and revocations are.'),
    accounts: accountStorage().prefault('embedded').describe('Where accounts and usernames are.'),
    directory: plainText('the path of a folder')
      .prefault('./data')
      .describe('Folder of embedded storage, relative to this file.'),
    migrate: flag().prefault(true).describe('Applies pending migrations at start.'),
  }).prefault({}),
  masterKey: masterKey
    .optional()
    .describe(
      'Seals signing keys at rest: 32 bytes in base64 or hex; of a list the first one seals and all open. Default, on embedded storage alone: one is made in storage.directory.',
    ),
  tenants: named(TENANT_ID, TENANT_RULE, tenant).prefault({}).describe('Tenants by id; `default` is there always.'),
  issuers: named(NAME, NAME_RULE, issuer).prefault({}).describe('Tokens made elsewhere that are accepted.'),
  clients: named(NAME, NAME_RULE, client)
    .prefault({})
    .describe('Services that may create and revoke sessions, get tokens of their own or introspect others, by id.'),
  revocation: revocation.prefault({}),
  accounts: mapping({
    breachedPasswords: mapping({
      file: plainText('the path of a file')
        .optional()
        .describe('SHA-1 in hex, one for each line, in order; relative to this file.'),
    })
      .optional()
      .describe('Passwords that were found in breaches and are not taken for new ones: the download of Have I Been Pwned.'),
  }).prefault({}),
  usernames: mapping({
    cache: seconds('10s', '1h').prefault('5m').describe('How long Redis keeps whether a name is taken, give or take a tenth.'),
  }).prefault({}),
  tokenCache: mapping({
    entries: integer(1, 1_000_000).prefault(20_000).describe('Most verified tokens that are remembered.'),
    lifetime: duration('0s', '1d').prefault('1h').describe('How long one is remembered at most; then it is verified anew.'),
  })
    .prefault({})
    .describe('Tokens that were verified, so that each is verified once. Expiry and revocation are looked at every time.'),
  rateLimits: rateLimits.prefault({}).describe('How the limits of routes are counted.'),
  identity: identity.prefault({}),
  geography: geography.optional().describe('How it is known which country a client is in.'),
  upstreams: named(NAME, NAME_RULE, upstream).prefault({}).describe('Servers that requests are forwarded to, by name.'),
  routes: list(routes).prefault([]).describe('What is served, and to whom. The most specific host, then path, then method wins.'),
  insecure: list(choice(INSECURE_NAMES))
    .prefault([])
    .describe('What this file does although it is insecure: tls.verify false, trustedProxies wider than a network of proxies.'),
  telemetry: telemetry.prefault({}).describe('What is told of requests: log, metrics, traces.'),
})

/** The file with its defaults, before the parts are held against each other. */
export type Draft = z.output<typeof gatewaySchema>
export type IssuerDraft = Draft['issuers'][string]
export type UpstreamDraft = Draft['upstreams'][string]
export type TenantDraft = Draft['tenants'][string]
export type ClientDraft = Draft['clients'][string]
export type RouteDraft = Draft['routes'][number]['value']
