/** What is due at which second: one timer for all, and nothing left behind of what is over before. */
export interface DueTable<T> {
  add(entry: T): void
  remove(entry: T): void
  /** Takes out what is due by then, seconds since 1970. */
  take(nowSeconds: number): readonly T[]
}

/** An entry stays at the second that it had when it was added, until it is taken or removed. */
export function createDueTable<T extends { readonly dueSecond: number }>(): DueTable<T> {
  const seconds = new Map<number, Set<T>>()
  return { add, remove, take }

  function add(entry: T): void {
    const at = seconds.get(entry.dueSecond)
    if (at === undefined) seconds.set(entry.dueSecond, new Set([entry]))
    else at.add(entry)
  }

  function remove(entry: T): void {
    const at = seconds.get(entry.dueSecond)
    if (at?.delete(entry) === true && at.size === 0) seconds.delete(entry.dueSecond)
  }

  function take(nowSeconds: number): readonly T[] {
    const due: T[] = []
    for (const [second, at] of seconds) {
      if (second > nowSeconds) continue
      seconds.delete(second)
      for (const entry of at) due.push(entry)
    }
    return due
  }
}
