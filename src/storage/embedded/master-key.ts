import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const KEY_BYTES = 32

/** 32 bytes in base64, and a line end that an editor may have added. */
const FORM = /^[A-Za-z0-9+/]{43}=\n?$/

/**
 * The master key that embedded storage keeps for itself in `master.key`: made on the first start, read ever after.
 *
 * @param directory - absolute path; made with mode 0700 when missing
 * @returns 32 bytes
 * @throws Error when the file can be read by others or does not hold such a key
 */
export function openMasterKey(directory: string): Uint8Array {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, 'master.key')
  const present = readMasterKey(file)
  if (present !== undefined) return present
  make(file)
  const made = readMasterKey(file)
  if (made === undefined) throw new Error(`${file} was removed while it was made`)
  return made
}

function readMasterKey(file: string): Uint8Array | undefined {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return undefined
  if ((stat.mode & 0o077) !== 0) throw new Error(`${file} can be read by others: run chmod 600 ${file}`)
  const content = readFileSync(file, 'latin1')
  const key = FORM.test(content) ? Buffer.from(content, 'base64') : undefined
  if (key?.length !== KEY_BYTES) throw new Error(`${file} must hold 32 bytes in base64: put it back from a copy`)
  return key
}

/** Written whole under another name and then linked: two starters agree on one key, and a crash leaves no half of one. */
function make(file: string): void {
  const draft = `${file}.${randomBytes(8).toString('hex')}`
  const handle = openSync(draft, 'wx', 0o600)
  try {
    writeSync(handle, `${randomBytes(KEY_BYTES).toString('base64')}\n`)
    fsyncSync(handle)
    linkSync(draft, file)
    syncDirectory(file)
  } catch (error) {
    if (!isTaken(error)) throw error
  } finally {
    closeSync(handle)
    unlinkSync(draft)
  }
}

/** The name is durable only when its directory is: sessions sealed by a key that a crash took away would be lost. */
function syncDirectory(file: string): void {
  const handle = openSync(join(file, '..'), 'r')
  fsyncSync(handle)
  closeSync(handle)
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST'
}
