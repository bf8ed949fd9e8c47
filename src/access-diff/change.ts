/** `wider`: somebody may do what nobody like them could; `narrower`: the other way round; `other`: neither can be said. */
export type Effect = 'wider' | 'other' | 'narrower'

export interface Difference {
  /** The key that says it, such as `scopes`. */
  readonly what: string
  /** For people. Empty: nothing. */
  readonly before: string
  readonly after: string
  readonly effect: Effect
  /** 0 is the worst. */
  readonly danger: number
}

export interface Change extends Difference {
  /** Requests, such as `GET,POST api.example.com/orders/*`, or the path of a setting. */
  readonly where: string
}

/** How dangerous a change is, where nothing else is said. */
export const DANGER = { open: 0, trust: 1, wider: 2, other: 5, narrower: 9 } as const

export function difference(what: string, before: string, after: string, effect: Effect): Difference {
  return { what, before, after, effect, danger: DANGER[effect] }
}

/** The effect of a limit that was moved: a higher one lets more in. */
export function effectOfLimit(before: number, after: number): Effect {
  return after > before ? 'wider' : 'narrower'
}

/** The effect on a list of what is let in. Something that is new counts more than something that is gone. */
export function effectOfList(before: readonly string[], after: readonly string[]): Effect {
  return after.some((one) => !before.includes(one)) ? 'wider' : 'narrower'
}

export function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one) => b.includes(one))
}
