/** The answer breaks the rules of HTTP/1.1, so that where it ends would be a guess. */
export const MALFORMED = 'HTTP1_MALFORMED'
/** The head of the answer, or its trailers, are too long. */
export const TOO_LONG = 'HTTP1_HEAD_TOO_LONG'

/** @param message for the log */
export function http1Failure(code: typeof MALFORMED | typeof TOO_LONG, message: string): Error {
  return Object.assign(new Error(message), { code })
}
