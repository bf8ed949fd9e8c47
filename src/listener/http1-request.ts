import type { Socket } from 'node:net'
import type { RequestMessage } from '../exchange/exchange.ts'
import type { SimpleHead } from './http1-head.ts'

/** The request of a head behind which there is no body: whole when it begins. */
export function requestOf({ method, target, fields }: SimpleHead, socket: Socket): RequestMessage {
  return {
    method,
    url: target,
    httpVersion: '1.1',
    rawHeaders: fields,
    isPlain: true,
    socket,
    complete: true,
    destroyed: false,
    on: nothing,
    off: nothing,
    pause: nothing,
    resume: nothing,
    destroy: nothing,
  }
}

/** There is no body to hear of. */
function nothing(): void {}
