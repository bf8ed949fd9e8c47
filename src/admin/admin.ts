/**
 * The operator's side door: how the gateway is, what it counts, which routes and which configuration it runs; and what
 * operators change: signing keys, users, the tokens of a tenant.
 *
 * It has a listener of its own and never shares a path, a port or a token with the public one. Off the loopback interface
 * it always has a token; on it without one, it answers only those who name it by a loopback name, so that no web page can
 * reach it by a name of its own (DNS rebinding), and changes something only for those who send a header that no web page
 * can (CSRF).
 *
 * @module
 */
import type { AdminListenerConfig } from '../config/config.ts'
import { Problem } from '../problem/problem.ts'
import { readAskedRequest, type AskedRequest } from './asked-request.ts'
import { readObject, readReason } from './body.ts'
import { createAdminFront, type AdminFront } from './front.ts'
import { createGraphqlPage } from './graphql-page.ts'
import { createGuard } from './guard.ts'
import { adminOpenApi } from './openapi.ts'
import { GRAPHQL, isReading, json, pathOf, type AdminAnswer, type AdminQuestion } from './question.ts'
import { findTenantCall } from './tenant-calls.ts'
import type { ChangingCall, TenantCalls } from './tenant-calls.ts'

export { readAskedRequest } from './asked-request.ts'
export type { AdminFront } from './front.ts'
export { createAdminFront } from './front.ts'
export type { AdminAnswer, AdminQuestion } from './question.ts'
export { isReading, json, pathOf } from './question.ts'
export type { Act, TenantCalls, UserSessions } from './tenant-calls.ts'

export interface Readiness {
  readonly status: 'ready' | 'degraded' | 'starting' | 'draining'
  readonly [fact: string]: unknown
}

/** What came of reading the configuration again. */
export interface ReloadReport {
  readonly outcome: 'reloaded' | 'refused'
  /** Of the configuration in force. */
  readonly version: string
  /** Why it was refused: every fault. */
  readonly reasons?: readonly string[]
}

export interface AdminNeeds {
  /** Whether requests should be sent here, and what is degraded. */
  readiness(): Readiness
  /**
   * The metrics, as text.
   *
   * @param accept the field of that name
   */
  scrape(accept?: string): Promise<{ readonly contentType: string; readonly body: string }>
  /** Anything that JSON can say; without secrets. */
  routes(): unknown
  /** Anything that JSON can say; without secrets. */
  config(): unknown
  /** Each upstream with its targets, as they are at present. */
  upstreams(): unknown
  /** The OpenAPI document of what the gateway answers itself. */
  openApi(): unknown
  /** What usernames are asked for, without names or persons. */
  usernames(): unknown
  /** GraphQL for operators. Absent: there is no such path. */
  readonly graphql?: OperatorGraphql
  readonly tenants: TenantCalls
  /** The page for operators and what it shows. Absent: there is none. @returns undefined of what is not its own */
  console?(question: AdminQuestion): AdminAnswer | undefined
  /** What would become of a request, and why; without its token. Absent: there is no such path. */
  explain?(asked: AskedRequest): Promise<unknown>
  /** Reads the configuration again. Absent: there is no such path. */
  reload?(): Promise<ReloadReport>
  /** Told of faults of ours behind a 500. */
  failed?(cause: unknown): void
  /** Whether no replica of the store is known to have all that was written. Absent: there is none. */
  isUnconfirmed?(): boolean
}

export interface OperatorGraphql {
  /** The schema as text. */
  readonly sdl: string
  /** Answers a request in the name of nobody. @throws Problem */
  ask(body: unknown, tenant: string): Promise<{ readonly status: number; readonly body: unknown }>
}

export interface Admin extends AdminFront {
  /**
   * Answers what was let in elsewhere, without a socket.
   *
   * @throws Problem
   */
  answer(question: AdminQuestion): Promise<AdminAnswer>
}

type Endpoint = (question: AdminQuestion) => AdminAnswer | Promise<AdminAnswer>

const READING = 'GET, HEAD'
/** Of an operator who wants the configuration to be read again. */
export const RELOAD = '/reload'
const EXPLAIN = '/explain'
const UNCONFIRMED = { 'gatehouse-replication': 'unconfirmed' } as const
const NO_PATH = { description: 'The admin listener has no such path.' } as const

/** Makes the listener; it listens after `listen`. */
export function createAdmin(needs: AdminNeeds, config: AdminListenerConfig): Admin {
  const guard = createGuard(config)
  const endpoints = createEndpoints(needs)
  const front = createAdminFront({ answer, failed: (cause) => needs.failed?.(cause) }, config)
  return { ...front, answer }

  async function answer(question: AdminQuestion): Promise<AdminAnswer> {
    const path = pathOf(question.target)
    const shown = needs.console?.(question)
    if (shown !== undefined) return shown
    if (path === GRAPHQL && question.method === 'POST' && needs.graphql !== undefined) {
      guard.checkChange(question.rawHeaders)
      return askGraphql(question, needs.graphql)
    }
    if (path === EXPLAIN && needs.explain !== undefined) return askToExplain(question)
    if (path === RELOAD && needs.reload !== undefined) return askToReload(question, () => needs.reload?.(), config)
    const call = findTenantCall(needs.tenants, path)
    const endpoint = call?.method === 'GET' ? async () => json(200, await call.run()) : endpoints.get(path)
    if (call?.method === 'POST') {
      if (question.method !== 'POST') throw new Problem('method_not_allowed', { headers: { allow: 'POST' } })
      guard.checkChange(question.rawHeaders)
      return change(question, call)
    }
    if (endpoint === undefined) throw new Problem('no_route', NO_PATH)
    if (!isReading(question)) throw new Problem('method_not_allowed', { headers: { allow: READING } })
    return endpoint(question)
  }

  async function askToExplain(question: AdminQuestion): Promise<AdminAnswer> {
    if (question.method !== 'POST') throw new Problem('method_not_allowed', { headers: { allow: 'POST' } })
    guard.checkChange(question.rawHeaders)
    return json(200, await needs.explain?.(readAskedRequest(await readObject(question))))
  }

  async function askGraphql(question: AdminQuestion, graphql: OperatorGraphql): Promise<AdminAnswer> {
    const tenant = new URLSearchParams(question.target.slice(GRAPHQL.length + 1)).get('tenant') ?? 'default'
    const { status, body } = await graphql.ask(await readObject(question), tenant)
    return json(status, body)
  }

  async function change(question: AdminQuestion, call: ChangingCall): Promise<AdminAnswer> {
    const reason = (await readReason(question)) ?? 'operator'
    const { ip, requestId } = question
    const answered = json(200, await call.run({ actor: 'admin', reason, ip, requestId }))
    return needs.isUnconfirmed?.() === true ? { ...answered, headers: UNCONFIRMED } : answered
  }
}

/** Reads the configuration again: 200 where it is in force, 422 with every fault where it is not and nothing has changed. */
export async function askToReload(
  question: AdminQuestion,
  reload: () => Promise<ReloadReport | undefined> | undefined,
  config: AdminListenerConfig,
): Promise<AdminAnswer> {
  if (question.method !== 'POST') throw new Problem('method_not_allowed', { headers: { allow: 'POST' } })
  createGuard(config).checkChange(question.rawHeaders)
  const report = await reload()
  return json(report?.outcome === 'reloaded' ? 200 : 422, report)
}

function createEndpoints(needs: AdminNeeds): ReadonlyMap<string, Endpoint> {
  return new Map<string, Endpoint>([
    ['/healthz', () => json(200, { status: 'ok' })],
    ['/readyz', () => ready(needs.readiness())],
    ['/metrics', async ({ rawHeaders }) => ({ status: 200, ...(await needs.scrape(acceptOf(rawHeaders))) })],
    ['/routes', () => json(200, needs.routes())],
    ['/config', () => json(200, needs.config())],
    ['/upstreams', () => json(200, needs.upstreams())],
    ['/openapi.json', async () => json(200, await needs.openApi())],
    ['/openapi-admin.json', () => json(200, adminOpenApi())],
    ['/usernames/analytics', () => json(200, needs.usernames())],
    ...graphqlPage(needs.graphql),
  ])
}

/** The first `Accept`; Prometheus sends one. */
export function acceptOf(rawHeaders: readonly string[]): string {
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'accept')
  return at === -1 ? '' : (rawHeaders[at + 1] ?? '')
}

function graphqlPage(graphql: OperatorGraphql | undefined): readonly (readonly [string, Endpoint])[] {
  if (graphql === undefined) return []
  const { html: body, policy } = createGraphqlPage(graphql.sdl)
  const headers = { 'content-security-policy': policy }
  return [[GRAPHQL, () => ({ status: 200, contentType: 'text/html; charset=utf-8', body, headers })]]
}

function ready(readiness: Readiness): AdminAnswer {
  return json(readiness.status === 'ready' || readiness.status === 'degraded' ? 200 : 503, readiness)
}
