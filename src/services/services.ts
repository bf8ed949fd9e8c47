/**
 * What the gateway answers itself: one contract for all built-in services.
 *
 * A service is a name and a table of endpoints. The router chooses the endpoint and the steps before have settled who
 * calls; an endpoint reads its body by a strict schema and answers. Services never see a socket, choose a route or
 * authenticate anyone, and whatever a client sends, the answer to it is no 5xx.
 *
 * @module
 */
import type { z } from 'zod'
import { SERVICE_NAMES, type ServiceName } from '../config/config.ts'
import type { Admitted, EndpointCaller, Identified } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import { endpointsOf, type EndpointName } from './catalogue.ts'

export { endpointsOf } from './catalogue.ts'

/** Largest body that a service reads, unless the endpoint leaves it to the route. */
export const SERVICE_BODY_BYTES = 64 * 1024

/** What the pipeline lends to a service for one request. */
export interface ServiceIo {
  /** @throws Problem `payload_too_large` when the body is larger than `limit` bytes */
  readBody(limit: number): Promise<Buffer>
  /** Name, value, name, value …: the headers that an upstream would receive. */
  forwardedHeaders(): readonly string[]
}

export interface Answer {
  readonly status: number
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>
  /** Set-Cookie lines. */
  readonly cookies?: readonly string[]
  readonly body?: string | Uint8Array
}

export interface Call {
  readonly admitted: Admitted
  readonly io: ServiceIo
}

export type { EndpointCaller } from '../exchange/exchange.ts'

/** What the router needs of an endpoint. */
export interface EndpointInfo {
  readonly name: string
  /** Absent: every method. `GET` takes HEAD too. */
  readonly method: string | undefined
  /** The mount it belongs to, by its end, where a service has several: `/.well-known`, `/t`. Absent: any. */
  readonly under?: string
  /** Below the mount: empty, `/login`, `/{tenant}/.well-known/jwks.json`, or `/*` for all that is below. */
  readonly path: string
  /** `route`: as the route that mounts the service says. */
  readonly auth: 'public' | 'required' | 'optional' | 'route'
  /** Who proves itself to the endpoint, by what is none of the router's kinds. Absent: `auth` says all there is to it. */
  readonly caller?: EndpointCaller
  /** Largest body, bytes. Absent: as the route says. */
  readonly bodyBytes?: number
  /** It ends sessions or tokens: its answer says when that might be lost with the master of the store. */
  readonly ends?: true
}

/** How an endpoint answers; the catalogue has its method, path and authentication. */
export interface Endpoint {
  /** Schema of the JSON body, for the documentation of the endpoint; `handle` has it applied already. */
  readonly body?: z.ZodType
  handle(call: Call): Promise<Answer> | Answer
}

/** A service answers each of its endpoints in the catalogue, and no other. */
export interface Service<N extends ServiceName = ServiceName> {
  readonly name: N
  readonly endpoints: Readonly<Record<EndpointName<N>, Endpoint>>
}

type AnyService = { readonly [N in ServiceName]: Service<N> }[ServiceName]

export interface Services {
  /** Answers a request whose route targets a service; rejects with a Problem. */
  serve(admitted: Admitted, io: ServiceIo): Promise<Answer>
}

/** Says of an ending that it is in force, and that no replica of the store is known to have it yet. */
const UNCONFIRMED = { 'gatehouse-replication': 'unconfirmed' } as const

export interface ServicesNeeds {
  /** Whether no replica of the store is known to have all that this process wrote. Absent: there is none. */
  isUnconfirmed?(): boolean
}

/** @throws Error when a service is there twice */
export function createServices(list: readonly AnyService[], needs: ServicesNeeds = {}): Services {
  const services = new Map<string, ReadonlyMap<string, Endpoint>>()
  for (const { name, endpoints } of list) {
    if (services.has(name)) throw new Error(`the service ${name} is there twice`)
    services.set(name, new Map(Object.entries(endpoints)))
  }
  return {
    async serve(admitted, io) {
      const { target } = admitted.route
      const endpoint = target.kind === 'service' ? services.get(target.service)?.get(target.endpoint) : undefined
      if (endpoint === undefined || target.kind !== 'service')
        throw new Error(`the route ${admitted.route.name} leads to no endpoint`)
      const answer = await endpoint.handle({ admitted, io })
      if (!ENDING.has(`${target.service}.${target.endpoint}`) || needs.isUnconfirmed?.() !== true) return answer
      return { ...answer, headers: { ...answer.headers, ...UNCONFIRMED } }
    },
  }
}

const ENDING: ReadonlySet<string> = new Set(
  SERVICE_NAMES.flatMap((service) =>
    endpointsOf(service)
      .filter((endpoint) => endpoint.ends)
      .map((endpoint) => `${service}.${endpoint.name}`),
  ),
)

/** An answer in JSON. */
export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}

/** Value of the only field of this name (lower case); undefined where there is none or more than one. */
export function headerOf(admitted: Admitted, name: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i < admitted.rawHeaders.length; i += 2) {
    if (admitted.rawHeaders[i]?.toLowerCase() !== name) continue
    if (found !== undefined) return undefined
    found = admitted.rawHeaders[i + 1]
  }
  return found
}

/** The caller of an endpoint that takes nobody anonymous. */
export function callerOf(admitted: Admitted): Identified {
  if (admitted.principal.kind !== 'identified') throw new Problem('unauthorized')
  return admitted.principal
}
