/**
 * Follows the frames of a WebSocket (RFC 6455 §5.2) that passes by, only to know where one ends: a close frame of ours may
 * stand between two frames, never inside one.
 */
export interface FrameFollower {
  follow(chunk: Buffer): void
  /** Whether the last octet seen was the last of a frame. */
  betweenFrames(): boolean
}

/** Longest head: 2 octets, 8 of length, 4 of mask. */
const HEAD_BYTES = 14

export function createFrameFollower(): FrameFollower {
  const head = Buffer.alloc(HEAD_BYTES)
  let headBytes = 0
  let payloadLeft = 0
  return { follow, betweenFrames }

  function betweenFrames(): boolean {
    return headBytes === 0 && payloadLeft === 0
  }

  function follow(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (payloadLeft > 0) {
        const step = Math.min(payloadLeft, chunk.length - at)
        payloadLeft -= step
        at += step
        continue
      }
      head[headBytes] = chunk[at] ?? 0
      headBytes += 1
      at += 1
      if (headBytes >= 2 && headBytes === headLength(head)) {
        payloadLeft = payloadLength(head)
        headBytes = 0
      }
    }
  }
}

function headLength(head: Buffer): number {
  const second = head[1] ?? 0
  const short = second & 0x7f
  return 2 + extendedLength(short) + ((second & 0x80) === 0 ? 0 : 4)
}

/** Octets of a length that does not fit the seven bits (RFC 6455 §5.2). */
function extendedLength(short: number): number {
  if (short === 126) return 2
  return short === 127 ? 8 : 0
}

function payloadLength(head: Buffer): number {
  const short = (head[1] ?? 0) & 0x7f
  if (short < 126) return short
  if (short === 126) return head.readUInt16BE(2)
  return head.readUInt32BE(2) * 2 ** 32 + head.readUInt32BE(6)
}

/** Status codes of RFC 6455 §7.4.1, and of the registry that it opens (§11.7). */
const CLOSE_CODES = { goingAway: 1001, policyViolation: 1008, tryAgainLater: 1013 } as const
export type CloseReason = keyof typeof CLOSE_CODES

/** A close frame for the client, which gets unmasked frames (RFC 6455 §5.1). */
export function closeFrameForClient(reason: CloseReason): Buffer {
  const frame = Buffer.from([0x88, 2, 0, 0])
  frame.writeUInt16BE(CLOSE_CODES[reason], 2)
  return frame
}

/** The same for the upstream, which gets masked ones; a mask of zeros keeps the payload readable and is a mask. */
export function closeFrameForUpstream(reason: CloseReason): Buffer {
  const frame = Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0, 0])
  frame.writeUInt16BE(CLOSE_CODES[reason], 6)
  return frame
}
