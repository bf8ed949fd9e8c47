import { expect } from 'vitest'
import type { IdentityConfig } from '../../../src/config/config.ts'
import { ANONYMOUS, type Admitted, type Identified, type Route } from '../../../src/exchange/exchange.ts'
import { createIdentity, type Identity } from '../../../src/identity/identity.ts'

export const IDENTITY: IdentityConfig = {
  headers: {
    user: 'x-user-id',
    tenant: 'x-tenant-id',
    scopes: 'x-scopes',
    session: 'x-session-id',
    token: 'x-token-id',
    certificate: 'x-client-subject',
  },
  passport: { header: 'x-gatehouse-identity', lifetimeSeconds: 60 },
}

export const ALICE: Identified = {
  kind: 'identified',
  issuer: 'gateway',
  tenant: 'acme',
  user: 'alice',
  scopes: ['orders:read', 'orders:write'],
  session: 'session-1',
  tokenId: 'token-1',
  expiresAt: 2_000_000_000,
  skewSeconds: 2,
  tokenType: 'access',
  algorithm: 'RS256',
  claims: {},
}

const ROUTE: Route = {
  name: 'orders',
  match: { hosts: [], path: '/orders/*', methods: [], headers: new Map() },
  auth: 'optional',
  scopes: [],
  claims: new Map(),
  revocation: { whenStale: 'deny', maxStalenessMs: 10_000 },
  bodyBytes: 1024,
  forwardToken: false,
  host: 'upstream',
  requestHeaders: { set: new Map(), remove: new Set() },
  responseHeaders: { set: new Map(), remove: new Set() },
  websocket: false,
  encodedSlash: 'reject',
  target: { kind: 'upstream', upstream: 'orders' },
}

export function admitted(more: Partial<Admitted> = {}, route: Partial<Route> = {}): Admitted {
  return {
    id: '6c1bbd3c-5d63-4a3e-9a63-2f6dd0a7b4d1',
    method: 'GET',
    target: '/orders/1',
    host: 'api.test',
    authority: 'api.test:8080',
    rawHeaders: [],
    peer: '192.0.2.1',
    trusted: false,
    client: '192.0.2.1',
    scheme: 'http',
    upgrade: false,
    bodyLength: 0,
    expectsContinue: false,
    startedMs: 0,
    route: { ...ROUTE, ...route },
    path: '/orders/1',
    forwardPath: '/orders/1',
    query: '',
    params: new Map(),
    principal: ANONYMOUS,
    revocation: 'none',
    tenant: undefined,
    admitted: true,
    ...more,
  }
}

export interface World {
  readonly identity: Identity
  /** Claims of every passport that was signed. */
  readonly signed: Readonly<Record<string, unknown>>[]
  clock: number
}

/** @param bare upstreams that get no passport */
export function world(config: IdentityConfig = IDENTITY, bare: readonly string[] = [], passport = 'passport'): World {
  const signed: Readonly<Record<string, unknown>>[] = []
  const made: World = {
    signed,
    clock: 1_000,
    identity: createIdentity(
      {
        signPassport: (claims) => `${passport}-${signed.push(claims)}`,
        tokenId: () => `id-${signed.length + 1}`,
        nowSeconds: () => made.clock,
        origin: 'https://gateway.test',
      },
      config,
      new Set(bare),
    ),
  }
  return made
}

/** The fields in pairs, without those that every request gets. */
export function fieldsOf(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index < flat.length; index += 2) pairs.push([flat[index] ?? '', flat[index + 1] ?? ''])
  return pairs
}

/** Lines of HTTP/1.1 in pairs. */
export function linesOf(text: string): [string, string][] {
  const lines = text.split('\r\n')
  expect(lines.pop()).toBe('')
  return lines.map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)])
}
