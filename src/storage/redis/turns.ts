/** Runs what has the same key one after the other, so that many at once do not undo each other's preparations. */
export function createTurns(): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<void>>()
  return async function inTurn(key, work) {
    const before = last.get(key)
    const mine = Promise.withResolvers<void>()
    last.set(key, mine.promise)
    try {
      await before
      return await work()
    } finally {
      mine.resolve()
      if (last.get(key) === mine.promise) last.delete(key)
    }
  }
}
