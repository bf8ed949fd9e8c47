import type { Registry } from './prom.ts'

export interface SlicesNeeds {
  monotonicMs(): number
  /** Runs once after the delay; returns the way to cancel. */
  schedule(delayMs: number, run: () => void): () => void
}

/** Requests have their turn after so much of it. */
const SLICE_MS = 1

/** What `read` makes of each metric of the registries, in their order, in slices: all at once would hold up requests. */
export async function inSlices<T>(
  needs: SlicesNeeds,
  registries: readonly Registry[],
  read: (registry: Registry, name: string) => Promise<T> | undefined,
): Promise<T[]> {
  const made: T[] = []
  let begunMs = needs.monotonicMs()
  for (const registry of registries) {
    for (const { name } of registry.getMetricsAsArray()) {
      const one = await read(registry, name)
      if (one !== undefined) made.push(one)
      if (needs.monotonicMs() - begunMs < SLICE_MS) continue
      await new Promise<void>((resolve) => {
        needs.schedule(0, resolve)
      })
      begunMs = needs.monotonicMs()
    }
  }
  return made
}
