import type { Recording, TracedAttempt } from '../exchange/exchange.ts'
import { attempt, type Attempt, type AttemptEvents } from './attempt.ts'
import type { Destination } from './destination.ts'
import type { DispatchRequest } from './dispatch.ts'
import { problemOfFailure } from './failures.ts'

/** An {@link attempt} that is written down, and names its own span to the server. */
export function tracedAttempt(recording: Recording, to: Destination, request: DispatchRequest, told: AttemptEvents): Attempt {
  const traced = beginAttempt(recording, to, request.path)
  const running = attempt(
    to,
    { ...request, headers: withParent(request.headers, traced.parent) },
    {
      ...told,
      head(status, received) {
        traced.answered(status)
        const isWanted = told.head(status, received)
        if (!isWanted) traced.ended()
        return isWanted
      },
      end(trailers) {
        traced.ended()
        told.end(trailers)
      },
      failed(error, wasSent) {
        traced.ended(problemOfFailure(error).kind)
        told.failed(error, wasSent)
      },
    },
  )
  return {
    resume: running.resume,
    abort(error) {
      traced.ended('aborted')
      running.abort(error)
    },
  }
}

/** @param target path and query of the request to this server */
export function beginAttempt(recording: Recording, to: Destination, target: string): TracedAttempt {
  const query = target.indexOf('?')
  return recording.attempt({ upstream: to.upstream.name, url: to.url, path: query === -1 ? target : target.slice(0, query) })
}

/** Name, value, name, value …, with another `traceparent` in the place of the one that is there. */
export function withParent(fields: readonly string[], parent: string): string[] {
  const copy = [...fields]
  for (let index = 0; index + 1 < copy.length; index += 2) if (copy[index] === 'traceparent') copy[index + 1] = parent
  return copy
}
