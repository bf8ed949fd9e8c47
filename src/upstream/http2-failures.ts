/** The upstream says that it did not look at the request: whatever its method, it may be sent again (RFC 9113 §8.7). */
export const UNPROCESSED = 'HTTP2_UNPROCESSED'
/** The upstream broke off one exchange; its connection goes on. */
export const RESET = 'HTTP2_RESET'
/** The connection was lost, with all that was under way on it. */
export const CONNECTION_LOST = 'HTTP2_CONNECTION_LOST'
/** What answers does not speak HTTP/2. */
export const NOT_HTTP2 = 'HTTP2_NOT_SPOKEN'

export type Http2Code = typeof UNPROCESSED | typeof RESET | typeof CONNECTION_LOST | typeof NOT_HTTP2

/** @param message for the log */
export function http2Failure(code: Http2Code, message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, cause === undefined ? undefined : { cause }), { code })
}
