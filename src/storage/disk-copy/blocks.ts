import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

/** Before each block: its length in ten digits, a space, half of its SHA-256 in hex, and a line end. */
const HEAD_BYTES = 10 + 1 + 32 + 1
const HEAD = /^(\d{10}) ([0-9a-f]{32})\n$/
/** What is read in one go. */
const CHUNK_BYTES = 256 * 1024
/** No block is longer: a length that is more is damage. */
const MOST_BYTES = 16 * 1024 * 1024

/** The text as a block, to be written in one go. */
export function blockOf(text: string): Buffer {
  const bytes = Buffer.from(`${text}\n`)
  return Buffer.concat([Buffer.from(`${String(bytes.length).padStart(10, '0')} ${checksum(bytes)}\n`), bytes])
}

/**
 * Every block of the file in its order; none when there is no file. One that was cut off at the end is left out.
 *
 * @param version - the first line
 * @throws Error when the file is of another version, or a block is not what it was
 */
export async function* readBlocks(file: string, version: string): AsyncGenerator<Buffer, void> {
  const handle = await openIfThere(file)
  if (handle === undefined) return
  try {
    let at = 0
    let held: Buffer = Buffer.alloc(0)
    const upTo = async (bytes: number): Promise<boolean> => {
      while (held.length < bytes) {
        const chunk = Buffer.allocUnsafe(Math.max(CHUNK_BYTES, bytes - held.length))
        const { bytesRead } = await handle.read(chunk, 0, chunk.length, at)
        if (bytesRead === 0) return false
        at += bytesRead
        held = Buffer.concat([held, chunk.subarray(0, bytesRead)])
      }
      return true
    }
    const take = (bytes: number): Buffer => {
      const taken = held.subarray(0, bytes)
      held = held.subarray(bytes)
      return taken
    }
    if (!(await upTo(version.length)) || take(version.length).toString('latin1') !== version)
      throw new Error(`${file} is not of the version that this gateway writes`)
    while (await upTo(HEAD_BYTES)) {
      const [, length, sum] = HEAD.exec(take(HEAD_BYTES).toString('latin1')) ?? []
      if (length === undefined || Number(length) > MOST_BYTES) throw new Error(`${file} is damaged`)
      if (!(await upTo(Number(length)))) return
      const block = take(Number(length))
      if (checksum(block) !== sum) throw new Error(`${file} is damaged`)
      yield block
    }
  } finally {
    await handle.close()
  }
}

function checksum(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 32)
}

async function openIfThere(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
