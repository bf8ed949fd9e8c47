/**
 * Many networks as one set of addresses: ranges in order, those that touch made one, and found by halving. A thousand networks
 * take ten comparisons.
 */
import { type AddressRange, readNetwork } from '../exchange/exchange.ts'

export interface AddressSet {
  /** @param address As `readAddress` gives it. */
  has(address: string): boolean
}

/**
 * @param networks In CIDR form, or single addresses.
 * @throws {Error} for what is neither; a configuration is checked before it comes here.
 */
export function createAddressSet(networks: readonly string[]): AddressSet {
  const ranges = networks.map(read)
  const four = disjoint(ranges.filter(({ first }) => first.length === 2))
  const six = disjoint(ranges.filter(({ first }) => first.length === 8))
  return { has: (address) => contains(address.length === 2 ? four : six, address) }
}

function read(network: string): AddressRange {
  const range = readNetwork(network)
  if (range === undefined) throw new Error('not a network')
  return range
}

/** In order, and none overlaps the next one. */
function disjoint(ranges: readonly AddressRange[]): readonly AddressRange[] {
  const merged: AddressRange[] = []
  for (const range of ranges.toSorted(byFirst)) {
    const before = merged.at(-1)
    if (before === undefined || before.last < range.first) merged.push(range)
    else if (before.last < range.last) merged[merged.length - 1] = { first: before.first, last: range.last }
  }
  return merged
}

function byFirst(a: AddressRange, b: AddressRange): number {
  return a.first < b.first ? -1 : Number(a.first > b.first)
}

function contains(ranges: readonly AddressRange[], address: string): boolean {
  let low = 0
  let high = ranges.length - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const range = ranges[middle]
    if (range === undefined) return false
    if (address < range.first) high = middle - 1
    else if (address > range.last) low = middle + 1
    else return true
  }
  return false
}
