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

/** Whether Redis itself said no, so that nobody had to wait for it. */
export function wasAnswered(error: unknown): boolean {
  if (error instanceof Problem) return wasAnswered(error.cause)
  return error instanceof Error && error.name === 'ReplyError'
}
