import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerTo } from './answer.ts'
import type { Credentialed } from './credentials.ts'
import { noteIdentity, type Identity } from './identity.ts'

/** What a route asks of its callers. */
export interface Requirements {
  /** `optional`: somebody without credentials comes in anonymous; bad ones are refused all the same. Default: `required`. */
  readonly auth?: 'required' | 'optional'
  /** All of them are needed of whoever is identified. */
  readonly scopes?: readonly string[]
}

export interface MiddlewareOptions extends Requirements {
  /** Who answers a refusal: this library, as a gateway would, or the error handler of the framework. Default: `answer`. */
  readonly refusals?: 'answer' | 'pass'
}

/** A middleware of Express, Connect and their kin. */
export type ExpressMiddleware = (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void

/** What is used of a request of Fastify. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage
}

/** What is used of a reply of Fastify. */
export interface FastifyReplyLike {
  code(status: number): unknown
  headers(values: Record<string, string>): unknown
  send(payload: string): unknown
}

/** A hook of Fastify: for `onRequest`, of the whole server or of a route. */
export type FastifyHook = (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<unknown>

/** Rejects with the error of the refusal; undefined: somebody anonymous, where that is allowed. */
export type Authenticate = (request: Credentialed, requirements?: Requirements) => Promise<Identity | undefined>

type Listener<Who> = (request: IncomingMessage, response: ServerResponse, identity: Who) => unknown

export interface Middleware {
  /** Puts a listener of node:http behind the gate: it is called with the identity, and only with one. */
  protect(listener: Listener<Identity>, requirements?: Requirements & { readonly auth?: 'required' }): ProtectedListener
  protect(listener: Listener<Identity | undefined>, requirements: Requirements): ProtectedListener
  /** For Express: `app.use(gate.express())`. Handlers ask `identityOf(request)`. */
  express(options?: MiddlewareOptions): ExpressMiddleware
  /** For Fastify: `app.addHook('onRequest', gate.fastify())`. Handlers ask `identityOf(request)`. */
  fastify(options?: MiddlewareOptions): FastifyHook
}

/** Settles when the listener does, and rejects with what it throws: that is not taken for a refusal. */
export type ProtectedListener = (request: IncomingMessage, response: ServerResponse) => Promise<void>

export function createMiddleware(authenticate: Authenticate): Middleware {
  return { protect, express, fastify }

  function protect(listener: Listener<Identity>, requirements?: Requirements): ProtectedListener
  function protect(listener: Listener<Identity | undefined>, requirements: Requirements): ProtectedListener
  function protect(listener: Listener<never>, requirements: Requirements = {}): ProtectedListener {
    return async (request, response) => {
      const outcome = await identify(request, requirements)
      if ('error' in outcome) return answer(request, response, outcome.error)
      await Reflect.apply(listener, undefined, [request, response, outcome.identity])
    }
  }

  function express(options: MiddlewareOptions = {}): ExpressMiddleware {
    return (request, response, next) => {
      void pass(request, response, next)
    }

    async function pass(request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): Promise<void> {
      const outcome = await identify(request, options)
      if (!('error' in outcome)) return next()
      if (options.refusals === 'pass') return next(outcome.error)
      answer(request, response, outcome.error)
    }
  }

  function fastify(options: MiddlewareOptions = {}): FastifyHook {
    return async ({ raw }, reply) => {
      const outcome = await identify(raw, options)
      if (!('error' in outcome)) return undefined
      if (options.refusals === 'pass') throw outcome.error
      const { status, headers, body } = answerTo(outcome.error, raw.headers['x-request-id'])
      reply.code(status)
      reply.headers(headers)
      reply.send(body)
      return reply
    }
  }

  /** Never rejects. */
  async function identify(
    request: IncomingMessage,
    requirements: Requirements,
  ): Promise<{ readonly identity: Identity | undefined } | { readonly error: unknown }> {
    try {
      const identity = await authenticate(request, requirements)
      if (identity !== undefined) noteIdentity(request, identity)
      return { identity }
    } catch (error) {
      return { error }
    }
  }
}

function answer(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const { status, headers, body } = answerTo(error, request.headers['x-request-id'])
  response.writeHead(status, headers)
  response.end(request.method === 'HEAD' ? undefined : body)
}
