/** Requests of clients, and the assertions of those that have keys. */
import type { Admitted } from '../../src/exchange/exchange.ts'
import { ANONYMOUS } from '../../src/exchange/exchange.ts'
import { createSigner, seconds, type Json, type Signer } from './foreign.ts'

export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** RFC 7617: as curl sends it. */
export function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}

/** The claims of an assertion that is good for a minute; a claim that is undefined is left out. */
export function assertionClaims(client: string, audience: string, more: Json = {}, now = seconds()): Json {
  return { iss: client, sub: client, aud: audience, iat: now, exp: now + 60, jti: crypto.randomUUID(), ...more }
}

export function assertion(signer: Signer, claims: Json, header: Json = {}): string {
  return signer.token(claims, { typ: undefined, ...header })
}

export function assertionForm(text: string, more: Readonly<Record<string, string>> = {}): URLSearchParams {
  return new URLSearchParams({ client_assertion_type: ASSERTION_TYPE, client_assertion: text, ...more })
}

/** Public keys as a JWKS file has them. */
export function jwksFile(...signers: readonly Signer[]): string {
  return JSON.stringify({ keys: signers.map((signer) => signer.jwk) })
}

export { createSigner }

/** A request to a public endpoint of a service, as far as a client's proof is concerned. */
export function admittedFrom(
  headers: readonly string[],
  { tenant, client = '192.0.2.1' }: { readonly tenant?: string; readonly client?: string } = {},
): Admitted {
  return {
    id: 'r1',
    method: 'POST',
    target: '/oauth/token',
    host: 'localhost',
    authority: 'localhost:8080',
    rawHeaders: headers,
    peer: client,
    trusted: false,
    client,
    scheme: 'http',
    upgrade: false,
    bodyLength: undefined,
    expectsContinue: false,
    startedMs: 0,
    route: {
      name: 'oauth.token',
      match: { hosts: [], path: '/oauth/token', methods: ['POST'], headers: new Map() },
      auth: 'public',
      scopes: [],
      claims: new Map(),
      revocation: { whenStale: 'deny', maxStalenessMs: 10_000 },
      bodyBytes: 1024 * 1024,
      forwardToken: false,
      host: 'upstream',
      requestHeaders: { set: new Map(), remove: new Set() },
      responseHeaders: { set: new Map(), remove: new Set() },
      websocket: false,
      encodedSlash: 'reject',
      target: { kind: 'service', service: 'oauth', endpoint: 'token' },
    },
    path: '/oauth/token',
    forwardPath: '/oauth/token',
    query: '',
    params: new Map(),
    principal: ANONYMOUS,
    revocation: 'none',
    tenant,
    admitted: true,
  }
}
