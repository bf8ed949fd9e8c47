import { cookieValues, REFRESH_COOKIE } from '../../exchange/exchange.ts'
import { Problem } from '../../problem/problem.ts'
import type { Answer, Call, Endpoint } from '../services.ts'

/** A page has nothing to say where the cookie says all. */
export function withOptionalBody(endpoint: Endpoint, handleWithout: (call: Call) => Promise<Answer>): Endpoint {
  return {
    ...endpoint,
    handle(call) {
      return call.admitted.bodyLength === 0 ? handleWithout(call) : endpoint.handle(call)
    },
  }
}

/** @throws Problem `invalid_request` where there is none, `repeated_cookie` where there are several */
export function tokenInCookie(call: Call): string {
  const [token, ...others] = cookieValues(call.admitted.rawHeaders, REFRESH_COOKIE)
  if (others.length > 0) throw new Problem('repeated_cookie')
  if (token !== undefined) return token
  throw new Problem('invalid_request', {
    description: 'Missing or wrong: refresh_token.',
    fields: [{ field: 'refresh_token', message: 'is required, or its cookie' }],
  })
}
