/** What is remembered by a text, such as an address, on one of several shelves that share their room. */
export interface Shelf<Value> {
  get(key: string): Value | undefined
  /** As the newest of its shelf. */
  put(key: string, value: Value): void
}

export interface Shelves<Value> {
  /** One more. A key on it is a text that is there already: to make one of several for each check takes longer than all the rest. */
  add(): Shelf<Value>
  /** Whether it matters by now what is newest. */
  isFilling(): boolean
}

/** So large a part is taken away at once: a Map finds its oldest key slowly after many deletions. */
const TAKEN_PART = 10

/**
 * Past the bound the fullest shelf makes room, by what is oldest on it: where there is a flood it is there, and it costs the others
 * nothing.
 *
 * @param most - on all of them together
 */
export function createShelves<Value>(most: number): Shelves<Value> {
  const shelves: Map<string, Value>[] = []
  let count = 0
  return { add, isFilling: () => count > most / 2 }

  function add(): Shelf<Value> {
    const shelf = new Map<string, Value>()
    shelves.push(shelf)
    return {
      get: (key) => shelf.get(key),
      put(key, value) {
        if (!shelf.delete(key)) count += 1
        shelf.set(key, value)
        if (count > most) makeRoom(shelf)
      },
    }
  }

  function makeRoom(first: Map<string, Value>): void {
    let fullest = first
    for (const shelf of shelves) if (shelf.size > fullest.size) fullest = shelf
    const taken = Math.ceil(fullest.size / TAKEN_PART)
    for (const oldest of fullest.keys().take(taken)) fullest.delete(oldest)
    count -= taken
  }
}
