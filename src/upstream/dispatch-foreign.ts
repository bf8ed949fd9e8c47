import type { Dispatcher } from 'undici'
import type { AnswerHandler, DispatchPool, DispatchRequest, ReceivedFields } from './dispatch.ts'

/** A pool that speaks to its handlers as undici does, with the fields of an answer by name. */
interface ForeignPool {
  dispatch(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean
  close(): Promise<void>
  destroy(): Promise<void>
}

/** Fields by their lower-case names. */
type NamedFields = Readonly<Record<string, string | string[] | undefined>>

export function adaptPool(pool: ForeignPool): DispatchPool {
  return { dispatch, close: () => pool.close(), destroy: () => pool.destroy() }

  function dispatch(request: DispatchRequest, handler: AnswerHandler): void {
    pool.dispatch(inFields(request), {
      onRequestStart: (controller) => handler.onRequestStart(controller),
      onResponseStart: (controller, status, fields) => handler.onResponseStart(controller, status, linesOf(fields)),
      onResponseData: (controller, chunk) => handler.onResponseData(controller, chunk),
      onResponseEnd: (controller, trailers) => handler.onResponseEnd(controller, linesOf(trailers)),
      onResponseError: (controller, error) => handler.onResponseError(controller ?? undefined, error),
    })
  }
}

/** With all it says in its list of fields. */
function inFields(request: DispatchRequest): DispatchRequest {
  const { ready } = request
  if (ready === undefined) return request
  const headers = [...request.headers]
  ready.addTo(headers)
  return { ...request, headers }
}

/** Line by line; those of one name stand together. */
export function linesOf(fields: NamedFields): ReceivedFields {
  const lines: string[] = []
  for (const name in fields) {
    const value = fields[name]
    if (typeof value === 'string') lines.push(name, value)
    else if (value !== undefined) for (const one of value) lines.push(name, one)
  }
  return lines
}
