import { Socket } from 'node:net'
import { createPlainCheck } from './http1-plain.ts'

const INBOX_BYTES = 64 * 1024
/** Connections read one after the other, and leave nothing in it. */
const SHARED = Buffer.allocUnsafeSlow(INBOX_BYTES)

export const isPlain = createPlainCheck(SHARED)

/**
 * Where a connection keeps the buffer that it reads into, and whom it tells. It is public for connections that are made (`onread` of
 * `net.connect`), not for those that are accepted, which a new buffer would be allocated for at each read.
 */
const [BUFFER, CALLBACK] = symbolsOf(new Socket({ onread: { buffer: SHARED, callback: () => true } }), ['kBuffer', 'kBufferCb'])

/**
 * Has all that comes over a connection read into one buffer that is the same for all. What is not taken out of it is copied, and goes
 * the way that it would have gone. Where that cannot be done all goes that way.
 *
 * @param take returns whether it has read all there is, up to `length`
 */
export function readShared(socket: Socket, take: (octets: Buffer, length: number) => boolean): void {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (BUFFER === undefined || CALLBACK === undefined || !takesBuffer(handle)) return
  Reflect.set(socket, BUFFER, SHARED)
  Reflect.set(
    socket,
    CALLBACK,
    (length: number): boolean => take(SHARED, length) || socket.push(Buffer.from(SHARED.subarray(0, length))),
  )
  handle.useUserBuffer(SHARED)
}

function symbolsOf(socket: Socket, names: readonly string[]): readonly (symbol | undefined)[] {
  const symbols = Object.getOwnPropertySymbols(socket)
  return names.map((name) => symbols.find(({ description }) => description === name))
}

function takesBuffer(handle: unknown): handle is { useUserBuffer(buffer: Buffer): void } {
  return typeof handle === 'object' && handle !== null && 'useUserBuffer' in handle && typeof handle.useUserBuffer === 'function'
}
