import { fieldOf, isGrpc, type RequestMessage } from '../exchange/exchange.ts'
import { describeProblem, describeRefusal, type Problem } from '../problem/problem.ts'

/** The status that a client of gRPC gives a call that was answered with a status of HTTP (grpc: http-grpc-status-mapping). */
const GRPC_STATUS: ReadonlyMap<number, number> = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
])
const UNKNOWN = 2
/** What tells of a body that is not there. */
const OF_BODY: ReadonlySet<string> = new Set(['content-type', 'content-length'])

/**
 * Whether who asks looks for a refusal among the trailers. A call is a POST; what is none gets the status that everybody
 * counts, whatever it says of its content.
 */
export function asksGrpc(req: RequestMessage): boolean {
  return req.httpVersion === '2.0' && req.method === 'POST' && isGrpc(fieldOf(req, 'content-type'))
}

/**
 * The fields of an answer by trailers alone: the status that the refusal is to gRPC, what to do about it as its message, and
 * its stable code under a name of ours. Everything else that a refusal says in fields stays.
 */
export function grpcFields(problem: Problem, requestId: string): Record<string, string> {
  const { status, headers } = describeProblem(problem, requestId)
  const { error, error_description: message } = describeRefusal(problem)
  const fields: Record<string, string> = { 'content-type': 'application/grpc' }
  for (const name in headers) if (!OF_BODY.has(name)) fields[name] = headers[name] ?? ''
  fields['grpc-status'] = String(GRPC_STATUS.get(status) ?? UNKNOWN)
  fields['grpc-message'] = percentEncoded(message)
  fields['x-gatehouse-error'] = error
  return fields
}

/** All but visible ASCII, and the percent sign itself (grpc: PROTOCOL-HTTP2, Status-Message). */
function percentEncoded(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]+/g, encodeURIComponent)
}
