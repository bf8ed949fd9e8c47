/**
 * The configuration of everything that is measured side by side, as text. Who verifies does the same work: signature, algorithm,
 * issuer, audience and expiry, and user, scopes and id of the token as headers, those of the client taken off. Every one speaks HTTP/1.1 to
 * the upstream over connections that it keeps.
 */
import { AUDIENCE, ISSUER, type TokenAlgorithm } from './issuer.ts'

export interface Place {
  readonly port: number
  readonly upstreamPort: number
  /** Of its own, for what it writes. */
  readonly folder: string
}

/** Most connections to the upstream that are kept; more than clients have. */
const KEPT = 128

/** @param level - `checked`: as the gateway does; `signature`: signature and algorithm alone, and the user */
export function haproxyConfig(place: Place, verify?: { algorithm: TokenAlgorithm; pem: string; level: 'checked' | 'signature' }) {
  const rules = verify === undefined ? [] : haproxyRules(verify.algorithm, verify.pem, verify.level)
  return `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
frontend clients
  bind 127.0.0.1:${place.port}
${rules.map((rule) => `  ${rule}\n`).join('')}  default_backend upstream
backend upstream
  http-reuse always
  server one 127.0.0.1:${place.upstreamPort} pool-max-conn ${KEPT}
`
}

function haproxyRules(algorithm: TokenAlgorithm, pem: string, level: 'checked' | 'signature'): readonly string[] {
  const claim = (path: string): string => `var(txn.bearer),jwt_payload_query('$.${path}'`
  const unless = (condition: string): string => `http-request deny deny_status 401 unless { ${condition} }`
  const signature = [
    'http-request set-var(txn.bearer) http_auth_bearer',
    `http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')`,
    unless(`var(txn.alg) -m str ${algorithm}`),
    unless(`var(txn.bearer),jwt_verify(txn.alg,"${pem}") -m int 1`),
    `http-request set-header x-user-id %[${claim('sub')})]`,
  ]
  if (level === 'signature') return signature
  return [
    ...signature,
    unless(`${claim('iss')}) -m str ${ISSUER}`),
    unless(`${claim('aud')}) -m str ${AUDIENCE}`),
    'http-request set-var(txn.now) date()',
    `http-request set-var(txn.exp) ${claim('exp')},'int')`,
    unless('var(txn.exp),sub(txn.now) -m int gt 0'),
    `http-request set-header x-scopes %[${claim('scope')})]`,
    `http-request set-header x-token-id %[${claim('jti')})]`,
    'http-request del-header authorization',
  ]
}

/** @param user - who runs the worker; where it is not set whoever starts it does */
export function nginxProxyConfig({ port, upstreamPort, folder }: Place, user?: string): string {
  return nginxConfig(
    folder,
    `upstream one { server 127.0.0.1:${upstreamPort}; keepalive ${KEPT}; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} reuseport;
    location / {
      proxy_pass http://one;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }`,
    user,
  )
}

/** What everything is in front of: `/small`, `/whoami` with the user that it was told, `/mebibyte`, and `/upload`, which reads to the end. */
export function nginxUpstreamConfig({ port, folder }: Omit<Place, 'upstreamPort'>, small: string, user?: string): string {
  return nginxConfig(
    folder,
    `client_max_body_size 0;
  server {
    listen 127.0.0.1:${port} reuseport;
    default_type application/json;
    location = /small { return 200 '${small}'; }
    location = /whoami { default_type text/plain; return 200 '$http_x_user_id'; }
    location = /upload { return 200 '${small}'; }
    location = /mebibyte { root ${folder}; }
  }`,
    user,
  )
}

function nginxConfig(folder: string, http: string, user: string | undefined): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `${user === undefined ? '' : `user ${user};\n`}worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 20000; }
http {
  access_log off;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
${temporary.map((name) => `  ${name}_temp_path ${folder}/${name};\n`).join('')}  ${http}
}
`
}

export function caddyConfig({ port, upstreamPort }: Place): string {
  return `{
	admin off
	auto_https off
	log {
		level ERROR
	}
}
http://127.0.0.1:${port} {
	reverse_proxy 127.0.0.1:${upstreamPort} {
		transport http {
			keepalive 60s
			keepalive_idle_conns ${KEPT}
			keepalive_idle_conns_per_host ${KEPT}
		}
	}
}
`
}

/** @param modules - the folder of its modules
 * @param user - whom root leaves the work to */
export function apacheConfig({ port, upstreamPort, folder }: Place, modules: string, jwk: object, user?: string): string {
  const loaded = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'proxy', 'proxy_http', 'oauth2']
  const key = JSON.stringify(jwk).replaceAll('"', '\\"')
  return `ServerRoot "${folder}"
ServerName 127.0.0.1
${user === undefined ? '' : `User ${user}\nGroup nogroup\n`}PidFile "${folder}/apache.pid"
ErrorLog "${folder}/error.log"
LogLevel error
Mutex "file:${folder}"
DefaultRuntimeDir "${folder}"
${loaded.map((name) => `LoadModule ${name}_module "${modules}/mod_${name}.so"\n`).join('')}Listen 127.0.0.1:${port}
StartServers 1
ServerLimit 1
ThreadsPerChild 96
ThreadLimit 96
MaxRequestWorkers 96
MinSpareThreads 1
MaxSpareThreads 96
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
ProxyPass "/" "http://127.0.0.1:${upstreamPort}/" max=96 ttl=60
OAuth2Cache shm name=default&max_entries=10000
<Location "/">
  AuthType oauth2
  OAuth2TokenVerify jwk "${key}" verify.iss=skip&verify.iat=skip&verify.exp=required
  OAuth2TargetPass headers=Off&envvars=On
  <RequireAll>
    Require oauth2_claim iss:${ISSUER}
    Require oauth2_claim aud:${AUDIENCE}
  </RequireAll>
  RequestHeader set x-user-id "expr=%{reqenv:OAUTH2_CLAIM_sub}"
  RequestHeader set x-scopes "expr=%{reqenv:OAUTH2_CLAIM_scope}"
  RequestHeader set x-token-id "expr=%{reqenv:OAUTH2_CLAIM_jti}"
  RequestHeader unset authorization
</Location>
`
}

export interface GatewayPlace extends Place {
  readonly adminPort: number
  readonly jwksFile: string
}

/** Keys of the configuration that a variant changes, as YAML. */
export interface GatewayVariant {
  /** Whole sections at the top of the file. */
  readonly sections?: string
  /** Further keys of the upstream `one`, beginning with a comma. */
  readonly upstream?: string
  /** Further upstreams. */
  readonly upstreams?: string
  /** Further routes. */
  readonly routes?: string
  /** Further keys of the route `api`, beginning with a comma. */
  readonly route?: string
}

/** Sessions, accounts and revocations are in the folder of the configuration; access log and metrics are on. */
export function gatewayConfig(
  place: GatewayPlace,
  { sections = '', upstream = '', upstreams = '', routes = '', route = '' }: GatewayVariant = {},
): string {
  return `listeners:
  public: { address: 127.0.0.1:${place.port}, limits: { bodyBytes: 16MiB } }
  admin: { address: 127.0.0.1:${place.adminPort} }
issuers:
  bench: { issuer: "${ISSUER}", tenant: default, audiences: [${AUDIENCE}], algorithms: [RS256, ES256], jwks: { file: "${place.jwksFile}" } }
upstreams:
  one: { targets: [http://127.0.0.1:${place.upstreamPort}]${upstream} }
${upstreams}${sections}routes:
  - { name: health, match: { path: /health }, service: health }
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: echo, match: { path: /echo/* }, auth: required, service: echo }
  - { name: public, match: { path: /public/* }, auth: public, stripPrefix: /public, upstream: one }
  - { name: api, match: { path: /api/* }, auth: required, stripPrefix: /api, upstream: one${route} }
${routes}`
}
