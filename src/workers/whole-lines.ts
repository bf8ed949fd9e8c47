/** Up to so many octets a pipe takes as a whole, whoever else writes to it (POSIX PIPE_BUF, on Linux). */
const WHOLE_BYTES = 4096
const LINE_END = 0x0a

/**
 * Writes to an output that several processes share so that their lines stay whole: a few at a time, the next when those before
 * are gone. A line that is longer by itself may still meet another one where the reader is slow.
 *
 * @param write calls `done` when the octets are out of the process, or will never be
 */
export function createWholeLines(write: (bytes: Uint8Array, done: () => void) => void): (lines: string) => void {
  const waiting: Uint8Array[] = []
  let isWriting = false
  return function writeLines(lines) {
    waiting.push(...piecesOf(Buffer.from(lines)))
    if (!isWriting) next()
  }

  function next(): void {
    const piece = waiting.shift()
    isWriting = piece !== undefined
    if (piece !== undefined) write(piece, next)
  }
}

function piecesOf(bytes: Buffer): readonly Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let from = 0; from < bytes.length;) {
    const to = endOfPiece(bytes, from)
    pieces.push(bytes.subarray(from, to))
    from = to
  }
  return pieces
}

function endOfPiece(bytes: Buffer, from: number): number {
  if (bytes.length - from <= WHOLE_BYTES) return bytes.length
  const last = bytes.subarray(from, from + WHOLE_BYTES).lastIndexOf(LINE_END)
  if (last !== -1) return from + last + 1
  const end = bytes.indexOf(LINE_END, from)
  return end === -1 ? bytes.length : end + 1
}
