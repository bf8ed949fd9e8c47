import type { Socket } from 'node:net'

/** How every 100 (Continue) begins. */
const CONTINUE = Buffer.from('HTTP/1.1 100')
const HEAD_END = '\r\n\r\n'
/** A head that is longer is left to the parser. */
const MAX_HEAD_BYTES = 16 * 1024
const CARRIAGE_RETURN = 0x0d

/**
 * Takes every 100 (Continue) out of what an upstream sends before its answer. We never ask for one, a client has to bear it
 * all the same (RFC 9110 §15.2), and undici's parser ends the connection instead.
 */
export function dropUnaskedContinue(socket: Socket): Socket {
  const read: (size?: number) => Buffer | null = socket.read.bind(socket)
  const write: (chunk: string | Uint8Array, encoding?: BufferEncoding) => boolean = socket.write.bind(socket)
  let awaitsAnswer = false
  let held: Buffer | undefined
  return Object.assign(socket, { read: readOn, write: writeOn })

  function writeOn(chunk: string | Uint8Array, encoding?: BufferEncoding): boolean {
    // The library writes heads as text that begins with a method, and chunk sizes as text that begins with a line end.
    if (typeof chunk === 'string' && chunk.charCodeAt(0) !== CARRIAGE_RETURN) awaitsAnswer = true
    return write(chunk, encoding)
  }

  function readOn(size?: number): Buffer | null {
    const chunk = read(size)
    return chunk === null || !awaitsAnswer ? chunk : withoutContinue(chunk)
  }

  /** What is left of the octets, or null to wait for more. */
  function withoutContinue(chunk: Buffer): Buffer | null {
    let octets = held === undefined ? chunk : Buffer.concat([held, chunk])
    held = undefined
    while (octets.length > 0) {
      const length = Math.min(octets.length, CONTINUE.length)
      if (CONTINUE.compare(octets, 0, length, 0, length) !== 0) break
      const end = octets.indexOf(HEAD_END)
      if (end === -1 && octets.length <= MAX_HEAD_BYTES) {
        held = octets
        return null
      }
      if (end === -1) break
      octets = octets.subarray(end + HEAD_END.length)
    }
    if (octets.length === 0) return null
    awaitsAnswer = false
    return octets
  }
}
