import type { Config } from '../../config/config.ts'
import type { Admitted, Identified } from '../../exchange/exchange.ts'
import { describeRefusal, Problem } from '../../problem/problem.ts'
import { by, HOLDER } from '../by.ts'
import type { Client, Clients } from '../clients/clients.ts'
import { deviceName } from '../device-name.ts'
import { guardedJsonEndpoint, jsonEndpoint } from '../json-body.ts'
import type { Answer, Call, Service } from '../services.ts'
import { callerOf, headerOf, json } from '../services.ts'
import { cookiesOf, createSessionCookies, withoutTokens } from '../session-cookies.ts'
import { tenantInPath } from '../tenant-of-request.ts'
import type { Creation, Refresh, RevocationBody, RevocationOfAll, Validation } from './bodies.ts'
import { CREATION, REFRESH, REVOCATION, REVOCATION_OF_ALL, VALIDATION } from './bodies.ts'
import { tokenInCookie, withOptionalBody } from './refresh-cookie.ts'
import type { SessionRecord, Sessions, TokenPair, UserRef } from './sessions.ts'

export interface SessionEndpointsNeeds {
  readonly sessions: Sessions
  readonly clients: Clients
  /**
   * Verifies an access token as the path does.
   *
   * @param by - the request that it came with, for endpoints that anyone may ask
   * @throws Problem of the token
   */
  verify(token: string, by?: Admitted): Promise<Identified>
  /** Compares a verified token with the revocations, as the route says. @throws Problem `token_revoked`, `revocation_unavailable` */
  check(admitted: Admitted, principal: Identified): Promise<void>
  /** Whether a page of ours sends the request. @throws Problem `cross_site_request` */
  checkOrigin(admitted: Admitted): void
  /**
   * Looks at who goes on with a session; may refuse by rejecting. Absent: nobody is looked at.
   *
   * @returns what is called when the session has gone on
   */
  lookAt?(session: SessionRecord, admitted: Admitted): Promise<(() => Promise<void>) | undefined>
  /** Told of an access token that was revoked, where it is to be told of as it is. */
  tokenEnded?(token: string): void
}

const NO_STORE = { 'cache-control': 'no-store' } as const
const WRITE = 'sessions:write'
/** RFC 7617 §2: the name of the scheme has no case. */
const BASIC = /^basic /i
const REFRESH_TOKEN = 'gwr_'
const SESSION_ID = /^[0-9a-f]{32}$/
const REVOKED = { revoked: true } as const

/** Who asks for the end of all sessions of a user. */
type Revoker = { readonly kind: 'client'; readonly client: Client } | { readonly kind: 'user'; readonly user: Identified }

export function createSessionEndpoints(
  needs: SessionEndpointsNeeds,
  config: Pick<Config, 'tenants' | 'routes' | 'clients'>,
): Service<'sessions'> {
  const { sessions } = needs
  const cookies = createSessionCookies(config)
  return {
    name: 'sessions',
    endpoints: {
      create: guardedJsonEndpoint(CREATION, writer, create),
      list: { handle: list },
      delete: { handle: remove },
      validate: jsonEndpoint(VALIDATION, validate),
      refresh: withOptionalBody(jsonEndpoint(REFRESH, refresh), (call) => refresh(call, {})),
      revoke: jsonEndpoint(REVOCATION, revoke),
      'revoke-all': guardedJsonEndpoint(REVOCATION_OF_ALL, revoker, revokeAll),
      'revoke-others': { handle: revokeOthers },
    },
  }

  async function create(call: Call, body: Creation, client: Client): Promise<Answer> {
    requireTenant(call, client.tenant, body.tenant_id)
    // RFC 9068 §5: the `sub` of a client's own tokens is its id, which must not be taken for a user's.
    if (config.clients.get(body.user_id)?.tenant === client.tenant) throw namesClient()
    const pair = await sessions.create({
      tenant: client.tenant,
      user: body.user_id,
      scope: body.scope,
      ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
      device: headerOf(call.admitted, 'user-agent') ?? '',
      ip: call.admitted.client,
      clientId: client.id,
      by: by(call, client.id),
    })
    return json(201, pair, NO_STORE)
  }

  async function validate(call: Call, body: Validation): Promise<Answer> {
    try {
      const principal = await needs.verify(body.access_token, call.admitted)
      const named = tenantNamed(call)
      if (named !== undefined && named !== principal.tenant) throw new Problem('tenant_mismatch')
      await needs.check(call.admitted, principal)
      return json(200, { valid: true, claims: principal.claims }, NO_STORE)
    } catch (error) {
      // What is not known of a token is no word against it: the caller is told to ask again.
      if (!(error instanceof Problem) || error.status >= 500 || error.kind === 'rate_limited') throw error
      return json(200, { valid: false, ...describeRefusal(error) }, NO_STORE)
    }
  }

  async function refresh(call: Call, body: Refresh): Promise<Answer> {
    const tenant = tenantNamed(call, body.tenant_id)
    if (body.refresh_token !== undefined) {
      return json(200, await goOn(call, body.refresh_token, tenant), NO_STORE)
    }
    const token = tokenInCookie(call)
    needs.checkOrigin(call.admitted)
    const pair = await goOn(call, token, tenant)
    return { ...json(200, withoutTokens(pair), NO_STORE), cookies: cookiesOf(pair, call.admitted.path) }
  }

  async function goOn(call: Call, token: string, tenant: string | undefined): Promise<TokenPair> {
    const { lookAt } = needs
    const request = { token, tenant, by: by(call, HOLDER) }
    if (lookAt === undefined) return sessions.refresh(request)
    let done: (() => Promise<void>) | undefined
    const pair = await sessions.refresh({
      ...request,
      async inspect(session) {
        done = await lookAt(session, call.admitted)
      },
    })
    // The tokens are made: that a place could not be noted takes them from nobody.
    await done?.().catch(() => undefined)
    return pair
  }

  /** Whoever holds a token may end it. A client says who it is, and is held to its tenant. */
  async function revoke(call: Call, body: RevocationBody): Promise<Answer> {
    const client = isBasic(call) ? await needs.clients.authenticate(call.admitted) : undefined
    const admits = (tenant: string): void => {
      if (client !== undefined) requireTenant(call, client.tenant, tenant)
    }
    const wish = { reason: body.reason ?? 'revoked', actor: client?.id ?? HOLDER, admits }
    if (body.token.startsWith(REFRESH_TOKEN)) await endByRefreshToken(call, body.token, wish)
    else await endByAccessToken(call, body.token, wish)
    return json(200, REVOKED, NO_STORE)
  }

  interface Wish {
    readonly reason: string
    readonly actor: string
    /** @throws Problem where the tenant of the token is none of the caller's business */
    admits(tenant: string): void
  }

  async function endByRefreshToken(call: Call, token: string, { reason, actor, admits }: Wish): Promise<void> {
    const found = await sessions.findByToken(token, tenantNamed(call))
    admits(found.tenant)
    await sessions.endFound(found, reason, by(call, actor))
  }

  async function endByAccessToken(call: Call, token: string, { reason, actor, admits }: Wish): Promise<void> {
    const principal = await needs.verify(token, call.admitted)
    const named = tenantNamed(call)
    if (named !== undefined && named !== principal.tenant) throw new Problem('tenant_mismatch')
    admits(principal.tenant)
    await sessions.revokeToken(principal, reason, by(call, actor))
    needs.tokenEnded?.(token)
  }

  async function revokeAll(call: Call, body: RevocationOfAll, caller: Revoker): Promise<Answer> {
    const reason = body.reason ?? 'revoke-all'
    const tenant = caller.kind === 'client' ? caller.client.tenant : caller.user.tenant
    requireTenant(call, tenant, body.tenant_id)
    if (caller.kind === 'user' && caller.user.user !== body.user_id) {
      throw new Problem('access_denied', { description: 'The token gives no access to the sessions of another user.' })
    }
    const whose: UserRef = caller.kind === 'user' ? caller.user : { tenant, user: body.user_id }
    const actor = caller.kind === 'user' ? caller.user.user : caller.client.id
    const answer = json(200, { revoked_count: await sessions.endAll(whose, reason, by(call, actor)) }, NO_STORE)
    return cookies.farewell(call.admitted, answer)
  }

  async function revokeOthers(call: Call): Promise<Answer> {
    const { tenant, user, session } = callerOf(call.admitted)
    if (session === undefined) {
      throw new Problem('invalid_request', { description: 'The token names no session, so there are no others.' })
    }
    const count = await sessions.endOthers({ tenant, user, id: session }, 'revoke-others', by(call, user))
    return json(200, { revoked_count: count }, NO_STORE)
  }

  async function list(call: Call): Promise<Answer> {
    const { tenant, user, session } = callerOf(call.admitted)
    const records = await sessions.list({ tenant, user })
    return json(200, { sessions: records.map((record) => shown(record, session)) }, NO_STORE)
  }

  async function remove(call: Call): Promise<Answer> {
    const { tenant, user, session } = callerOf(call.admitted)
    const id = call.admitted.params.get('id') ?? ''
    const known = SESSION_ID.test(id) ? await sessions.find({ tenant, user, id }) : undefined
    if (known === undefined) throw new Problem('session_not_found')
    await sessions.endSession(known, 'deleted', by(call, user))
    const answer = { status: 204, headers: NO_STORE }
    return id === session ? cookies.farewell(call.admitted, answer) : answer
  }

  async function writer(call: Call): Promise<Client> {
    const client = await needs.clients.authenticate(call.admitted)
    if (!client.scopes.includes(WRITE)) throw new Problem('insufficient_scope', { scope: WRITE })
    return client
  }

  async function revoker(call: Call): Promise<Revoker> {
    if (isBasic(call)) return { kind: 'client', client: await writer(call) }
    if (call.admitted.principal.kind === 'anonymous') throw namesNobody()
    return { kind: 'user', user: callerOf(call.admitted) }
  }

  /** A caller of another tenant is not told whether there is a tenant of that name. */
  function requireTenant(call: Call, own: string, asked: string): void {
    const elsewhere = call.admitted.tenant ?? tenantInPath(call.admitted.path) ?? own
    if (asked !== own || elsewhere !== own || !config.tenants.has(own)) throw new Problem('tenant_mismatch')
  }
}

/** RFC 9110 §11.6.1: a challenge for each way there is. */
function namesNobody(): Problem {
  return new Problem('unauthorized', {
    description: 'Send an access token of the user, or authenticate as a client: HTTP Basic with client id and secret.',
    headers: { 'www-authenticate': 'Bearer realm="gatehouse", Basic realm="gatehouse", charset="UTF-8"' },
  })
}

function namesClient(): Problem {
  return new Problem('invalid_request', {
    description: 'The user id is the id of a client.',
    fields: [{ field: 'user_id', message: 'is the id of a client of this tenant' }],
  })
}

function isBasic(call: Call): boolean {
  return BASIC.test(headerOf(call.admitted, 'authorization') ?? '')
}

/** Tenant that the request names; undefined where it leaves that to the token. */
function tenantNamed(call: Call, inBody?: string): string | undefined {
  const named = call.admitted.tenant ?? tenantInPath(call.admitted.path)
  if (named === undefined || inBody === undefined || inBody === named) return named ?? inBody
  throw new Problem('invalid_request', {
    description: 'The request names two tenants. Name one, or the same everywhere.',
    fields: [{ field: 'tenant_id', message: 'is not the tenant of the host or path' }],
  })
}

/** What its user may see of a session. */
function shown(record: SessionRecord, current: string | undefined) {
  return {
    id: record.id,
    current: record.id === current,
    device: record.device,
    device_name: deviceName(record.device),
    ip: record.ip,
    ...(record.country !== undefined && { country: record.country }),
    created_at: iso(record.createdAt),
    last_used_at: iso(record.lastUsedAt),
    expires_at: iso(Math.min(record.idleExpiresAt, record.expiresAt)),
  }
}

function iso(seconds: number): string {
  return new Date(seconds * 1_000).toISOString()
}
