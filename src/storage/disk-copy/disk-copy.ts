/**
 * What a gateway on Redis keeps on its own disk, in `storage.directory`, so that it can start while Redis is away: the live
 * revocations (`revocations.copy`) and the sealed key sets (`keys.copy`).
 *
 * Both files are checked before they are believed, and are of mode 0600. Processes that share the directory may each write:
 * a file is whole when it gets its name, whoever wrote it. This room never stores a token, opens no key set, and is never
 * asked while Redis answers.
 *
 * @module
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { RevocationCopy } from '../../revocation/revocation.ts'
import { createKeysCopy } from './keys-copy.ts'
import type { KeysCopy } from './keys-copy.ts'
import { createRevocationsCopy } from './revocations-copy.ts'

export type { KeysCopy } from './keys-copy.ts'

export interface DiskCopyNeeds {
  /** Whole seconds since 1970. */
  nowSeconds(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
  /** The copy of the key sets cannot be written, or can be again; told once for each change. */
  keysKept?(state: 'up' | 'down', cause?: unknown): void
  /** Another process of the same gateway writes the files: this one reads them. */
  readonly readsOnly?: boolean
}

export interface DiskCopy {
  readonly revocations: RevocationCopy
  readonly keys: KeysCopy
  /** Whether both files are there and whole, so that a start without Redis can go by them. */
  isUsable(): Promise<boolean>
}

/** @param directory - absolute path; made with mode 0700 when missing */
export function createDiskCopy(needs: DiskCopyNeeds, directory: string): DiskCopy {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const revocations = createRevocationsCopy(needs, join(directory, 'revocations.copy'))
  const keys = createKeysCopy(needs, join(directory, 'keys.copy'))
  if (needs.readsOnly === true) {
    const kept = { load: revocations.load, replace: nothing, append: async () => 'kept' as const, close: nothing }
    return { revocations: kept, keys, isUsable }
  }
  return { revocations, keys, isUsable }

  async function isUsable(): Promise<boolean> {
    return keys.isUsable() && (await revocations.isUsable())
  }
}

async function nothing(): Promise<void> {}
