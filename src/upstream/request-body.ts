import { Readable } from 'node:stream'
import type { RequestMessage } from '../exchange/exchange.ts'
import { Problem } from '../problem/problem.ts'
import type { BodySource, Early } from './gather.ts'
import type { UpstreamNeeds } from './upstream.ts'

/**
 * The body of a request as a stream of its own: whoever destroys it does not destroy the client's connection, so that an
 * answer can still be given. Fails with `payload_too_large` past the limit.
 *
 * @param early what was taken of it before; absent: nothing
 */
export function streamBody({ req, record, limit }: BodySource, needs: Pick<UpstreamNeeds, 'moved'>, early?: Early): Readable {
  const body = new Readable({ read, destroy, highWaterMark: 64 * 1024 })
  // Whoever sends it hears of its end; while it waits for a connection nobody does, and that must not end the process.
  body.on('error', ignore)
  if (early !== undefined) for (const piece of early.pieces) body.push(piece)
  if (early?.isWhole === true) {
    body.push(null)
    return body
  }
  req.on('data', onData)
  req.on('end', onEnd)
  req.on('close', onClose)
  req.on('error', onError)
  req.pause()
  return body

  function read(): void {
    req.resume()
  }

  function onData(chunk: Buffer): void {
    record.bytesIn += chunk.length
    if (record.bytesIn > limit) {
      body.destroy(new Problem('payload_too_large'))
      return
    }
    needs.moved(chunk.length)
    if (!body.push(chunk)) req.pause()
  }

  function onEnd(): void {
    body.push(null)
  }

  function onClose(): void {
    if (!req.complete) body.destroy(new Error('the client broke off its request'))
  }

  /** The listener's word for a body that cannot be read. */
  function onError(error: Error): void {
    body.destroy(error)
  }

  function destroy(error: Error | null, done: (error: Error | null) => void): void {
    req.off('data', onData)
    req.off('end', onEnd)
    req.off('close', onClose)
    req.off('error', onError)
    // Its connection may be going already, which it has yet to say.
    req.on('error', ignore)
    done(error)
  }
}

/** Lets go of a request body that nobody wants any more; what still comes is read and thrown away by the listener. */
export function leaveBody(body: Readable | undefined, req: RequestMessage): void {
  if (body === undefined || req.complete) return
  body.destroy()
}

function ignore(): void {}
