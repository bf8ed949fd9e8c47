/** A gateway with clients of two tenants, whose origin is where it listens, so that outside clients find it by themselves. */
import { basic, createSigner, jwksFile } from './clients.ts'
import { freePort } from './ports.ts'
import { startGateway, type TestGateway } from './gateway.ts'

export const SECRETS = {
  /** With what has a meaning in headers, in forms and in base64. */
  billing: 's3cr%t+ of/billing:=&é',
  reader: 'the-secret-of-the-reader',
  rival: 'the-secret-of-the-rival',
} as const

export type ClientName = keyof typeof SECRETS

export interface OAuthScene {
  readonly gateway: TestGateway
  readonly url: string
  /** Of the client `reports`, which has no secret. */
  readonly signers: readonly ReturnType<typeof createSigner>[]
  issuer(tenant: string): string
  /** POST of a form to /oauth/NAME, with HTTP Basic of a client unless it is undefined. */
  post(endpoint: string, client: ClientName | undefined, form: Readonly<Record<string, string>>): Promise<Answered>
  /** A session of a user, made by a client. */
  session(client: ClientName, user?: string): Promise<{ access_token: string; refresh_token: string; session_id: string }>
  close(): Promise<void>
}

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

const TENANT_OF = { billing: 'acme', reader: 'acme', rival: 'globex' } as const

export async function openOAuth(more = ''): Promise<OAuthScene> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const signers = ['ES256', 'RS256', 'PS256', 'EdDSA'].map((alg) => createSigner(alg, `reports-${alg}`))
  const gateway = await startGateway(
    `listeners:
  public: { address: "127.0.0.1:${port}", origin: "${url}" }
  admin: { address: "127.0.0.1:0" }
tenants:
  acme: { signing: ES256, hosts: [acme.test] }
  globex: { signing: EdDSA }
clients:
  billing: { tenant: acme, secret: { env: BILLING }, scopes: [sessions:write, tokens:introspect, orders:read] }
  reader: { tenant: acme, secret: { env: READER }, scopes: [orders:read] }
  rival: { tenant: globex, secret: { env: RIVAL }, scopes: [sessions:write, tokens:introspect] }
  reports: { tenant: acme, keys: { file: reports.json }, scopes: [reports:read, tokens:introspect] }
routes:
  - { name: accounts, match: { path: /auth/* }, service: accounts }
  - { name: sessions, match: { path: /sessions/* }, service: sessions }
  - { name: oauth, match: { path: /oauth/* }, service: oauth }
  - { name: discovery, match: { path: /.well-known/* }, service: discovery }
  - { name: discovery-tenants, match: { path: /t/* }, service: discovery }
  - { name: health, match: { path: /health }, service: health }
  - { name: api, match: { path: /api/* }, auth: required, service: echo }
${more}`,
    {
      environment: { BILLING: SECRETS.billing, READER: SECRETS.reader, RIVAL: SECRETS.rival },
      files: { 'reports.json': jwksFile(...signers) },
    },
  )
  return {
    gateway,
    url,
    signers,
    issuer: (tenant) => `${url}/t/${tenant}`,
    post: (endpoint, client, form) => postForm(`${url}/oauth/${endpoint}`, client, form),
    session: (client, user) => createSession(url, client, user),
    close: () => gateway.close(),
  }
}

export async function postForm(
  url: string,
  client: ClientName | undefined,
  form: Readonly<Record<string, string>> | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      ...(client === undefined ? {} : { authorization: basic(client, SECRETS[client]) }),
      ...headers,
    },
    body: typeof form === 'string' ? form : new URLSearchParams(form).toString(),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
  }
}

async function createSession(url: string, client: ClientName, user = `user-${crypto.randomUUID()}`) {
  const response = await fetch(`${url}/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: basic(client, SECRETS[client]) },
    body: JSON.stringify({ tenant_id: TENANT_OF[client], user_id: user, scope: 'orders:read orders:write' }),
  })
  if (response.status !== 201) throw new Error(`POST /sessions: ${response.status} ${await response.text()}`)
  return (await response.json()) as { access_token: string; refresh_token: string; session_id: string }
}

/** The claims of a JWT, unverified. */
export function claimsIn(token: unknown): Record<string, unknown> {
  return JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
}
