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
import { z } from 'zod'
import type { TenantConfig } from '../../config/config.ts'
import type { Profiles } from '../accounts/accounts.ts'
import { jsonEndpoint } from '../json-body.ts'
import type { Service } from '../services.ts'
import type { Usernames } from '../usernames/usernames.ts'
import type { Result } from './answers.ts'
import type { Running } from './running.ts'

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

export type GraphqlRequest = z.infer<typeof GRAPHQL_REQUEST>

export interface GraphqlConfig {
  /** By id. */
  readonly tenants: ReadonlyMap<string, TenantConfig>
}

export function createGraphql(needs: GraphqlNeeds, config: GraphqlConfig): Graphql {
  let running: Promise<Running> | undefined
  return {
    service: {
      name: 'graphql',
      endpoints: { query: jsonEndpoint(GRAPHQL_REQUEST, async (call, body) => (await run()).query(call, body)) },
    },
    ask: async (body, tenant) => (await run()).ask(body, tenant),
  }

  /** Read with the first request: the language takes 15 MB, which a gateway that nobody asks in it does not need. */
  function run(): Promise<Running> {
    running ??= import('./running.ts').then(({ createRunning }) => createRunning(needs, config))
    return running
  }
}
