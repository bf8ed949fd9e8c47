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

/** The client's errors carry the command with its arguments, which are nobody's business in a log. */
export function withoutArguments(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('Redis failed')
  const clean = new Error(error.message.split(', with args beginning with')[0])
  clean.name = error.name
  return clean
}

/** The connection broke while a command was under way: whether it happened is unknown. */
export class Broken extends Error {}

/** Whether nobody had to wait for the failure: Redis itself said no, or the connection broke, which is tried again at once. */
export function wasQuick(error: unknown): boolean {
  if (error instanceof Problem) return wasQuick(error.cause)
  return error instanceof Broken || (error instanceof Error && error.name === 'ReplyError')
}
