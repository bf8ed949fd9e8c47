/**
 * OAuth 2.0 for services: tokens of their own, refresh, introspection, revocation (RFC 6749, RFC 7662, RFC 7009).
 *
 * Every call is a client's, and a client acts within its own tenant only: a token of another tenant is one that does not
 * exist. This service logs nobody in, takes nobody's password and has no page for a browser.
 *
 * @module
 */
import type { TenantConfig } from '../../config/config.ts'
import type { Admitted, Identified } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import { by } from '../by.ts'
import type { Client, Clients } from '../clients/clients.ts'
import type { Answer, Call, Endpoint, Service } from '../services.ts'
import { json } from '../services.ts'
import type { By, SessionRecord, Sessions } from '../sessions/sessions.ts'
import { issueClientToken } from './client-token.ts'
import { answerTo, NO_STORE, refuse } from './errors.ts'
import { fieldsOf, readForm } from './form.ts'
import type { TokenForm } from './forms.ts'
import { PRESENTED_FORM, TOKEN_FORM } from './forms.ts'
import type { RevocationFacts } from './introspection.ts'
import { createIntrospection } from './introspection.ts'

export interface OAuthNeeds {
  readonly clients: Clients
  /** What ends is over everywhere here when the promise resolves. */
  readonly sessions: Pick<Sessions, 'refresh' | 'findByToken' | 'endFound' | 'revokeToken'>
  readonly tokens: {
    sign(tenant: string, claims: Readonly<Record<string, unknown>>, typ: string): Promise<string>
    readRefreshToken(tenant: string, token: string): { readonly generation: number } | undefined
  }
  /** Verifies an access token as the path does. @throws Problem of the token */
  verify(token: string): Promise<Identified>
  /** Compares a verified token with the revocations, as the route says. @throws Problem `token_revoked`, `revocation_unavailable` */
  check(admitted: Admitted, principal: Identified): Promise<void>
  /** Whether the revocations that are known here name the token. */
  isRevoked(token: RevocationFacts): boolean
  /** Told of an access token that was revoked, where it is to be told of as it is. */
  tokenEnded?(token: string): void
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Monotonic, milliseconds. */
  nowMs(): number
  /** From 0, below 1. */
  random(): number
  randomBytes(size: number): Buffer
}

export interface OAuthConfig {
  readonly tenants: ReadonlyMap<string, TenantConfig>
}

const INTROSPECT = 'tokens:introspect'

/** `client_id` of a session that a login made: it was given to no client, and whoever holds its token may use it. */
const NO_CLIENT = 'gatehouse'

export function createOAuth(needs: OAuthNeeds, config: OAuthConfig): Service<'oauth'> {
  const introspection = createIntrospection(needs)
  return {
    name: 'oauth',
    endpoints: { token: formEndpoint(token), introspect: formEndpoint(introspect), revoke: formEndpoint(revoke) },
  }

  /** The client first: nobody else learns what is wrong with the rest of the form. */
  function formEndpoint(handle: (client: Client, form: URLSearchParams, call: Call) => Promise<Answer>): Endpoint {
    return {
      async handle(call) {
        try {
          const form = await readForm(call)
          return await handle(await needs.clients.authenticate(call.admitted, form), form, call)
        } catch (error) {
          return answerTo(error)
        }
      },
    }
  }

  async function token(client: Client, form: URLSearchParams, call: Call): Promise<Answer> {
    const fields = fieldsOf(form, TOKEN_FORM)
    if (fields.grant_type === 'client_credentials') return clientCredentials(client, fields)
    if (fields.grant_type === 'refresh_token') return refresh(client, fields, call)
    return refuse('unsupported_grant_type')
  }

  /** RFC 6749 §4.4.3: without a refresh token, since the client can ask again. */
  async function clientCredentials(client: Client, fields: TokenForm): Promise<Answer> {
    const tenant = config.tenants.get(client.tenant)
    if (tenant === undefined) throw new Problem('tenant_not_found')
    const scope = narrowed(fields.scope, client.scopes)
    if (scope === undefined) return refuse('invalid_scope')
    return json(200, await issueClientToken(needs, { tenant, client: client.id, scope }), NO_STORE)
  }

  async function refresh(client: Client, fields: TokenForm, call: Call): Promise<Answer> {
    const { refresh_token: refreshToken, scope: asked } = fields
    if (refreshToken === undefined) return refuse('invalid_request', 'Missing or wrong: refresh_token.')
    let refusal: Answer | undefined
    try {
      const pair = await needs.sessions.refresh({
        token: refreshToken,
        tenant: client.tenant,
        by: by(call, client.id),
        ...(asked === undefined ? {} : { scope: listOf(asked).join(' ') }),
        inspect(session) {
          refusal = refusalOf(session, client, asked)
          if (refusal !== undefined) throw new Problem('invalid_token')
        },
      })
      return json(200, pair, NO_STORE)
    } catch (error) {
      if (refusal !== undefined) return refusal
      if (error instanceof Problem && error.status < 500) return refuse('invalid_grant')
      throw error
    }
  }

  async function introspect(client: Client, form: URLSearchParams, call: Call): Promise<Answer> {
    if (!client.scopes.includes(INTROSPECT)) return refuse('unauthorized_client')
    const fields = fieldsOf(form, PRESENTED_FORM)
    return json(200, await introspection(call.admitted, client, fields.token), NO_STORE)
  }

  /** RFC 7009 §2.2: 200 for tokens that are not known, too, and for those of another tenant. */
  async function revoke(client: Client, form: URLSearchParams, call: Call): Promise<Answer> {
    const fields = fieldsOf(form, PRESENTED_FORM)
    try {
      if (fields.token.startsWith('gwr_')) await endSessionOf(client, fields.token, by(call, client.id))
      else await revokeAccessToken(client, fields.token, by(call, client.id))
    } catch (error) {
      if (!(error instanceof Problem) || error.status >= 500) throw error
      // Refused as a token: there is nothing to revoke.
    }
    return { status: 200, headers: NO_STORE }
  }

  async function endSessionOf(client: Client, refreshToken: string, doer: By): Promise<void> {
    const found = await needs.sessions.findByToken(refreshToken, client.tenant)
    await needs.sessions.endFound(found, `revoked by client ${client.id}`, doer)
  }

  async function revokeAccessToken(client: Client, accessToken: string, doer: By): Promise<void> {
    const principal = await needs.verify(accessToken)
    if (principal.tenant !== client.tenant) return
    await needs.sessions.revokeToken(principal, `revoked by client ${client.id}`, doer)
    needs.tokenEnded?.(accessToken)
  }
}

/** RFC 6749 §6: a refresh token is for the client that it was given to, and never for more than was granted. */
function refusalOf(session: SessionRecord, client: Client, asked: string | undefined): Answer | undefined {
  if (session.clientId !== client.id && session.clientId !== NO_CLIENT) return refuse('invalid_grant')
  return narrowed(asked, listOf(session.scope)) === undefined ? refuse('invalid_scope') : undefined
}

/** The scopes that were asked for, all where none were; undefined when one of them was not granted. */
function narrowed(asked: string | undefined, granted: readonly string[]): string | undefined {
  if (asked === undefined) return granted.join(' ')
  const scopes = listOf(asked)
  return scopes.every((scope) => granted.includes(scope)) ? scopes.join(' ') : undefined
}

/** RFC 6749 §3.3. */
function listOf(scope: string): readonly string[] {
  return [...new Set(scope.split(' '))].filter((one) => one !== '')
}
