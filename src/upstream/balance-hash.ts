import type { BalanceConfig } from '../config/config.ts'
import type { Admitted } from '../exchange/exchange.ts'
import type { Balancer } from './balance.ts'
import type { Destination } from './destination.ts'

type HashConfig = Extract<BalanceConfig, { readonly kind: 'hash' }>

/** How far a destination may be above its fair share of the requests under way before others help out. */
const BOUND = 1.25
const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/**
 * The same destination for the same key, on every gateway: weighted rendezvous hashing. When a destination goes, only its
 * keys move, each to the one it likes second best; when it is back, they all are. One that has too much to do is passed over
 * (consistent hashing with bounded loads), so that a single busy key cannot drown a server.
 */
export function hashBalancer(config: HashConfig): Balancer {
  const keyOf = keyReader(config)
  let members: readonly Destination[] = []
  let seeds: readonly number[] = []
  let total = 0
  return { use, next }

  function use(given: readonly Destination[]): void {
    members = given
    seeds = given.map(({ url, address }) => hash(`${url.href} ${address ?? ''}`, FNV_OFFSET))
    total = given.reduce((sum, { weight }) => sum + weight, 0)
  }

  function next(exchange: Admitted, not: Destination | undefined): Destination {
    const key = keyOf(exchange)
    const share = (BOUND * (underWay() + 1)) / total
    const free = best(key, not, share) ?? best(key, not, Number.POSITIVE_INFINITY) ?? members[0]
    if (free === undefined) throw new Error('there is always one to choose')
    return free
  }

  function underWay(): number {
    let sum = 0
    for (const { load } of members) sum += load.inFlight
    return sum
  }

  /** The destination with the highest score for a key among those below their share. */
  function best(key: number, not: Destination | undefined, share: number): Destination | undefined {
    let found: Destination | undefined
    let highest = Number.NEGATIVE_INFINITY
    for (let index = 0; index < members.length; index += 1) {
      const one = members[index]
      if (one === undefined || one === not || one.load.inFlight + 1 > Math.ceil(share * one.weight)) continue
      const score = scoreOf(mix(key ^ (seeds[index] ?? 0)), one.weight)
      if (score <= highest) continue
      highest = score
      found = one
    }
    return found
  }
}

/** `-weight / ln(h)`, h even between 0 and 1: each wins as often as its weight says. */
function scoreOf(mixed: number, weight: number): number {
  return -weight / Math.log((mixed + 0.5) / 2 ** 32)
}

/** What the requests of one destination have in common. Without a user or the header: the address of the client. */
function keyReader(config: HashConfig): (exchange: Admitted) => number {
  if (config.by !== 'header') return config.by === 'user' ? keyOfUser : keyOfClient
  const { header } = config
  return (exchange) => {
    const value = firstValue(exchange.rawHeaders, header)
    return value === undefined ? keyOfClient(exchange) : hash(value, FNV_OFFSET)
  }
}

function keyOfUser(exchange: Admitted): number {
  const { principal } = exchange
  if (principal.kind === 'anonymous') return keyOfClient(exchange)
  return hash(principal.user, hash(principal.tenant, FNV_OFFSET))
}

function keyOfClient({ client }: Admitted): number {
  return hash(client, FNV_OFFSET)
}

function firstValue(rawHeaders: readonly string[], name: string): string | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const given = rawHeaders[index]
    if (given?.length === name.length && given.toLowerCase() === name) return rawHeaders[index + 1]
  }
  return undefined
}

/** FNV-1a, 32 bits. */
function hash(text: string, start: number): number {
  let state = start
  for (let index = 0; index < text.length; index += 1) state = Math.imul(state ^ text.charCodeAt(index), FNV_PRIME)
  return state >>> 0
}

/** The last step of MurmurHash3: each bit of the input changes half of those of the output. */
function mix(value: number): number {
  let state = value
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35)
  return (state ^ (state >>> 16)) >>> 0
}
