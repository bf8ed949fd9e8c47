import type { Redis } from 'ioredis'
import { createFraming } from './framing.ts'

/**
 * Has a connection broken on which more answers come than there were questions, or something that is no answer at all: what
 * else comes on it belongs to nothing.
 *
 * The client itself takes such an answer for a fault of its own code, and some of them end in an exception outside of
 * everything. So while octets are read there is always one question more than were asked: an answer to that one is too many.
 */
export function refuseSurplus(client: Redis): void {
  client.on('connect', () => {
    const { stream, commandQueue } = client
    // The client's own is the first: it puts itself before all others.
    const [found]: readonly unknown[] = stream.listeners('data')
    if (!isListener(found)) return
    const decode = found
    const framing = createFraming()
    let isSurplus = false
    const spare = {
      command: { name: 'spare', args: [], resolve: noteSurplus, reject: noteSurplus },
      stream,
      select: 0,
    }
    stream.prependListener('data', read)
    stream.off('data', decode)

    function read(chunk: Buffer): void {
      // What comes after the client has given the connection up.
      if (client.status !== 'connect' && client.status !== 'ready') return
      const sound = framing.sound(chunk)
      commandQueue.push(spare)
      if (sound > 0) decode(sound === chunk.length ? chunk : chunk.subarray(0, sound))
      const last = commandQueue.length - 1
      if (last >= 0 && commandQueue.peekAt(last) === spare) commandQueue.remove(last, 1)
      if (sound < chunk.length) stream.destroy(new Error('what was answered is not in the protocol of Redis'))
      else if (isSurplus) stream.destroy()
    }

    function noteSurplus(): void {
      isSurplus = true
    }
  })
}

function isListener(value: unknown): value is (chunk: Buffer) => void {
  return typeof value === 'function'
}
