const TYPE = 'application/grpc'

/** Whether a message of this content type is gRPC as HTTP/2 carries it: `application/grpc`, a subtype of its own behind a `+`. */
export function isGrpc(contentType: unknown): boolean {
  if (typeof contentType !== 'string' || !contentType.startsWith(TYPE)) return false
  const next = contentType[TYPE.length]
  return next === undefined || next === '+' || next === ';'
}
