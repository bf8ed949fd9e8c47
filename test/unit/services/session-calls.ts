/** Calls of the sessions service, and what they answer, in few words. */
import type { Identified } from '../../../src/exchange/exchange.ts'
import { Problem } from '../../../src/problem/problem.ts'
import type { Answer } from '../../../src/services/services.ts'
import { basic } from '../../support/clients.ts'
import type { Request, World } from './world.ts'
import { bodyOf, SECRETS } from './world.ts'

export type ClientName = keyof typeof SECRETS

export interface Pair {
  readonly access_token: string
  readonly refresh_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly refresh_expires_in: number
  readonly session_id: string
  readonly scope: string
}

export function as(client: ClientName): readonly string[] {
  return ['Authorization', basic(client, SECRETS[client])]
}

/** Body of a creation that is good for the client of the tenant acme. */
export const CREATION = { tenant_id: 'acme', user_id: 'u1', scope: 'orders:read' } as const

export function call(world: World, endpoint: string, body?: unknown, more: Partial<Request> = {}): Promise<Answer | Problem> {
  return world.ask({ service: 'sessions', endpoint, path: '/sessions', ...(body === undefined ? {} : { body }), ...more })
}

export function isPair(value: unknown): value is Pair {
  return typeof value === 'object' && value !== null && 'access_token' in value && 'refresh_token' in value
}

export function pairOf(answer: Answer | Problem): Pair {
  const body = bodyOf(answer)
  if (!isPair(body)) throw new Error(`no pair: ${JSON.stringify(body)}`)
  return body
}

/** A new session of the tenant acme, unless told otherwise. */
export async function created(world: World, changes: Readonly<Record<string, unknown>> = {}): Promise<Pair> {
  const body = { ...CREATION, ...changes }
  const client = body.tenant_id === 'acme' ? 'acme-backend' : 'default-backend'
  return pairOf(await call(world, 'create', body, { headers: as(client) }))
}

export function refresh(world: World, token: string): Promise<Answer | Problem> {
  return call(world, 'refresh', { refresh_token: token })
}

/** The principal of an access token, or why it is refused. */
export async function standing(world: World, accessToken: string): Promise<string> {
  const principal = await world.identify(accessToken)
  return principal instanceof Problem ? principal.kind : 'good'
}

export async function principalOf(world: World, accessToken: string): Promise<Identified> {
  const principal = await world.identify(accessToken)
  if (principal instanceof Problem) throw principal
  return principal
}

/** Status, or the kind of the problem. */
export function kindOf(answer: Answer | Problem): string | number {
  return answer instanceof Problem ? answer.kind : answer.status
}
