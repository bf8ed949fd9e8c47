import type { Build } from './build.ts'
import type { Path } from './faults.ts'
import { INSECURE_NAMES } from './names.ts'
import type { Draft } from './schema.ts'

export type InsecureName = (typeof INSECURE_NAMES)[number]

/** A network with a shorter prefix than this is no network of proxies. */
const SHORTEST_PREFIX = { four: 8, six: 7 } as const

/**
 * Refuses what makes a gateway pointless unless the file names it under `insecure` too, so that nobody has it by a copied line; and
 * a name there that stands for nothing, so that the list says what is so.
 */
export function refuseInsecure(draft: Draft, build: Build): readonly InsecureName[] {
  const allowed = new Set(draft.insecure.map(({ value }) => value))
  const used = new Set<InsecureName>()
  for (const { name, path, what } of findings(draft)) {
    used.add(name)
    if (!allowed.has(name)) build.report(path, `${what}: remove it, or write insecure: [${name}] at the top of the file`)
  }
  for (const { at, value } of draft.insecure) {
    if (!used.has(value)) build.report(['insecure', at], 'stands for nothing in this file: remove it')
  }
  return INSECURE_NAMES.filter((name) => allowed.has(name))
}

interface Finding {
  readonly name: InsecureName
  readonly path: Path
  readonly what: string
}

function* findings({ upstreams, listeners }: Draft): Generator<Finding> {
  for (const [name, { tls }] of Object.entries(upstreams)) {
    if (tls.verify) continue
    yield { name: 'upstream-tls', path: ['upstreams', name, 'tls', 'verify'], what: 'takes any certificate' }
  }
  for (const { at, value } of listeners.public.trustedProxies) {
    const [address = '', bits = ''] = value.split('/')
    if (Number(bits) >= (address.includes(':') ? SHORTEST_PREFIX.six : SHORTEST_PREFIX.four)) continue
    const path = ['listeners', 'public', 'trustedProxies', at]
    yield {
      name: 'wide-trusted-proxies',
      path,
      what: 'believes clients what they say of themselves: it is wider than any network of proxies',
    }
  }
}
