import type { Config } from '../config/config.ts'
import { UsageError } from './usage.ts'

export interface ClientArguments {
  readonly tenant: string
  /** With commas or spaces between them. */
  readonly scopes: string
  /** Default: made up. */
  readonly id?: string
  readonly json: boolean
}

const SECRET_BYTES = 32
const ID_BYTES = 4
/** As the configuration takes it. */
const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/
/** RFC 6749 §3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/**
 * Makes the secret of a client and what to write into the configuration. Nothing is stored: what is printed is the only copy.
 *
 * @throws UsageError that says what to write instead
 */
export function createClient(config: Config, given: ClientArguments, randomBytes: (size: number) => Uint8Array): string {
  const { tenant, json } = given
  if (!config.tenants.has(tenant)) throw new UsageError(`there is no tenant ${tenant} in the configuration`)
  const scopes = given.scopes.split(/[\s,]+/).filter((scope) => scope !== '')
  if (!scopes.every((scope) => SCOPE.test(scope)))
    throw new UsageError('--scopes: a scope is visible ASCII without quotes and \\')
  const id = given.id ?? `client-${Buffer.from(randomBytes(ID_BYTES)).toString('hex')}`
  if (!ID.test(id)) throw new UsageError('--id: a name is letters, digits, _ and -, and starts with a letter or digit')
  if (config.clients.has(id)) throw new UsageError(`--id: there is a client ${id} already`)
  const secret = Buffer.from(randomBytes(SECRET_BYTES)).toString('base64url')
  const variable = `${id.toUpperCase().replaceAll('-', '_')}_SECRET`
  if (json) return `${JSON.stringify({ id, tenant, scopes, secret, variable: named(variable) })}\n`
  return `The secret of ${id}; it is shown this once and stored nowhere:

  ${secret}

Give it to the client, and to the gateway as the environment variable ${named(variable)}. Add to the configuration:

clients:
  ${id}: { tenant: ${tenant}, secret: { env: ${named(variable)} }, scopes: [${scopes.map(quoted).join(', ')}] }
`
}

/** A variable cannot start with a digit. */
function named(variable: string): string {
  return /^[0-9]/.test(variable) ? `CLIENT_${variable}` : variable
}

/** YAML's flow style gives , [ ] { } and : # meanings of their own. */
function quoted(scope: string): string {
  return /^[A-Za-z][A-Za-z0-9._:/-]*$/.test(scope) && !scope.endsWith(':') ? scope : JSON.stringify(scope)
}
