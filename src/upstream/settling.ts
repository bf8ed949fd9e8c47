/** Those who wait until a pool has nothing left; each of its ends may be asked for more than once. */
export interface Settling {
  /** Resolves when it is settled. */
  whenSettled(): Promise<void>
  /** It is: may be called more than once. */
  settle(): void
}

/** @param look Called behind each question: settles where there is nothing left already. */
export function createSettling(look: () => void): Settling {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  return {
    async whenSettled() {
      look()
      await promise
    },
    settle: () => resolve(undefined),
  }
}
