import { buildSchema, execute } from 'graphql'
import type { TenantConfig } from '../../config/config.ts'
import { Problem } from '../../problem/problem.ts'
import type { Account } from '../accounts/accounts.ts'
import { PROFILE } from '../accounts/bodies.ts'
import { checked } from '../json-body.ts'
import type { Answer, Call } from '../services.ts'
import { callerOf, headerOf } from '../services.ts'
import { tenantInPath, tenantOf } from '../tenant-of-request.ts'
import type { Result } from './answers.ts'
import { answerOf, ofExecution, ofFault, ofProblem } from './answers.ts'
import type { Documents, ReadDocument } from './documents.ts'
import { createDocuments } from './documents.ts'
import { GRAPHQL_REQUEST, type GraphqlConfig, type GraphqlNeeds, type GraphqlRequest } from './graphql.ts'
import { SDL } from './sdl.ts'

/** What is done with a request. */
export interface Running {
  query(call: Call, body: GraphqlRequest): Promise<Answer>
  ask(body: unknown, tenant: string): Promise<Result>
}

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

export function createRunning(needs: GraphqlNeeds, config: GraphqlConfig): Running {
  const schema = buildSchema(SDL)
  const fields = createFields(needs)
  const forClients = createDocuments(schema, 'clients')
  const forOperators = createDocuments(schema, 'operators')
  return { query, ask }

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
