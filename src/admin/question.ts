/** What is asked of the admin listener: by a socket, or by another process that has taken it from one. */
export interface AdminQuestion {
  readonly method: string
  /** Path and query as they were sent. */
  readonly target: string
  /** Name, value, name, value … */
  readonly rawHeaders: readonly string[]
  /** Address of whoever asks. */
  readonly ip: string
  readonly requestId: string
  /** Empty where there is none. */
  readonly contentType: string
  /** The body, which is read when it is wanted. @throws Problem `payload_too_large` */
  readBytes(): Promise<Buffer>
}

export interface AdminAnswer {
  readonly status: number
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
  /**
   * In place of the body: goes on until whoever asked is gone, or does not keep up.
   *
   * @returns called when it is over
   */
  readonly stream?: (send: (text: string) => void) => () => void
}

/** Its page carries nothing that the sources of the gateway do not, and asks for the token itself. */
export const GRAPHQL = '/graphql'
/** The console and its parts, of which the same holds. */
const PAGE = /^\/(?:console\/[a-z-]{1,32}\.(?:js|css|svg))?$/
/** For probes, which carry no token. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/healthz', '/readyz'])

export function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query === -1 ? target : target.slice(0, query)
}

export function isReading({ method }: AdminQuestion): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** Whether it is answered without a token. */
export function isOpen(question: AdminQuestion): boolean {
  const path = pathOf(question.target)
  return OPEN_PATHS.has(path) || ((path === GRAPHQL || PAGE.test(path)) && isReading(question))
}

const JSON_TYPE = 'application/json; charset=utf-8'

export function json(status: number, value: unknown): AdminAnswer {
  return { status, contentType: JSON_TYPE, body: `${JSON.stringify(value ?? null, null, 2)}\n` }
}
