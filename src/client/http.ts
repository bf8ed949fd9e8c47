import { errorOf, GatehouseError, UnreachableError, type ErrorFacts } from '../errors/errors.ts'

export interface HttpSettings {
  readonly origin: string
  readonly fetch: typeof globalThis.fetch
  /** Of one attempt. */
  readonly timeoutMs: number
  /** Further attempts of what can be done twice without harm. */
  readonly retries: number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** From 0, below 1. */
  random(): number
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  /** Value of `authorization`; a secret. */
  readonly authorization?: string | undefined
  readonly json?: Readonly<Record<string, unknown>>
  readonly form?: Readonly<Record<string, string | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  /** Whether doing it twice is the same as once. Only such calls are tried again. */
  readonly repeatable: boolean
}

export interface Reply {
  readonly status: number
  /** The JSON of the body; undefined where there is none. */
  readonly body: unknown
  readonly headers: Headers
}

/** Sends a call and waits for its answer. Rejects with a {@link GatehouseError} for everything but a success. */
export type Send = (call: Call) => Promise<Reply>

/** Answers are small: what is larger is none of a gateway. */
const MAX_BYTES = 4 * 1024 * 1024
const FIRST_WAIT_MS = 100
/** Nobody is kept waiting longer by what the gateway asks for: the caller is told instead. */
const LONGEST_WAIT_MS = 2_000
/** Not carried out: nothing was there to do it. */
const AGAIN: ReadonlySet<number> = new Set([0, 502, 503, 504])

export function createSend(settings: HttpSettings): Send {
  return async function send(call) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await once(call, attempt)
      } catch (error) {
        const waitMs = waitAfter(error, attempt)
        if (!call.repeatable || attempt >= settings.retries || waitMs === undefined) throw error
        await new Promise<void>((resolve) => void settings.schedule(waitMs, resolve))
      }
    }
  }

  /** How long to wait before the next attempt; undefined: none is made. */
  function waitAfter(error: unknown, attempt: number): number | undefined {
    if (!(error instanceof GatehouseError) || !AGAIN.has(error.status)) return undefined
    const askedMs = (error.retryAfterSeconds ?? 0) * 1000
    if (askedMs > LONGEST_WAIT_MS) return undefined
    return Math.max(askedMs, FIRST_WAIT_MS * 2 ** attempt * (0.5 + settings.random() / 2))
  }

  async function once(call: Call, attempt: number): Promise<Reply> {
    const controller = new AbortController()
    const cancel = settings.schedule(settings.timeoutMs, () => controller.abort())
    try {
      const response = await fetchAnswer(call, controller.signal)
      const text = await readBounded(response)
      // The first attempt may have done it, and its answer was lost.
      if (attempt > 0 && call.method === 'DELETE' && response.status === 404)
        return { status: 204, body: undefined, headers: response.headers }
      if (response.ok) return { status: response.status, body: parsed(text), headers: response.headers }
      throw refusal(response, text)
    } finally {
      cancel()
    }
  }

  async function fetchAnswer({ method, path, authorization, json, form, headers }: Call, signal: AbortSignal): Promise<Response> {
    const body = json === undefined ? form && formText(form) : JSON.stringify(json)
    const type = json === undefined ? 'application/x-www-form-urlencoded' : 'application/json'
    try {
      return await settings.fetch(`${settings.origin}${path}`, {
        method,
        // A token goes where it was meant to, and nowhere else.
        redirect: 'error',
        signal,
        headers: {
          accept: 'application/json',
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined ? {} : { 'content-type': type }),
          ...headers,
        },
        ...(body === undefined ? {} : { body }),
      })
    } catch (cause) {
      throw new UnreachableError(undefined, { reason: signal.aborted ? 'timeout' : 'connection', cause })
    }
  }
}

async function readBounded({ body }: Response): Promise<string> {
  try {
    return body === null ? '' : await new Blob(await chunksOf(body)).text()
  } catch (cause) {
    throw cause instanceof UnreachableError ? cause : new UnreachableError(undefined, { reason: 'cut', cause })
  }
}

async function chunksOf(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>[]> {
  const chunks: Uint8Array<ArrayBuffer>[] = []
  // Not every browser can iterate over a body.
  const reader = body.getReader()
  for (let bytes = 0; ;) {
    const { value, done } = await reader.read()
    if (done) return chunks
    bytes += value.byteLength
    chunks.push(value)
    if (bytes <= MAX_BYTES) continue
    await reader.cancel()
    throw new UnreachableError(undefined, { reason: 'too_large' })
  }
}

/** @throws UnreachableError for what is no JSON: something between answered in place of the gateway */
function parsed(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new UnreachableError(undefined, { reason: 'not_json', cause })
  }
}

/** What the gateway says of a refusal (RFC 9457, RFC 6749 §5.2), as an error. */
function refusal(response: Response, text: string): GatehouseError {
  const body = membersOf(safely(text))
  const code = body['error']
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  const requestId = response.headers.get('x-request-id') ?? undefined
  const reason = reasonIn(body['type'])
  const facts: ErrorFacts = {
    status: response.status,
    ...(reason === undefined ? {} : { reason }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(Number.isFinite(seconds) ? { retryAfterSeconds: seconds } : {}),
    ...(Array.isArray(body['fields']) ? { fields: body['fields'].flatMap(fieldOf) } : {}),
    ...(Array.isArray(body['suggestions']) ? { suggestions: body['suggestions'].map(String) } : {}),
  }
  const description = body['error_description']
  const message = typeof description === 'string' ? description : undefined
  if (typeof code === 'string' && code !== '') return errorOf(code, message, facts)
  return new UnreachableError(`the answer was ${response.status} and not from a gateway`, { ...facts, reason: 'not_a_gateway' })
}

/** The row of the gateway's table of answers: finer than the code. */
function reasonIn(type: unknown): string | undefined {
  return typeof type === 'string' && type.startsWith(TYPE) ? type.slice(TYPE.length) : undefined
}

const TYPE = 'urn:gatehouse:problem:'

function safely(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The status says enough.
    return undefined
  }
}

function fieldOf(value: unknown): { readonly field: string; readonly message: string }[] {
  const { field, message } = membersOf(value)
  return typeof field === 'string' && typeof message === 'string' ? [{ field, message }] : []
}

function formText(form: Readonly<Record<string, string | undefined>>): string {
  const named = Object.entries(form).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  return new URLSearchParams(named).toString()
}

/** The members of a JSON object; none for anything else. */
export function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {}
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
