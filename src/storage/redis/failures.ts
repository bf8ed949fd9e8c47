import { Problem } from '../../problem/problem.ts'

/** Codes of Redis that tell of a fault of ours; any other error is a server that cannot serve now. */
const OUR_FAULTS: ReadonlySet<string> = new Set(['ERR', 'WRONGTYPE', 'CROSSSLOT', 'NOSCRIPT'])

/** Redis' own error code, the first word of what it answers; undefined for anything that Redis did not answer. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined
  return error.message.slice(0, error.message.indexOf(' '))
}

export function isOurFault(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && OUR_FAULTS.has(code)
}

/** Codes of a server that answers whoever reads, and takes no writes: out of memory or of disk, a replica, a master without enough of them. */
const REFUSES_WRITES: ReadonlySet<string> = new Set(['OOM', 'MISCONF', 'READONLY', 'NOREPLICAS'])

export function refusesWrites(error: unknown): boolean {
  const code = codeOf(error)
  return code !== undefined && REFUSES_WRITES.has(code)
}

/** The client's errors carry the command with its arguments, which are nobody's business in a log. */
export function withoutArguments(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('Redis failed')
  const clean = new Error(error.message.split(', with args beginning with')[0])
  clean.name = error.name
  return 'code' in error ? Object.assign(clean, { code: error.code }) : clean
}

/**
 * A Redis that cannot be used at a start, for whoever has to see to it: which one, and why.
 *
 * @param places - where it is, without user and password
 */
export function unusable(error: unknown, places: string): unknown {
  if (!(error instanceof Problem) || !(error.cause instanceof Error)) return error
  const { cause } = error
  // Of a name with several addresses the error says nothing but its code; of sentinels, when they would be asked again.
  const why = cause.message === '' && 'code' in cause ? String(cause.code) : cause.message.replace(/ Retrying [^:]{0,80}ms\./, '')
  return new Problem('storage_unavailable', { ...error.facts, cause: new Error(`Redis at ${places} cannot be used: ${why}`) })
}

/** The connection broke while a command was under way: whether it happened is unknown. */
export class Broken extends Error {}

/** Whether nobody had to wait for the failure: Redis itself said no, or the connection broke, which is tried again at once. */
export function wasQuick(error: unknown): boolean {
  if (error instanceof Problem) return wasQuick(error.cause)
  return error instanceof Broken || (error instanceof Error && error.name === 'ReplyError')
}
