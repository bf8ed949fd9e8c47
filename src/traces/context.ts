/** What a trusted proxy says of the trace that its request is part of. */
export interface RemoteContext {
  readonly traceId: string
  readonly spanId: string
  readonly isSampled: boolean
  readonly state?: string
}

/** W3C Trace Context §3.2.2; what a later version adds stands behind a further dash. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/
const VERSION_0_LENGTH = 55
/** §3.3.1.2: key, then a value without commas and equals signs that does not end in a space. */
const MEMBER = /^[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const MOST_MEMBERS = 32
const MOST_STATE_CHARACTERS = 512

/** Undefined where there is none, more than one, or one that is none: then a trace begins here (§3.2.2, §3.3.1.4). */
export function readContext(rawHeaders: readonly string[]): RemoteContext | undefined {
  const [parent, second] = valuesOf(rawHeaders, 'traceparent')
  if (parent === undefined || second !== undefined) return undefined
  const [, version, traceId, spanId, flags] = TRACEPARENT.exec(parent) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (version === '00' && parent.length !== VERSION_0_LENGTH) return undefined
  const state = readState(valuesOf(rawHeaders, 'tracestate'))
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1, ...(state !== undefined && { state }) }
}

/** One that cannot be read is left out as a whole, without hurt to the trace. */
function readState(values: readonly string[]): string | undefined {
  const text = values.join(',')
  if (text === '' || text.length > MOST_STATE_CHARACTERS) return undefined
  const members = text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
  const isGood = members.length > 0 && members.length <= MOST_MEMBERS && members.every((member) => MEMBER.test(member))
  return isGood ? members.join(',') : undefined
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const candidate = rawHeaders[index] ?? ''
    if (candidate.length === name.length && candidate.toLowerCase() === name) values.push(rawHeaders[index + 1] ?? '')
  }
  return values
}
