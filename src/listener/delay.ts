/** A wait that can be ended before its time. */
export interface Delay {
  pass(lengthMs: number): Promise<void>
  end(): void
}

/** Whoever sends clients to a gateway that stops learns only in a while that they shall go elsewhere. */
export function createDelay(schedule: (delayMs: number, run: () => void) => () => void): Delay {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  let cancel: (() => void) | undefined
  return { pass, end }

  async function pass(lengthMs: number): Promise<void> {
    cancel = schedule(lengthMs, () => resolve(undefined))
    await promise
  }

  function end(): void {
    cancel?.()
    resolve(undefined)
  }
}
