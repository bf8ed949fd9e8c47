import { bearerToken, findAuthorization, NO_AUTHORIZATION, REPEATED_AUTHORIZATION } from '../authenticator/authenticator.ts'
import { InvalidRequestError } from '../errors/errors.ts'

/** A request of node:http, or one of the Fetch API. */
export type Credentialed = { readonly rawHeaders: readonly string[] } | { readonly headers: Headers }

/**
 * The one value of a header; undefined without it.
 *
 * @throws InvalidRequestError when it stands there twice: two readers could take different ones
 */
export function passportIn(request: Credentialed, name: string): string | undefined {
  // The Fetch API joins repeated fields with a comma, which no passport has.
  if (!('rawHeaders' in request)) return request.headers.get(name) ?? undefined
  const { rawHeaders } = request
  let found: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const field = rawHeaders[index]
    if (field === undefined || field.length !== name.length || field.toLowerCase() !== name) continue
    if (found !== undefined) throw new InvalidRequestError(`Send one ${name} header.`, { reason: 'repeated_passport' })
    found = rawHeaders[index + 1] ?? ''
  }
  return found
}

/**
 * The token of `Authorization: Bearer`; undefined without one.
 *
 * @throws InvalidRequestError when the header stands there twice
 */
export function bearerIn(request: Credentialed): string | undefined {
  if (!('rawHeaders' in request)) {
    const value = request.headers.get('authorization')
    return value === null ? undefined : bearerToken(value)
  }
  const found = findAuthorization(request.rawHeaders)
  if (found === NO_AUTHORIZATION) return undefined
  if (found === REPEATED_AUTHORIZATION) {
    throw new InvalidRequestError('Send one Authorization header with one token.', { reason: 'repeated_authorization' })
  }
  return bearerToken(request.rawHeaders[found] ?? '')
}
