import { Socket } from 'node:net'

/** Over TLS the missing farewell says the same (RFC 8446 §6.1). */
export function reset(socket: unknown): void {
  if (socket instanceof Socket && !('encrypted' in socket)) socket.resetAndDestroy()
}
