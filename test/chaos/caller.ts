/** Calls one gateway over kept connections and tells what came of it; never rejects, because failing is what is looked for. */
import { Agent, request } from 'node:http'

export interface Answer {
  /** 0 where there was none. */
  readonly status: number
  /** The `error` of a refusal; of a connection what it died of; empty for a success. */
  readonly error: string
  readonly retryAfter: string | undefined
  readonly body: unknown
  /** `performance.now()` of the sending, and of the end of the answer. */
  readonly sentMs: number
  readonly doneMs: number
}

export interface Caller {
  readonly port: number
  get(path: string, token: string, method?: 'GET' | 'POST'): Promise<Answer>
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>
  close(): void
}

/** Longer than anything that the gateway waits for. */
const PATIENCE_MS = 15_000

export function createCaller(port: number): Caller {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 })
  return {
    port,
    get: (path, token, method = 'GET') => call(method, path, { authorization: `Bearer ${token}` }, undefined),
    post: (path, body, headers = {}) =>
      call('POST', path, { ...headers, 'content-type': 'application/json' }, JSON.stringify(body)),
    close: () => agent.destroy(),
  }

  function call(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: string | undefined,
  ): Promise<Answer> {
    const sentMs = performance.now()
    return new Promise((resolve) => {
      const length = String(Buffer.byteLength(body ?? ''))
      const req = request({
        port,
        host: '127.0.0.1',
        agent,
        method,
        path,
        headers: method === 'GET' ? headers : { ...headers, 'content-length': length },
        timeout: PATIENCE_MS,
      })
      const failed = (error: string): void =>
        resolve({ status: 0, error, retryAfter: undefined, body: undefined, sentMs, doneMs: performance.now() })
      req.on('timeout', () => req.destroy(new Error('no answer')))
      req.on('error', (error) => failed(error.message))
      req.on('response', (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('error', (error) => failed(error.message))
        res.on('end', () => {
          const status = res.statusCode ?? 0
          const parsed = parse(Buffer.concat(chunks).toString())
          const error = status < 300 ? '' : errorOf(parsed)
          resolve({ status, error, retryAfter: res.headers['retry-after'], body: parsed, sentMs, doneMs: performance.now() })
        })
      })
      req.end(body)
    })
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // An answer without body, or with one that is not JSON, has no error of ours.
    return undefined
  }
}

function errorOf(body: unknown): string {
  return typeof body === 'object' && body !== null && 'error' in body ? String(body.error) : 'no error of ours'
}
