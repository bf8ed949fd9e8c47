import { lookup, Resolver } from 'node:dns/promises'
import type { Found, Names } from './resolve.ts'

type Records = readonly { readonly address: string; readonly ttl: number }[]

/** How long DNS may take to answer, and how often it is asked. */
const LIMITS = { timeout: 2000, tries: 2 } as const

/**
 * The names of this machine's DNS, with their time to live.
 *
 * Of a name with addresses of both families those of IPv4 are taken, so that a server counts once. A name that the machine itself
 * knows otherwise, from its hosts file, is left to the machine.
 *
 * @param servers DNS servers to ask, `ADDRESS:PORT`; absent: those of this machine
 */
export function systemNames(servers?: readonly string[]): Names {
  const resolver = new Resolver(LIMITS)
  if (servers !== undefined) resolver.setServers(servers)
  return { find, stop: () => resolver.cancel() }

  async function find(name: string): Promise<Found | undefined> {
    const [four, six, own] = await Promise.all([
      recordsOf(resolver.resolve4(name, { ttl: true })),
      recordsOf(resolver.resolve6(name, { ttl: true })),
      ownAddresses(name),
    ])
    const records = four.length > 0 ? four : six
    if (records.length === 0) return undefined
    const addresses = records.map(({ address }) => address)
    if (own.size > 0 && !addresses.some((address) => own.has(address))) return undefined
    return { addresses, ttlSeconds: Math.min(...records.map(({ ttl }) => ttl)) }
  }
}

/** No records and no answer are alike: either way there is nothing to change. */
function recordsOf(asked: Promise<Records>): Promise<Records> {
  return asked.catch(() => [])
}

async function ownAddresses(name: string): Promise<ReadonlySet<string>> {
  try {
    const found = await lookup(name, { all: true })
    return new Set(found.map(({ address }) => address))
  } catch {
    // The machine does not know it: DNS alone decides.
    return new Set()
  }
}
