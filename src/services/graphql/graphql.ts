/**
 * GraphQL for pages: whether a username can be had, the user who asks, and the change of their profile.
 *
 * One small schema over the services that do the work; each field says itself who may ask. A request is one operation of
 * bounded size, measured before anything is done for it; each check of a name costs what it costs elsewhere, however it is
 * called. This service keeps nothing but the documents that it has read, never answers a GET, and shows its schema to
 * operators alone.
 *
 * @module
 */
import { buildSchema, execute } from 'graphql'
import { z } from 'zod'
import type { TenantConfig } from '../../config/config.ts'
import { Problem } from '../../problem/problem.ts'
import type { Account, Profiles } from '../accounts/accounts.ts'
import { PROFILE } from '../accounts/bodies.ts'
import { checked, jsonEndpoint } from '../json-body.ts'
import type { Answer, Call, Service } from '../services.ts'
import { callerOf, headerOf } from '../services.ts'
import { tenantInPath, tenantOf } from '../tenant-of-request.ts'
import type { Usernames } from '../usernames/usernames.ts'
import type { Result } from './answers.ts'
import { answerOf, ofExecution, ofFault, ofProblem } from './answers.ts'
import type { Documents, ReadDocument } from './documents.ts'
import { createDocuments } from './documents.ts'
import { SDL } from './sdl.ts'

export { SDL } from './sdl.ts'

export interface GraphqlNeeds {
  readonly names: Pick<Usernames, 'check' | 'spend'>
  readonly profiles: Pick<Profiles, 'find' | 'update'>
}

export interface Graphql {
  readonly service: Service<'graphql'>
  /** For operators: as anyone in a tenant, without a budget, and with introspection. @throws Problem `invalid_request`, `tenant_not_found` */
  ask(body: unknown, tenant: string): Promise<Result>
}

/** GraphQL over HTTP §5.4. `extensions` is for clients' own use. */
export const GRAPHQL_REQUEST = z.strictObject({
  query: z.string(),
  variables: z.record(z.string(), z.unknown()).nullable().optional(),
  operationName: z.string().nullable().optional(),
  extensions: z.record(z.string(), z.unknown()).nullable().optional(),
})

type GraphqlRequest = z.infer<typeof GRAPHQL_REQUEST>

/** Longest name that is repeated in an answer. */
const SHOWN_CHARACTERS = 64

/** Who asks; handed to every field. */
interface Asker {
  readonly tenant: string
  /** As analytics tell askers apart. */
  readonly source: string
  /** Absent: an operator, who is nobody's user. */
  readonly call?: Call
}

/** @param config.tenants - by id */
export function createGraphql(needs: GraphqlNeeds, config: { readonly tenants: ReadonlyMap<string, TenantConfig> }): Graphql {
  const schema = buildSchema(SDL)
  const fields = createFields(needs)
  const forClients = createDocuments(schema, 'clients')
  const forOperators = createDocuments(schema, 'operators')
  return { service: { name: 'graphql', endpoints: { query: jsonEndpoint(GRAPHQL_REQUEST, query) } }, ask }

  async function query(call: Call, body: GraphqlRequest): Promise<Answer> {
    const tenant = tenantOf(call.admitted, config.tenants, { path: tenantInPath(call.admitted.path) })
    return answerOf(await resultFor(call, tenant, body), headerOf(call.admitted, 'accept'))
  }

  async function resultFor(call: Call, tenant: TenantConfig, body: GraphqlRequest): Promise<Result> {
    const document = read(forClients, body.query)
    if ('status' in document) return document
    let spent
    try {
      spent = document.checks === 0 ? undefined : needs.names.spend(tenant, callerIn(call), document.checks)
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      return ofProblem(error)
    }
    const result = await run(document, body, { tenant: tenant.id, source: spent?.source ?? '', call })
    return { ...result, headers: { ...result.headers, ...spent?.headers } }
  }

  async function ask(body: unknown, tenant: string): Promise<Result> {
    const request = checked(body, GRAPHQL_REQUEST)
    if (!config.tenants.has(tenant)) throw new Problem('tenant_not_found')
    const document = read(forOperators, request.query)
    return 'status' in document ? document : run(document, request, { tenant, source: 'operator' })
  }

  async function run({ document }: ReadDocument, { variables, operationName }: GraphqlRequest, asker: Asker): Promise<Result> {
    const result = await execute({
      schema,
      document,
      rootValue: fields,
      contextValue: asker,
      variableValues: variables,
      operationName,
      hideSuggestions: asker.call !== undefined,
    })
    return ofExecution(result)
  }
}

function read(documents: Documents, text: string): ReadDocument | Result {
  const document = documents.read(text)
  return 'errors' in document ? ofFault(document) : document
}

function callerIn({ admitted }: Call): { readonly ip: string; readonly user?: string } {
  const { principal, client: ip } = admitted
  return principal.kind === 'identified' ? { ip, user: principal.user } : { ip }
}

interface ProfileInput {
  readonly username?: string | null
  readonly displayName?: string | null
  readonly holdTicket?: string | null
}

/** The fields of Query and Mutation. Their arguments are what the schema lets through. */
function createFields({ names, profiles }: GraphqlNeeds) {
  return {
    async checkUsernameAvailability({ username }: { readonly username: string }, { tenant, source }: Asker) {
      const { available, reason, suggestions } = await names.check(tenant, username, source)
      // Sixty aliases of one variable would make sixty copies of it.
      const shown = username.length > SHOWN_CHARACTERS ? username.slice(0, SHOWN_CHARACTERS).toWellFormed() : username
      return { available, username: shown, reason: reason ?? null, suggestions: suggestions ?? [] }
    },
    async me(_: unknown, { call }: Asker) {
      if (call === undefined || call.admitted.principal.kind !== 'identified') return null
      return userOf(await profiles.find(call.admitted.principal))
    },
    async updateProfile({ input }: { readonly input: ProfileInput }, { call }: Asker) {
      if (call === undefined) throw new Problem('unauthorized')
      callerOf(call.admitted)
      const { username, display_name: displayName, hold_ticket: holdTicket } = checked(named(input), PROFILE)
      return userOf(await profiles.update(call, { username, displayName, holdTicket }))
    },
  }
}

/** As the same thing is named elsewhere, so that it is held to the same rules. */
function named({ username, displayName, holdTicket }: ProfileInput) {
  return {
    ...(username !== undefined && { username }),
    ...(displayName !== undefined && { display_name: displayName }),
    ...(holdTicket !== undefined && { hold_ticket: holdTicket }),
  }
}

function userOf({ id, username, displayName, email }: Account) {
  return { id, username: username?.shown ?? null, displayName: displayName ?? null, email }
}
