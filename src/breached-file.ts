/**
 * Reads the file of breached passwords that the configuration names, in pieces, and never as a whole.
 *
 * @module
 */
import { open } from 'node:fs/promises'
import type { Config } from './config/config.ts'
import { openBreached, type BreachedPasswords, type HashFile } from './services/accounts/accounts.ts'

/**
 * @returns undefined where the configuration names no file
 * @throws Error when the file cannot be read, or is none of hashes
 */
export async function openBreachedFile({ breachedPasswords: path }: Config['accounts']): Promise<BreachedPasswords | undefined> {
  if (path === undefined) return undefined
  try {
    return await openBreached(() => openFile(path))
  } catch (cause) {
    throw new Error('accounts.breachedPasswords.file cannot be used', { cause })
  }
}

async function openFile(path: string): Promise<HashFile> {
  const handle = await open(path, 'r')
  const { size } = await handle.stat()
  return {
    size,
    async read(position, length) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position)
      return buffer.subarray(0, bytesRead)
    },
    close: () => handle.close(),
  }
}
