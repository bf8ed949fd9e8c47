import type { LiveExchange } from '../exchange/exchange.ts'

/**
 * Exchanges that come and go, thousands a second.
 *
 * Not a `Set`: one whose members change all the time makes its table anew again and again, and each table points to the one after
 * it. Once the collector has put one away among what is old, all that follow stay, with what they held, until it next looks there.
 */
export interface Crowd {
  add(one: LiveExchange): void
  /** False when it is not among them. */
  remove(one: LiveExchange): boolean
  size(): number
  /** One of them, which is taken out; undefined when none is left. */
  take(): LiveExchange | undefined
}

export function createCrowd(): Crowd {
  const members: LiveExchange[] = []
  return { add, remove, size: () => members.length, take }

  function add(one: LiveExchange): void {
    one.place = members.length
    members.push(one)
  }

  function remove(one: LiveExchange): boolean {
    if (members[one.place] !== one) return false
    const last = members.pop()
    if (last !== undefined && last !== one) {
      members[one.place] = last
      last.place = one.place
    }
    one.place = -1
    return true
  }

  function take(): LiveExchange | undefined {
    const one = members.pop()
    if (one !== undefined) one.place = -1
    return one
  }
}
