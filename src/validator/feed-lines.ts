import { Problem } from '../problem/problem.ts'
import type { Revocation } from '../revocation/revocation.ts'
import type { FeedHeading } from '../services/revocations/revocations.ts'

const LONGEST_LINE = 65_536

/**
 * Each line as JSON.
 *
 * @param heard called for each piece that comes
 * @throws Problem `storage_unavailable` when the gateway hangs up; Error for what is no such text
 */
export async function* linesIn(body: ReadableStream<Uint8Array>, heard: () => void): AsyncGenerator {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  for await (const piece of unbroken(body)) {
    heard()
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > LONGEST_LINE) throw new Error('a line of the gateway is too long')
    for (const line of lines) yield JSON.parse(line)
  }
  if (rest !== '') throw new Error('the answer of the gateway ends within a line')
}

/** A connection that breaks is a gateway that is away, and no answer that is wrong. */
async function* unbroken(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new Problem('storage_unavailable', { cause })
      })
      if (done) return
      yield value
    }
  } finally {
    // What is not read any more is not waited for; a body that broke has nothing to cancel.
    reader.cancel().catch(() => undefined)
  }
}

/** @throws Error when it is none */
export function headingOf(line: unknown): FeedHeading {
  const { kind, tenant, position, complete, lag_ms: lag } = membersOf(line)
  const isKind = kind === 'whole' || kind === 'tail' || kind === 'restart'
  const isText = typeof tenant === 'string' && tenant !== '' && typeof position === 'string' && position !== ''
  const isLag = lag === null || (typeof lag === 'number' && lag >= 0)
  if (!isKind || !isText || typeof complete !== 'boolean' || !isLag) throw unreadable()
  return { kind, tenant, position, complete, lagMs: lag ?? Number.POSITIVE_INFINITY }
}

/** A fact of the tenant, or how many there were: the end. @throws Error when it is neither */
export function factOf(line: unknown, tenant: string): Revocation | number {
  if (!Array.isArray(line)) {
    const { end } = membersOf(line)
    if (typeof end !== 'number') throw unreadable()
    return end
  }
  const [kind, first, second, third, fourth]: readonly unknown[] = line
  if (kind === 'tenant' && isTime(first) && isTime(second)) return { kind, tenant, at: first, expiresAt: second }
  if (typeof first !== 'string' || !isTime(second)) throw unreadable()
  if (kind === 'token' || kind === 'session' || kind === 'key') return { kind, tenant, id: first, expiresAt: second }
  if (kind !== 'user' || !isTime(third) || !isTime(fourth)) throw unreadable()
  return { kind, tenant, id: first, epoch: second, at: third, expiresAt: fourth }
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function unreadable(): Error {
  return new Error('the gateway told something that is no revocation')
}
