import type { Database } from './database.ts'

/** How soon a write of another process is noticed. A look takes some microseconds; forty a second are nothing. */
const LOOK_MS = 25

/**
 * Looks whether another process wrote to the file, and tells of it. SQLite keeps a number that tells just this, in memory that
 * the processes share, so that a look reads neither table nor disk.
 *
 * @returns the way to stop looking
 */
export function watchOthers(
  db: Database,
  schedule: (delayMs: number, run: () => void) => () => void,
  changed: () => void,
): () => void {
  const version = db.prepare('PRAGMA data_version')
  let known = version.get()?.['data_version']
  let cancel = schedule(LOOK_MS, look)
  return () => cancel()

  function look(): void {
    cancel = schedule(LOOK_MS, look)
    try {
      const now = version.get()?.['data_version']
      if (now === known) return
      changed()
      known = now
    } catch {
      // Whoever reads the log finds out too, and says so; here it is tried again.
    }
  }
}
