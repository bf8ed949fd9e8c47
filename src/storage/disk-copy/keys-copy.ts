import { readFileSync } from 'node:fs'
import type { KeyStore, KeptKeys } from '../../tenants/tenants.ts'
import { writeAnew } from './draft.ts'
import type { DiskCopyNeeds } from './disk-copy.ts'

/** The sealed key sets as they were last read from the store. */
export interface KeysCopy {
  /** The same store, of which everything that is read is kept, and given out again as `kept`. */
  over(store: KeyStore): KeyStore
  isUsable(): boolean
  /** Writes what was not written yet. Never rejects. */
  close(): Promise<void>
}

const VERSION = 1
/** A set that is another one is written so soon; one that is the same, only so that the time at which it was heard of is true. */
const CHANGED_MS = 500
const SAME_SECONDS = 20

export function createKeysCopy(needs: DiskCopyNeeds, file: string): KeysCopy {
  /** What an earlier process left. */
  const left = read(file)
  const heard = new Map<string, KeptKeys>(left)
  const changed = new Set<string>()
  let writtenAt = 0
  let isDown = false
  let isClosed = false
  let cancel: (() => void) | undefined
  let writing: Promise<void> = Promise.resolve()
  return { over, isUsable: () => left.size > 0, close }

  function over(store: KeyStore): KeyStore {
    return {
      async load(owner) {
        const sealed = await store.load(owner)
        if (sealed !== undefined) note(owner, sealed)
        return sealed
      },
      async save(owner, sealed, replacing) {
        const stored = await store.save(owner, sealed, replacing)
        note(owner, stored)
        return stored
      },
      kept: async (owner) => left.get(owner),
    }
  }

  function note(owner: string, sealed: string): void {
    if (isClosed || needs.readsOnly === true) return
    const now = needs.nowSeconds()
    if (heard.get(owner)?.sealed !== sealed) changed.add(owner)
    heard.set(owner, { sealed, heardAt: now })
    if (changed.size === 0 && Math.abs(now - writtenAt) < SAME_SECONDS) return
    cancel ??= needs.schedule(CHANGED_MS, () => {
      writing = write()
    })
  }

  /** Never rejects: without a copy the gateway is as good as it was, until it starts again. */
  async function write(): Promise<void> {
    cancel = undefined
    changed.clear()
    writtenAt = needs.nowSeconds()
    try {
      const content = JSON.stringify({ version: VERSION, sets: Object.fromEntries(heard) })
      const handle = await writeAnew(file, (draft) => draft.writeFile(content))
      await handle.close()
      if (isDown) needs.keysKept?.('up')
      isDown = false
    } catch (cause) {
      if (!isDown) needs.keysKept?.('down', cause)
      isDown = true
    }
  }

  async function close(): Promise<void> {
    isClosed = true
    cancel?.()
    await writing
    if (writtenAt > 0 || changed.size > 0) await write()
  }
}

/**
 * Nothing when there is no file, or none that can be read. There is no checksum: each set is sealed with authentication, and
 * its time only says how long this process may sign with it.
 */
function read(file: string): ReadonlyMap<string, KeptKeys> {
  const sets = new Map<string, KeptKeys>()
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (!isRecord(value) || value['version'] !== VERSION || !isRecord(value['sets'])) return sets
    for (const [owner, kept] of Object.entries(value['sets'])) {
      if (!isRecord(kept) || typeof kept['sealed'] !== 'string' || typeof kept['heardAt'] !== 'number') continue
      sets.set(owner, { sealed: kept['sealed'], heardAt: kept['heardAt'] })
    }
  } catch {
    // Not there, or not JSON: the store has to be asked.
  }
  return sets
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
