import { randomBytes } from 'node:crypto'
import { open, readdir, rename, stat, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Nobody writes so long at a draft: it was left by a process that was killed. */
const LEFT_SECONDS = 600

/**
 * Writes a file under another name, which no other process has, and gives it its own when all of it is on the disk: whoever
 * reads meanwhile, or after a loss of power, finds the one from before or the new one.
 *
 * @returns the handle of the file, open for more
 */
export async function writeAnew(file: string, write: (handle: FileHandle) => Promise<void>): Promise<FileHandle> {
  const draft = `${file}.${randomBytes(8).toString('hex')}`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await write(handle)
    await handle.sync()
    await rename(draft, file)
    await syncDirectory(dirname(file))
    return handle
  } catch (error) {
    await handle.close()
    // What is left of a draft only takes room; that it could not be removed says no more than the error does.
    await unlink(draft).catch(() => undefined)
    throw error
  }
}

/** Removes what processes that were killed have left of the file. */
export async function removeLeftDrafts(file: string, nowSeconds: number): Promise<void> {
  const names = (await readdir(dirname(file))).filter((name) => name.startsWith(`${basename(file)}.`))
  for (const draft of names.map((name) => join(dirname(file), name))) {
    const found = await stat(draft).catch(() => undefined)
    // Another process may be faster.
    if (found !== undefined && nowSeconds - found.mtimeMs / 1000 > LEFT_SECONDS) await unlink(draft).catch(() => undefined)
  }
}

/** The name is on the disk only when its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
