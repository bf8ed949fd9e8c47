import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AdminListenerConfig } from '../config/config.ts'
import { Problem, describeProblem } from '../problem/problem.ts'
import { readBytes } from './body.ts'
import { createGuard } from './guard.ts'
import { isOpen, type AdminAnswer, type AdminQuestion } from './question.ts'

export interface AdminFrontNeeds {
  /** Answers what was let in. @throws Problem */
  answer(question: AdminQuestion): Promise<AdminAnswer>
  /** Told of faults of ours behind a 500. */
  failed?(cause: unknown): void
}

export interface AdminFront {
  /** Rejects when the address cannot be had. */
  listen(): Promise<{ readonly host: string; readonly port: number }>
  /** Stops listening and cuts every connection. */
  close(): Promise<void>
}

const SAFETY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
} as const
/** Operators and their machines, not clients. */
const LIMITS = {
  connections: 128,
  headerBytes: 16 * 1024,
  headersMs: 5000,
  requestMs: 10_000,
  keepAliveMs: 75_000,
  idleMs: 30_000,
  unreadBytes: 4 * 1024 * 1024,
} as const

/** The socket, and who may ask: what is answered is somebody else's. Listens after `listen`. */
export function createAdminFront(needs: AdminFrontNeeds, config: AdminListenerConfig): AdminFront {
  const guard = createGuard(config)
  const server = createLimitedServer((req, res) => void serve(req, res))
  let requests = 0
  return { listen, close }

  function listen(): Promise<{ host: string; port: number }> {
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: config.host, port: config.port }, () => {
        server.off('error', reject)
        server.on('error', (cause) => needs.failed?.(cause))
        resolve(addressOf(server.address(), config))
      })
    })
  }

  function close(): Promise<void> {
    return new Promise((resolve) => {
      // Called when it was never listening, it reports so; there is nothing left to do either way.
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }

  /** Never rejects. */
  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    requests += 1
    const requestId = `admin-${requests}`
    // Few of the endpoints take a body, and nothing waits for the rest of one.
    if (hasBody(req)) res.shouldKeepAlive = false
    try {
      write(req, res, await answer(questionOf(req, requestId)))
    } catch (thrown) {
      refuse(req, res, Problem.from(thrown), requestId)
    }
  }

  async function answer(question: AdminQuestion): Promise<AdminAnswer> {
    guard.checkHost(question.rawHeaders)
    guard.checkSite(question.method, question.rawHeaders)
    if (!isOpen(question)) guard.checkToken(question.rawHeaders)
    return needs.answer(question)
  }

  function refuse(req: IncomingMessage, res: ServerResponse, problem: Problem, requestId: string): void {
    if (problem.status >= 500) needs.failed?.(problem.facts.cause)
    const { status, headers, body } = describeProblem(problem, requestId)
    res.writeHead(status, { ...SAFETY_HEADERS, ...headers })
    res.end(req.method === 'HEAD' ? undefined : body)
  }
}

function questionOf(req: IncomingMessage, requestId: string): AdminQuestion {
  return {
    method: req.method ?? '',
    target: req.url ?? '',
    rawHeaders: req.rawHeaders,
    ip: req.socket.remoteAddress ?? '',
    requestId,
    contentType: req.headers['content-type'] ?? '',
    readBytes: () => readBytes(req),
  }
}

function createLimitedServer(serve: (req: IncomingMessage, res: ServerResponse) => void): Server {
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: LIMITS.headersMs,
      requestTimeout: LIMITS.requestMs,
      keepAliveTimeout: LIMITS.keepAliveMs,
      connectionsCheckingInterval: 1000,
    },
    serve,
  )
  server.maxConnections = LIMITS.connections
  server.setTimeout(LIMITS.idleMs)
  return server
}

function write(req: IncomingMessage, res: ServerResponse, answer: AdminAnswer): void {
  if (answer.stream !== undefined) return writeStream(res, answer, answer.stream)
  const { status, contentType, body, headers } = answer
  res.writeHead(status, {
    ...SAFETY_HEADERS,
    ...headers,
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
  })
  res.end(req.method === 'HEAD' ? undefined : body)
}

/** Whoever reads slower than it comes is cut: what is not taken would pile up here. */
function writeStream(
  res: ServerResponse,
  { status, contentType, headers }: AdminAnswer,
  stream: NonNullable<AdminAnswer['stream']>,
): void {
  res.writeHead(status, { ...SAFETY_HEADERS, ...headers, 'content-type': contentType })
  res.flushHeaders()
  const stop = stream((text) => {
    if (res.destroyed) return
    if (res.writableLength > LIMITS.unreadBytes) res.destroy()
    else res.write(text)
  })
  if (res.destroyed) stop()
  else res.once('close', stop)
}

function hasBody(req: IncomingMessage): boolean {
  const length = req.headers['content-length']
  return req.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

function addressOf(address: AddressInfo | string | null, config: AdminListenerConfig): { host: string; port: number } {
  if (address === null || typeof address === 'string') return { host: config.host, port: config.port }
  return { host: address.address, port: address.port }
}
