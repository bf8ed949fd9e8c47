import type { BreachedPasswords } from './password-rules.ts'

/** A file that is read in pieces. */
export interface HashFile {
  /** Bytes. */
  readonly size: number
  read(offset: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

/** Longest line: 40 hex digits, a colon, a count, and the end of the line. */
const LINE_BYTES = 64
const HASH = /^[0-9A-F]{40}$/
const HASH_DIGITS = 40

/**
 * Passwords of a file with one SHA-1 in upper-case hex for each line, in ascending order, `:` and a count after it or nothing: the
 * form of the downloads of Have I Been Pwned. Each look-up opens it and reads some thirty small pieces; nothing is held in
 * memory, and a file that is put in its place is read from then on.
 *
 * @throws Error when the file does not begin with such a line
 */
export async function openBreached(open: () => Promise<HashFile>): Promise<BreachedPasswords> {
  await opened(open, async (file) => {
    if (!HASH.test(await hashAt(file, 0)))
      throw new Error('the file of breached passwords does not begin with a SHA-1 in upper-case hex')
  })
  return { has: (sha1) => opened(open, (file) => search(file, sha1)) }
}

async function opened<T>(open: () => Promise<HashFile>, work: (file: HashFile) => Promise<T>): Promise<T> {
  const file = await open()
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

async function search(file: HashFile, sha1: string): Promise<boolean> {
  let low = 0
  let high = file.size
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const line = await lineFrom(file, middle)
    if (line?.hash === sha1) return true
    if (line === undefined || line.hash > sha1) high = middle
    else low = line.start
  }
  return (await hashAt(file, 0)) === sha1
}

/** The first line that begins after the offset. */
async function lineFrom(file: HashFile, offset: number): Promise<{ readonly hash: string; readonly start: number } | undefined> {
  const text = (await file.read(offset, 2 * LINE_BYTES)).toString('latin1')
  const start = text.indexOf('\n') + 1
  if (start === 0 || text.length < start + HASH_DIGITS) return undefined
  return { hash: text.slice(start, start + HASH_DIGITS), start: offset + start }
}

async function hashAt(file: HashFile, offset: number): Promise<string> {
  return (await file.read(offset, HASH_DIGITS)).toString('latin1')
}
