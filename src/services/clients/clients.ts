/**
 * Says which registered client sends a request, by the one way in which it proves itself.
 *
 * A client that is not known and one whose proof is wrong are answered alike, in words and in work. This room keeps no
 * secret as it was given, gives no client more than the configuration does, and never decides what a client may do.
 *
 * @module
 */
import type { Config, JwsAlgorithm } from '../../config/config.ts'
import type { Admitted } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import { endpointsOfTenant } from '../oauth-endpoints.ts'
import type { AssertionCheck, UsedAssertions, VerifyJwt } from './assertion.ts'
import { createAssertionCheck } from './assertion.ts'
import type { Presented } from './credentials.ts'
import { readCredentials } from './credentials.ts'
import { createFailures, type Failures } from './failures.ts'
import { createSecretCheck } from './secrets.ts'

export type { UsedAssertions } from './assertion.ts'
export type { Failures } from './failures.ts'
export { createFailures } from './failures.ts'

/** Ways in which a client may prove itself, as they are registered with IANA (RFC 8414 §2, RFC 7591 §2). */
export const CLIENT_METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const

/** Algorithms of a client's assertion. Each key is for one of them. */
export const ASSERTION_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const

/** A client that proved itself. Only this room makes one. */
export interface Client {
  readonly id: string
  readonly tenant: string
  readonly scopes: readonly string[]
}

export interface Clients {
  /**
   * The client that sends the request.
   *
   * @param form - the body, where it is a form: it may carry the proof; without one, only HTTP Basic is looked at
   * @throws Problem `invalid_request` when more than one proof is sent, `unauthorized` with a Basic challenge when there is
   * none or it is not right, `rate_limited` after too many failures, `tenant_mismatch` at the host of another tenant, `storage_unavailable`
   * when it cannot be told whether an assertion was used before
   */
  authenticate(admitted: Admitted, form?: URLSearchParams): Promise<Client>
}

export interface ClientsNeeds {
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Monotonic, milliseconds. */
  nowMs(): number
  /** Makes the verifier of a client's keys; throws when none of them can be used. */
  verifier(keys: readonly unknown[], algorithms: ReadonlySet<JwsAlgorithm>): VerifyJwt
  readonly used: UsedAssertions
  /** What slows down guessing. Absent: one of its own. */
  readonly failures?: Failures
  /** A client has proved itself for this request. @throws Problem `rate_limited` */
  proved?(admitted: Admitted, client: Client): void | Promise<void>
}

export type ClientsConfig = Pick<Config, 'clients' | 'tenants' | 'routes' | 'listeners'>

const CHALLENGE = { 'www-authenticate': 'Basic realm="gatehouse", charset="UTF-8"' } as const
const HOW_TO = 'Authenticate as a client of this tenant: HTTP Basic with client id and secret.'

/** @throws Error when none of a client's keys can be used */
export function createClients(needs: ClientsNeeds, config: ClientsConfig): Clients {
  const failures = needs.failures ?? createFailures(needs)
  const secrets = createSecretCheck(config.clients.values())
  const known = new Map([...config.clients.values()].map(({ id, tenant, scopes }) => [id, { id, tenant, scopes }]))
  const assertions = createAssertions(needs, config)
  return { authenticate }

  async function authenticate(admitted: Admitted, form?: URLSearchParams): Promise<Client> {
    const presented = readCredentials(admitted, form)
    if (presented === undefined) throw refused()
    const attempt = failures.begin(admitted.client, presented.id)
    const client = (await isRight(presented)) ? known.get(presented.id) : undefined
    if (client === undefined) {
      attempt.failed()
      throw refused()
    }
    // At the host of another tenant there is no such client, whatever it can prove.
    if (admitted.tenant !== undefined && admitted.tenant !== client.tenant) throw new Problem('tenant_mismatch')
    await needs.proved?.(admitted, client)
    return client
  }

  function isRight(presented: Presented): boolean | Promise<boolean> {
    if (presented.kind === 'secret') return secrets.isRight(presented.id, presented.spellings)
    if (presented.kind === 'unreadable') return false
    return assertions.get(presented.id)?.(presented.assertion) ?? false
  }
}

function createAssertions(needs: ClientsNeeds, config: ClientsConfig): ReadonlyMap<string, AssertionCheck> {
  const algorithms = new Set<JwsAlgorithm>(ASSERTION_ALGORITHMS)
  const checks = new Map<string, AssertionCheck>()
  for (const { id, tenant: tenantId, keys } of config.clients.values()) {
    const tenant = config.tenants.get(tenantId)
    if (keys === undefined || tenant === undefined) continue
    const verify = withContext(`clients.${id}`, () => needs.verifier(keys, algorithms))
    // RFC 7523 §3: the token endpoint or the issuer. Clients say one of them at the other endpoints too.
    const token = endpointsOfTenant(tenant, config)?.token
    const audiences = new Set([tenant.issuer, ...(token === undefined ? [] : [token])])
    const check = { verify, used: needs.used, nowSeconds: () => needs.nowSeconds() }
    checks.set(id, createAssertionCheck(check, { id, tenant: tenantId }, audiences))
  }
  return checks
}

function withContext<T>(where: string, make: () => T): T {
  try {
    return make()
  } catch (cause) {
    throw new Error(`${where}: ${cause instanceof Error ? cause.message : 'its keys cannot be read'}`, { cause })
  }
}

function refused(): Problem {
  return new Problem('unauthorized', { description: HOW_TO, headers: CHALLENGE })
}
