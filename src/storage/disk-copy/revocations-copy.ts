import type { FileHandle } from 'node:fs/promises'
import { stat } from 'node:fs/promises'
import type { CopyState, Revocation, RevocationCopy } from '../../revocation/revocation.ts'
import { blockOf, readBlocks } from './blocks.ts'
import { removeLeftDrafts, writeAnew } from './draft.ts'
import { readFact, readState, writeFact } from './facts.ts'

/** First line of the file: another version is another first line. */
const VERSION = 'gatehouse revocations 1\n'
/** What was added outgrows the rest from this size on. */
const LEAST_GROWTH_BYTES = 1024 * 1024
/** A file of another process that is younger than this is that process's care. */
const CARED_FOR_SECONDS = 15

export interface RevocationsCopy extends RevocationCopy {
  isUsable(): Promise<boolean>
}

/**
 * The file is a first line and blocks, each with its length and checksum: facts, and states that say up to where all of it
 * is there. A kill may cut the last block off; up to the state before it the file is whole. Damage anywhere else refuses it.
 */
export function createRevocationsCopy(needs: { nowSeconds(): number }, file: string): RevocationsCopy {
  let handle: FileHandle | undefined
  let baseBytes = 0
  let addedBytes = 0
  return { load, replace, append, close, isUsable }

  async function load(take: (page: readonly Revocation[]) => void): Promise<CopyState | undefined> {
    let state: CopyState | undefined
    let isThere = false
    for await (const block of readBlocks(file, VERSION)) {
      isThere = true
      const content: unknown = JSON.parse(block.toString())
      if (!Array.isArray(content)) {
        state = readState(content)
        continue
      }
      take(content.map(readFact))
    }
    if (isThere && state === undefined) throw new Error(`${file} ends before it says what it is a copy of`)
    return state
  }

  /** Reads it all without handing it out. */
  async function isUsable(): Promise<boolean> {
    try {
      let last: Buffer | undefined
      // A state is an object, facts are a list: whatever the last block is, a state was before or is there.
      for await (const block of readBlocks(file, VERSION)) if (block[0] === OPENING_BRACE) last = block
      if (last === undefined) return false
      readState(JSON.parse(last.toString()))
      return true
    } catch {
      // Why, is told when it is loaded.
      return false
    }
  }

  async function replace(state: CopyState, pages: Iterable<readonly Revocation[]>): Promise<void> {
    await removeLeftDrafts(file, needs.nowSeconds())
    let bytes = 0
    const next = await writeAnew(file, async (draft) => {
      bytes += await write(draft, Buffer.from(VERSION))
      // One page at a time, each waiting for the disk: other work has its turn between them.
      for (const page of pages) bytes += await write(draft, blockOf(JSON.stringify(page.map(writeFact))))
      bytes += await write(draft, blockOf(JSON.stringify(state)))
    })
    await handle?.close()
    handle = next
    baseBytes = bytes
    addedBytes = 0
  }

  async function append(state: CopyState, revocations: readonly Revocation[]): Promise<'kept' | 'outgrown'> {
    if (handle === undefined) return 'outgrown'
    const facts = revocations.length === 0 ? [] : [blockOf(JSON.stringify(revocations.map(writeFact)))]
    addedBytes += await write(handle, Buffer.concat([...facts, blockOf(JSON.stringify(state))]))
    await handle.datasync()
    return addedBytes > Math.max(LEAST_GROWTH_BYTES, baseBytes) || (await isLeftAlone(handle)) ? 'outgrown' : 'kept'
  }

  /** Another process put its own file in the place of this one, and does not write it any more. */
  async function isLeftAlone(own: FileHandle): Promise<boolean> {
    if ((await own.stat()).nlink > 0) return false
    const theirs = await stat(file).catch(() => undefined)
    return theirs === undefined || needs.nowSeconds() - theirs.mtimeMs / 1000 > CARED_FOR_SECONDS
  }

  async function close(): Promise<void> {
    await handle?.close()
    handle = undefined
  }
}

const OPENING_BRACE = 0x7b

async function write(handle: FileHandle, bytes: Buffer): Promise<number> {
  await handle.writeFile(bytes)
  return bytes.length
}
