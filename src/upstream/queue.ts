/** Those that wait, first come first served. */
export interface Queue<T> {
  add(one: T): void
  /** The one that has waited longest, which waits no more; undefined when none does. */
  take(): T | undefined
  size(): number
}

/** What is taken is let go of at once: under a load that never lets it run empty, it holds those that wait and no others. */
export function createQueue<T>(): Queue<T> {
  const places: (T | undefined)[] = []
  let first = 0
  return { add, take, size: () => places.length - first }

  function add(one: T): void {
    places.push(one)
  }

  function take(): T | undefined {
    const one = places[first]
    if (first === places.length) return undefined
    places[first] = undefined
    first += 1
    // Half of it is empty, so each one is moved once at most.
    if (first * 2 >= places.length) {
      places.splice(0, first)
      first = 0
    }
    return one
  }
}
