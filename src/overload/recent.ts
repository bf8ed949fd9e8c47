/** What was asked for of late, by name; what was not is forgotten. */
export interface Recent<T> {
  get(key: string): T | undefined
  keep(key: string, value: T): void
  delete(key: string): void
  isEmpty(): boolean
}

/**
 * Remembers at most `entries`, and at least the last half as many that were asked for or kept.
 *
 * In two halves: what is asked for goes to the younger one, and when that is full the older one is let go of as a whole. To take
 * each entry out and put it in again, so as to know the oldest, would make the table of a `Map` anew all the time.
 */
export function createRecent<T>(entries: number): Recent<T> {
  let young = new Map<string, T>()
  let old = new Map<string, T>()
  const half = Math.ceil(entries / 2)
  return { get, keep, delete: forget, isEmpty: () => young.size === 0 && old.size === 0 }

  function get(key: string): T | undefined {
    const known = young.get(key)
    if (known !== undefined) return known
    const older = old.get(key)
    if (older !== undefined) keep(key, older)
    return older
  }

  function keep(key: string, value: T): void {
    if (young.size >= half && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, value)
  }

  function forget(key: string): void {
    young.delete(key)
    old.delete(key)
  }
}
