/** Ids whose random bits are drawn at once. */
const DRAWN = 256
/** Ids that are written at once: one that somebody keeps holds the text of all of them. */
const WRITTEN = 16
const ID_BYTES = 16
const ID_CHARACTERS = 36
const HYPHEN = 0x2d
const DIGITS = Buffer.from('0123456789abcdef')

/**
 * Makes ids as of RFC 9562 §5.4 (UUID version 4), each in one piece. Those of the platform are put together of twenty, which
 * whoever reads one has to join first.
 *
 * @param fill with random octets that nobody can foretell
 */
export function createRequestIds(fill: (octets: Buffer) => void): () => string {
  const random = Buffer.alloc(DRAWN * ID_BYTES)
  const text = Buffer.alloc(WRITTEN * ID_CHARACTERS)
  let drawnAt = random.length
  let written = ''
  let writtenAt = 0
  return function requestId(): string {
    if (writtenAt === written.length) writeMore()
    writtenAt += ID_CHARACTERS
    return written.slice(writtenAt - ID_CHARACTERS, writtenAt)
  }

  function writeMore(): void {
    if (drawnAt === random.length) {
      fill(random)
      drawnAt = 0
    }
    for (let id = 0; id < WRITTEN; id += 1) writeId(id * ID_CHARACTERS, drawnAt + id * ID_BYTES)
    drawnAt += WRITTEN * ID_BYTES
    written = text.toString('latin1')
    writtenAt = 0
  }

  function writeId(to: number, from: number): void {
    let at = to
    for (let index = 0; index < ID_BYTES; index += 1) {
      if (index === 4 || index === 6 || index === 8 || index === 10) {
        text[at] = HYPHEN
        at += 1
      }
      const octet = withMark(random[from + index] ?? 0, index)
      text[at] = DIGITS[octet >> 4] ?? HYPHEN
      text[at + 1] = DIGITS[octet & 15] ?? HYPHEN
      at += 2
    }
  }
}

/** Version and variant. */
function withMark(octet: number, index: number): number {
  if (index === 6) return (octet & 0x0f) | 0x40
  return index === 8 ? (octet & 0x3f) | 0x80 : octet
}
